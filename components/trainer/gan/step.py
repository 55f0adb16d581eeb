"""One training step: the alternating update of Goodfellow et al. 2014 (arXiv:1406.2661)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import keras
import tensorflow as tf

from components.data import examples
from components.trainer import devices
from components.trainer.gan import losses, optimizers, penalties
from components.trainer.gan.losses import Loss
from components.trainer.gan.network_pair import logits_of, with_labels
from components.trainer.gan.rng import StatelessRng

if TYPE_CHECKING:
    from components.trainer.config import TrainingConfig

Tensors = dict[str, tf.Tensor]
Augment = Callable[[tf.Tensor, StatelessRng], tf.Tensor]

_ZERO = {"unconnected_gradients": tf.UnconnectedGradients.ZERO}


class Player(NamedTuple):
    """A network, its optimizer (built), and the largest global norm of its gradient, or None."""

    network: keras.Model
    optimizer: keras.optimizers.Optimizer
    clip_norm: float | None = None

    @property
    def variables(self) -> list[keras.Variable]:
        """The trainable variables of the network."""
        return self.network.trainable_variables


class WeightedPenalty(NamedTuple):
    """A penalty of the discriminator.

    Attributes:
      name: its key in the log.
      penalty: computes it.
      weight: a number, or the variable that a schedule sets before each step.
      interval: the penalty is computed every `interval` steps, with its weight multiplied by it.
      discriminator: whose slopes are penalised: the player's network, or its copy in float32, which
        is given the same weights.
    """

    name: str
    penalty: penalties.Penalty
    weight: Any
    interval: int
    discriminator: keras.Model


class _Batch(NamedTuple):
    real: tf.Tensor
    latents: tf.Tensor
    labels: tf.Tensor | None


class _Fakes(NamedTuple):
    data: tf.Tensor
    tape: tf.GradientTape


class _Term(NamedTuple):
    """A term of a player's loss; logged without its weight."""

    name: str
    value: tf.Tensor
    weight: Any = 1.0


_Gradients = tuple[Tensors, list[tf.Tensor], _Fakes]


class Step:
    """Updates the discriminator `discriminator_steps` times, then the generator once.

    Algorithm 1 of the paper, except that the generator's update reuses the last fakes: the
    generator runs once per step, and its gradient is backpropagated through the tape kept from that
    pass. With `gradient_accumulation` the fakes are generated again, as keeping them would cost the
    memory that accumulation saves.

    Args:
      generator, discriminator: the players.
      options: the training options.
      loss: the adversarial loss.
      penalties: added to the discriminator's loss.
      augment: applied to everything that the discriminator sees, or None.
      top_k: the share of the fakes from which the generator learns, or None.
      strategy: its replicas share a batch.
    """

    def __init__(
        self,
        generator: Player,
        discriminator: Player,
        options: TrainingConfig,
        *,
        loss: Loss,
        penalties: Sequence[WeightedPenalty],
        augment: Augment | None,
        top_k: tf.Variable | None,
        strategy: tf.distribute.Strategy,
    ) -> None:
        self._generator, self._discriminator = generator, discriminator
        self._options, self._conditioning = options, options.conditioning
        self._loss, self._penalties, self._augment = loss, penalties, augment
        self._top_k, self._strategy = top_k, strategy
        run = self._replica_step
        self._run = tf.function(run, jit_compile=True) if options.xla else run

    def _replica_step(self, inputs: Tensors, step: tf.Tensor, due: tuple[bool, ...]) -> Tensors:
        rng = self._rng(step)
        for update in range(self._options.discriminator_steps):
            batches = self._batches(inputs, update)
            gradients = partial(self._discriminator_gradients, rng=rng, due=due)
            discriminator_terms, fakes = self._update(self._discriminator, gradients, batches)
            self._clip_weights()
        gradients = partial(self._generator_gradients, rng=rng, fakes=fakes)
        generator_terms, _ = self._update(self._generator, gradients, batches)
        return discriminator_terms | generator_terms

    def _discriminator_gradients(
        self, batch: _Batch, rng: StatelessRng, due: tuple[bool, ...]
    ) -> _Gradients:
        fakes = self._generate(batch)
        fake = tf.stop_gradient(fakes.data)
        with tf.GradientTape() as tape:
            # Two passes: batch statistics of reals and fakes must not mix.
            classes: list[tf.Tensor | None] = []
            augmented: list[tf.Tensor] = []

            def score(values: tf.Tensor) -> tf.Tensor:
                augmented.append(self._augmented(values, rng))
                logits, of_classes = self._score(augmented[-1], batch.labels)
                classes.append(of_classes)
                return logits

            real_logits, real_slopes = penalties.scored(score, batch.real)
            fake_logits, fake_slopes = penalties.scored(score, fake)
            data = penalties.PenaltyBatch(
                batch.real, fake, real_logits, fake_logits, real_slopes, fake_slopes, *augmented
            )
            terms = [
                _Term("discriminator_loss", self._loss.discriminator(real_logits, fake_logits)),
                *self._class_loss("discriminator", batch.labels, *classes),
                *self._penalise(data, batch.labels, rng, due),
            ]
            loss = self._replica_loss(self._discriminator, terms)
        logged = {term.name: term.value for term in terms}
        logged["real_sign"] = tf.reduce_mean(tf.sign(real_logits))
        logged["confidence"] = losses.discriminator_accuracy(real_logits, fake_logits)
        return logged, tape.gradient(loss, self._discriminator.variables, **_ZERO), fakes

    def _generator_gradients(self, batch: _Batch, rng: StatelessRng, fakes: _Fakes) -> _Gradients:
        if self._options.gradient_accumulation > 1:
            fakes = self._generate(batch)
        score_real = self._loss.relativistic
        real = self._augmented(batch.real, rng) if score_real else None
        real_logits = self._score(real, batch.labels)[0] if score_real else None
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(fakes.data)
            augmented = self._augmented(fakes.data, rng)
            fake_logits, fake_classes = self._score(augmented, batch.labels)
            weights = {}
            if self._top_k is not None:
                weights["weights"] = losses.top_weights(fake_logits, self._top_k)
            terms = [
                _Term("generator_loss", self._loss.generator(real_logits, fake_logits, **weights)),
                *self._class_loss("generator", batch.labels, fake_classes),
            ]
            loss = self._replica_loss(self._generator, terms)
        variables, slope = self._generator.variables, tape.gradient(loss, fakes.data)
        gradients = fakes.tape.gradient(fakes.data, variables, output_gradients=slope, **_ZERO)
        return {term.name: term.value for term in terms}, gradients, fakes

    def due(self, step: int) -> tuple[bool, ...]:
        """Which penalties are computed at `step`."""
        return tuple(step % penalty.interval == 0 for penalty in self._penalties)

    def __call__(self, inputs: Tensors, step: tf.Tensor, due: tuple[bool, ...]) -> Tensors:
        """Runs one step; call it in a cross-replica context.

        Args:
          inputs: real [n, discriminator_steps, ...], latents [n, discriminator_steps, latent_dim]
            and, with conditioning, labels [n, discriminator_steps], per replica.
          step: int64 scalar.
          due: from `due`.

        Returns:
          Scalars, means over the global batch: discriminator_loss, generator_loss, each penalty
          that was due, the auxiliary losses, real_sign (mean sign of the logits on real data) and
          confidence (see `losses.discriminator_accuracy`).
        """
        per_replica = self._strategy.run(partial(self._run, due=due), args=(inputs, step))
        mean = tf.distribute.ReduceOp.MEAN
        return {
            name: self._strategy.reduce(mean, value, axis=None)
            for name, value in per_replica.items()
        }

    def _rng(self, step: tf.Tensor) -> StatelessRng:
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        return StatelessRng(self._options.seed, step, replica, self._strategy.num_replicas_in_sync)

    def _batches(self, inputs: Tensors, update: int) -> list[_Batch]:
        """The batch of one update, split for gradient accumulation."""
        count = self._options.gradient_accumulation

        def parts(name: str) -> list[tf.Tensor] | list[None]:
            if name not in inputs:
                return [None] * count
            return tf.split(inputs[name][:, update], count)

        real = [to_float(part) for part in parts("real")]
        return [_Batch(*part) for part in zip(real, parts("latents"), parts("labels"), strict=True)]

    def _update(
        self,
        player: Player,
        compute: Callable[[_Batch], _Gradients],
        batches: Iterable[_Batch],
    ) -> tuple[Tensors, _Fakes]:
        """Updates a player with the accumulated gradients of the parts of a batch.

        Returns:
          The mean terms, and the fakes of the last part.
        """
        terms: list[Tensors] = []
        total: list[tf.Tensor] = []
        for batch in batches:
            # To save memory, each part waits for the gradients of the previous one.
            with tf.control_dependencies(total):
                part, gradients, fakes = compute(batch)
                terms.append(part)
                if total:
                    gradients = [a + b for a, b in zip(total, gradients, strict=True)]
                total = gradients
        optimizers.apply(player.optimizer, total, player.variables, player.clip_norm)
        means = {name: tf.add_n([part[name] for part in terms]) / len(terms) for name in terms[0]}
        return means, fakes

    def _generate(self, batch: _Batch) -> _Fakes:
        inputs = with_labels(batch.latents, batch.labels)
        with tf.GradientTape() as tape:
            fake = tf.cast(self._generator.network(inputs, training=True), tf.float32)
        return _Fakes(fake, tape)

    def _augmented(self, values: tf.Tensor, rng: StatelessRng) -> tf.Tensor:
        return self._augment(values, rng) if self._augment else values

    def _score(
        self, augmented: tf.Tensor, labels: tf.Tensor | None
    ) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Logits of augmented data; class logits, or None without an auxiliary classifier."""
        inputs = self._discriminator_inputs(augmented, labels)
        logits, classes = logits_of(self._discriminator.network(inputs, training=True))
        auxiliary = self._conditioning and self._conditioning.discriminator == "auxiliary"
        return logits, classes if auxiliary else None

    def _class_loss(
        self, player: str, labels: tf.Tensor | None, *class_logits: tf.Tensor | None
    ) -> Iterator[_Term]:
        """The cross-entropy of the auxiliary classifier, if there is one."""
        if self._conditioning and class_logits[0] is not None:
            value = tf.add_n([_cross_entropy(labels, logits) for logits in class_logits])
            yield _Term(f"{player}_class_loss", value, self._conditioning.auxiliary_weight)

    def _penalise(
        self,
        data: penalties.PenaltyBatch,
        labels: tf.Tensor | None,
        rng: StatelessRng,
        due: tuple[bool, ...],
    ) -> Iterator[_Term]:
        """The penalties that are due."""
        for entry, is_due in zip(self._penalties, due, strict=True):
            if not is_due:
                continue
            score = self._stateless(entry.discriminator, labels, rng)
            own = entry.discriminator is self._discriminator.network
            value = entry.penalty(score, data if own else data.rescored(score), rng)
            yield _Term(entry.name, value, entry.interval * entry.weight)

    def _stateless(
        self, network: keras.Model, labels: tf.Tensor | None, rng: StatelessRng
    ) -> penalties.Score:
        """The discriminator, or a copy of it, as a function that updates no state."""
        weights = self._discriminator.network
        trainable = [tf.convert_to_tensor(variable) for variable in weights.trainable_variables]
        fixed = [tf.convert_to_tensor(variable) for variable in weights.non_trainable_variables]

        def score(values: tf.Tensor, augmented: bool = False) -> tf.Tensor:
            values = values if augmented else self._augmented(values, rng)
            inputs = self._discriminator_inputs(values, labels)
            outputs, _ = network.stateless_call(trainable, fixed, inputs, training=True)
            return logits_of(outputs)[0]

        return score

    def _discriminator_inputs(
        self, values: tf.Tensor, labels: tf.Tensor | None
    ) -> tf.Tensor | list[tf.Tensor]:
        projects = self._conditioning and self._conditioning.discriminator == "projection"
        return with_labels(values, labels if projects else None)

    def _replica_loss(self, player: Player, terms: Sequence[_Term]) -> tf.Tensor:
        """This replica's and this part's share of a player's global loss, scaled for float16."""
        loss = sum(term.weight * term.value for term in terms)
        shares = self._strategy.num_replicas_in_sync * self._options.gradient_accumulation
        return optimizers.scaled(player.optimizer, loss / shares)

    def _clip_weights(self) -> None:
        """Clips the discriminator's weights (Arjovsky et al. 2017, arXiv:1701.07875, alg. 1)."""
        bound = self._options.weight_clip
        variables = self._discriminator.variables
        if not bound:
            return

        def clip_all(strategy: tf.distribute.Strategy) -> None:
            for variable in variables:
                strategy.extended.update(
                    variable.value, lambda v: v.assign(tf.clip_by_value(v, -bound, bound))
                )

        if devices.is_only_replica():
            for variable in variables:
                variable.assign(tf.clip_by_value(tf.convert_to_tensor(variable), -bound, bound))
        else:
            tf.distribute.get_replica_context().merge_call(clip_all)


def to_float(values: tf.Tensor) -> tf.Tensor:
    """uint8 images to floats in [-1, 1]; floats are returned unchanged."""
    return examples.to_float(values) if values.dtype == tf.uint8 else values


def _cross_entropy(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    values = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
    return tf.reduce_mean(values)
