"""One step of the alternating game."""

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, TypeVar

import keras
import tensorflow as tf

from components.data import examples
from components.trainer import replicas
from components.trainer.gan import optimizers
from components.trainer.gan.augmentation import Augmentation
from components.trainer.gan.losses import Loss
from components.trainer.gan.network_pair import logits_of, with_labels
from components.trainer.gan.penalties import Penalty
from components.trainer.gan.rng import Draws

T = TypeVar("T")
Tensors = dict[str, tf.Tensor]
# A number, or the variable that a schedule sets before each step.
Knob = float | tf.Variable


class Player(NamedTuple):
    """One of the two networks and what updates it.

    Attributes:
      network: the network.
      optimizer: its optimizer, built.
      clip_norm: largest global norm of its gradient, or None.
    """

    network: keras.Model
    optimizer: keras.optimizers.Optimizer
    clip_norm: float | None = None

    def update(self, gradients: Sequence[tf.Tensor]) -> None:
        """Moves the weights; in a replica context."""
        variables = self.network.trainable_variables
        optimizers.apply(self.optimizer, gradients, variables, self.clip_norm)


class WeightedPenalty(NamedTuple):
    """A penalty of the discriminator.

    Attributes:
      name: what its value is called in the log.
      penalty: computes it.
      weight: what it is multiplied with.
      interval: steps between two computations.
    """

    name: str
    penalty: Penalty
    weight: Knob
    interval: int


class _Batch(NamedTuple):
    real: tf.Tensor
    latents: tf.Tensor
    labels: tf.Tensor | None


class Step:
    """Updates the discriminator `discriminator_steps` times, then the generator once.

    Each discriminator update has real data and latents of its own. The generator's update is
    against the updated discriminator and reuses the last fakes: the generator runs once a step, its
    gradient is pulled through the kept tape. This is the exact alternating update of Goodfellow et
    al. 2014 (arXiv:1406.2661, algorithm 1) with the latents of the two last updates shared. With
    `gradient_accumulation` the fakes are made again, for keeping them is what takes the memory.

    Args:
      generator, discriminator: the players.
      critic: the discriminator's architecture, computing in float32, with which penalties are
        computed; its own weights are not used, so that it may be the discriminator itself.
      loss: what they play for.
      penalties: added to the discriminator's loss.
      augmentation, probability: of all that the discriminator sees; None for no augmentation.
      weight_clip: bound on the discriminator's weights (Arjovsky et al. 2017, arXiv:1701.07875,
        algorithm 1), or None.
      conditioning: "projection", "auxiliary" or None: see `networks.Discriminator`.
      auxiliary_weight: of the auxiliary classifier's cross-entropy (Odena et al. 2017,
        arXiv:1610.09585, section 3).
      discriminator_steps: updates of the discriminator.
      gradient_accumulation: parts of a batch, one after the other.
      seed: of augmentations and penalties.
      xla: whether the replica's step is compiled with XLA.
      strategy: whose replicas share a batch.
    """

    def __init__(
        self,
        generator: Player,
        discriminator: Player,
        *,
        critic: keras.Model,
        loss: Loss,
        penalties: Sequence[WeightedPenalty],
        augmentation: Augmentation | None,
        probability: Knob,
        weight_clip: float | None,
        conditioning: str | None,
        auxiliary_weight: float,
        discriminator_steps: int,
        gradient_accumulation: int,
        seed: int,
        xla: bool,
        strategy: tf.distribute.Strategy,
    ) -> None:
        self._generator = generator
        self._discriminator = discriminator
        self._loss = loss
        self._penalties = penalties
        self._augmentation = augmentation
        self._probability = probability
        self._weight_clip = weight_clip
        self._conditioning = conditioning
        self._auxiliary_weight = auxiliary_weight
        self._discriminator_steps = discriminator_steps
        self._parts = gradient_accumulation
        self._seed = seed
        self._strategy = strategy
        self._replicas = strategy.num_replicas_in_sync
        self._critic = critic
        self._replica_step = tf.function(self._play, jit_compile=True) if xla else self._play

    def due(self, step: int) -> tuple[bool, ...]:
        """Which penalties are computed at `step`."""
        return tuple(step % penalty.interval == 0 for penalty in self._penalties)

    def __call__(self, inputs: Tensors, step: tf.Tensor, due: tuple[bool, ...]) -> Tensors:
        """Plays one step; in a cross-replica context.

        Args:
          inputs: real [n, discriminator_steps, ...], latents [n, discriminator_steps, latent_dim]
            and, with conditioning, labels [n, discriminator_steps], per replica.
          step: int64 scalar.
          due: from `due`.

        Returns:
          Scalars, means over the global batch: discriminator_loss, generator_loss, each penalty
          that was due, the auxiliary losses, real_sign (mean sign of the logits on real data) and
          confidence (share of the pairs of real and fake that the discriminator ranks right).
        """
        play = functools.partial(self._replica_step, due=due)
        per_replica = self._strategy.run(play, args=(inputs, step))
        mean = tf.distribute.ReduceOp.MEAN
        return {
            name: self._strategy.reduce(mean, value, axis=None)
            for name, value in per_replica.items()
        }

    def _play(self, inputs: Tensors, step: tf.Tensor, due: tuple[bool, ...]) -> Tensors:
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        draws = Draws(self._seed, step, replica, self._replicas)
        for update in range(self._discriminator_steps):
            batches = self._batches(inputs, update)
            terms, fakes = self._update_discriminator(batches, draws, due)
        return terms | self._update_generator(batches, fakes, draws)

    def _batches(self, inputs: Tensors, update: int) -> list[_Batch]:
        """The parts of the batch of one update."""

        def parts(name: str) -> list[tf.Tensor] | list[None]:
            if name not in inputs:
                return [None] * self._parts
            return tf.split(inputs[name][:, update], self._parts)

        real = [to_float(part) for part in parts("real")]
        return [_Batch(*part) for part in zip(real, parts("latents"), parts("labels"), strict=True)]

    def _update_discriminator(
        self, batches: Sequence[_Batch], draws: Draws, due: tuple[bool, ...]
    ) -> tuple[Tensors, list[tuple[tf.Tensor, tf.GradientTape]]]:
        """Returns the terms, and the fakes with the tapes that made them."""
        variables = self._discriminator.network.trainable_variables
        totals, fakes = _Totals(), []
        for batch in totals.one_by_one(batches):
            fake, generator_tape = self._generate(batch)
            fakes.append((fake, generator_tape))
            fake = tf.stop_gradient(fake)
            with tf.GradientTape() as tape:
                # Two passes: batch statistics of reals and fakes must not mix.
                real_logits, real_classes = self._score(batch.real, batch.labels, draws)
                fake_logits, fake_classes = self._score(fake, batch.labels, draws)
                loss = self._loss.discriminator(real_logits, fake_logits)
                terms = {"discriminator_loss": loss}
                if self._conditioning == "auxiliary":
                    auxiliary = _cross_entropy(batch.labels, real_classes)
                    auxiliary += _cross_entropy(batch.labels, fake_classes)
                    terms["discriminator_class_loss"] = auxiliary
                    loss += self._auxiliary_weight * auxiliary
                for (name, penalty, weight, interval), now in zip(
                    self._penalties, due, strict=True
                ):
                    if now:
                        score = self._penalty_score(batch.labels, draws)
                        value = penalty(score, batch.real, fake, real_logits, fake_logits, draws)
                        terms[name] = value
                        loss += interval * weight * value
                scaled = self._scaled(self._discriminator, loss)
            terms["real_sign"] = tf.reduce_mean(tf.sign(real_logits))
            terms["confidence"] = _confidence(real_logits, fake_logits)
            totals.add(terms, tape.gradient(scaled, variables, **_ZERO))
        self._discriminator.update(totals.gradients)
        if self._weight_clip:
            _clip(variables, self._weight_clip)
        return totals.means, fakes

    def _update_generator(
        self,
        batches: Sequence[_Batch],
        fakes: Sequence[tuple[tf.Tensor, tf.GradientTape]],
        draws: Draws,
    ) -> Tensors:
        variables = self._generator.network.trainable_variables
        totals = _Totals()
        for batch, kept in totals.one_by_one(zip(batches, fakes, strict=True)):
            fake, generator_tape = kept if self._parts == 1 else self._generate(batch)
            # Only a relativistic generator's loss asks for the updated discriminator's real logits.
            real_logits = None
            if self._loss.relativistic:
                real_logits, _ = self._score(batch.real, batch.labels, draws)
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(fake)
                fake_logits, fake_classes = self._score(fake, batch.labels, draws)
                loss = self._loss.generator(real_logits, fake_logits)
                terms = {"generator_loss": loss}
                if self._conditioning == "auxiliary":
                    terms["generator_class_loss"] = _cross_entropy(batch.labels, fake_classes)
                    loss += self._auxiliary_weight * terms["generator_class_loss"]
                scaled = self._scaled(self._generator, loss)
            to_fake = tape.gradient(scaled, fake)
            gradients = generator_tape.gradient(fake, variables, output_gradients=to_fake, **_ZERO)
            totals.add(terms, gradients)
        self._generator.update(totals.gradients)
        return totals.means

    def _generate(self, batch: _Batch) -> tuple[tf.Tensor, tf.GradientTape]:
        inputs = with_labels(batch.latents, batch.labels)
        with tf.GradientTape() as tape:
            fake = tf.cast(self._generator.network(inputs, training=True), tf.float32)
        return fake, tape

    def _score(
        self, values: tf.Tensor, labels: tf.Tensor | None, draws: Draws
    ) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Logits and class logits (of an auxiliary classifier) of data, which are augmented."""
        inputs = self._seen(values, labels, draws)
        return logits_of(self._discriminator.network(inputs, training=True))

    def _penalty_score(
        self, labels: tf.Tensor | None, draws: Draws
    ) -> Callable[[tf.Tensor], tf.Tensor]:
        """The discriminator in float32, as a function that leaves its state alone."""
        network = self._discriminator.network
        trainable = [tf.convert_to_tensor(variable) for variable in network.trainable_variables]
        fixed = [tf.convert_to_tensor(variable) for variable in network.non_trainable_variables]

        def score(values: tf.Tensor) -> tf.Tensor:
            inputs = self._seen(values, labels, draws)
            outputs, _ = self._critic.stateless_call(trainable, fixed, inputs, training=True)
            return logits_of(outputs)[0]

        return score

    def _seen(
        self, values: tf.Tensor, labels: tf.Tensor | None, draws: Draws
    ) -> tf.Tensor | list[tf.Tensor]:
        """What the discriminator is shown."""
        if self._augmentation:
            values = self._augmentation(values, self._probability, draws)
        return with_labels(values, labels if self._conditioning == "projection" else None)

    def _scaled(self, player: Player, loss: tf.Tensor) -> tf.Tensor:
        """The part of the global loss that this part of this replica adds, scaled for float16."""
        return optimizers.scaled(player.optimizer, loss / (self._replicas * self._parts))


def to_float(values: tf.Tensor) -> tf.Tensor:
    """uint8 images to [-1, 1]; floats as they are."""
    return examples.to_float(values) if values.dtype == tf.uint8 else values


_ZERO = {"unconnected_gradients": tf.UnconnectedGradients.ZERO}


class _Totals:
    """Sums gradients, and averages terms, over the parts of a batch."""

    def __init__(self) -> None:
        self._terms: list[Tensors] = []
        self.gradients: list[tf.Tensor] = []

    def one_by_one(self, parts: Iterable[T]) -> Iterator[T]:
        """The parts, each computed after the gradients of the one before: that saves memory."""
        for part in parts:
            with tf.control_dependencies(self.gradients):
                yield part

    def add(self, terms: Tensors, gradients: Sequence[tf.Tensor]) -> None:
        self._terms.append(terms)
        if self.gradients:
            gradients = [a + b for a, b in zip(self.gradients, gradients, strict=True)]
        self.gradients = list(gradients)

    @property
    def means(self) -> Tensors:
        count = len(self._terms)
        return {
            name: tf.add_n([terms[name] for terms in self._terms]) / count
            for name in self._terms[0]
        }


def _cross_entropy(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
    return tf.reduce_mean(losses)


def _confidence(real_logits: tf.Tensor, fake_logits: tf.Tensor) -> tf.Tensor:
    """Share of the pairs (real_i, fake_i) that are ranked right; ties count one half."""
    return 0.5 + 0.5 * tf.reduce_mean(tf.sign(real_logits - fake_logits))


def _clip(variables: Sequence[keras.Variable], bound: float) -> None:
    def clip_all(strategy: tf.distribute.Strategy) -> None:
        for variable in variables:
            strategy.extended.update(
                variable.value, lambda v: v.assign(tf.clip_by_value(v, -bound, bound))
            )

    if replicas.alone():
        for variable in variables:
            variable.assign(tf.clip_by_value(tf.convert_to_tensor(variable), -bound, bound))
    else:
        tf.distribute.get_replica_context().merge_call(clip_all)
