"""The alternating game: class GANTrainer."""

import math
from collections.abc import Iterator, Mapping

import keras
import numpy as np
import tensorflow as tf

from components import examples
from components.trainer import data, devices, export, losses, optimizers
from components.trainer.checkpoints import Checkpoints, State
from components.trainer.config import TrainerConfig
from components.trainer.networks import DISCRIMINATORS, GENERATORS
from components.trainer.runlog import RunLog

# Training draws latents at indices from 0; grids and evaluation draw theirs below.
_GRID_INDEX = -1
_EVALUATION_INDEX = -2
_GRID_COUNT = 64

# Radford et al. 2015 (arXiv:1511.06434), section 4.
_ADAM = {"name": "adam", "learning_rate": 2e-4, "beta_1": 0.5}


class GANTrainer:
    """Trains a generator against a discriminator: train / evaluate / sample / export.

    One step updates the discriminator `discriminator_steps` times, each on real data and latents
    of its own, then the generator once against the updated discriminator. That update reuses the
    last fakes: the generator runs once a step, its gradient is pulled through the kept tape. This
    is the exact alternating update of Goodfellow et al. 2014 (arXiv:1406.2661, algorithm 1) with
    the latents of the two last updates shared.

    Args:
      generator: latents [n, latent_dim] to data [n, ...] in [-1, 1].
      discriminator: data [n, ...] to logits.
      dataset: [n, ...]; uint8 images, or floats already in [-1, 1].
      loss: a name in `losses.LOSSES`.
      label_smoothing: see `losses.get`.
      latent_dim: size of one latent vector.
      batch_size: data an update, over all devices together; at most len(dataset).
      discriminator_steps: discriminator updates a generator update.
      generator_optimizer, discriminator_optimizer: default Adam(2e-4, beta_1=0.5).
      ema_half_life_images: half-life of the averaged generator, which is the one that samples and
        is exported; 0 turns averaging off.
      seed: of latents and data order (networks bring the seed of their weights).
      strategy: default `devices.strategy()`. Networks must be unbuilt, or built in its scope.

    Raises:
      ValueError: for a dataset smaller than a batch, and for networks that do not fit each other
        or the dataset.
    """

    def __init__(
        self,
        generator: keras.Model,
        discriminator: keras.Model,
        dataset: np.ndarray,
        *,
        latent_dim: int,
        loss: str = "non_saturating",
        label_smoothing: float = 0.0,
        batch_size: int = 128,
        discriminator_steps: int = 1,
        generator_optimizer: keras.optimizers.Optimizer | None = None,
        discriminator_optimizer: keras.optimizers.Optimizer | None = None,
        ema_half_life_images: float = 10_000,
        seed: int = 0,
        strategy: tf.distribute.Strategy | None = None,
    ) -> None:
        if len(dataset) < batch_size:
            raise ValueError(
                f"batch_size: {batch_size} is more than the {len(dataset)} data of the dataset"
            )
        self.strategy = strategy or devices.strategy()
        if batch_size % self.strategy.num_replicas_in_sync:
            raise ValueError(
                f"batch_size: {batch_size} is not a multiple of the "
                f"{self.strategy.num_replicas_in_sync} devices"
            )
        self.generator = generator
        self.discriminator = discriminator
        self.dataset = dataset
        self.loss = losses.get(loss, label_smoothing)
        self.latent_dim = latent_dim
        self.batch_size = batch_size
        self.discriminator_steps = discriminator_steps
        self.seed = seed
        self.ema_decay = 0.5 ** (batch_size / ema_half_life_images) if ema_half_life_images else 0.0
        with self.strategy.scope():
            self._build()
            self.ema_generator = type(generator).from_config(generator.get_config())
            self.ema_generator(tf.zeros([1, latent_dim]))
            self.ema_generator.set_weights(generator.get_weights())
            self.generator_optimizer = generator_optimizer or optimizers.make(**_ADAM)
            self.discriminator_optimizer = discriminator_optimizer or optimizers.make(**_ADAM)
            self.generator_optimizer.build(generator.trainable_variables)
            self.discriminator_optimizer.build(discriminator.trainable_variables)
        self.step = tf.Variable(0, dtype=tf.int64, trainable=False)

    @classmethod
    def from_config(cls, config: TrainerConfig, dataset: np.ndarray) -> "GANTrainer":
        """The trainer that a recipe's `trainer` section describes."""
        strategy = devices.strategy()
        shape = dataset.shape[1:]
        with strategy.scope():
            return cls(
                GENERATORS.get(config.networks.generator)(
                    config.latent_dim, shape, seed=config.seed, dtype=config.precision
                ),
                DISCRIMINATORS.get(config.networks.discriminator)(
                    # A seed of its own, so that the two networks do not start alike.
                    shape,
                    seed=config.seed + 1,
                    dtype=config.precision,
                ),
                dataset,
                latent_dim=config.latent_dim,
                loss=config.loss,
                label_smoothing=config.label_smoothing,
                batch_size=config.batch_size,
                discriminator_steps=config.discriminator_steps,
                generator_optimizer=optimizers.make(**config.generator_optimizer.model_dump()),
                discriminator_optimizer=optimizers.make(
                    **config.discriminator_optimizer.model_dump()
                ),
                ema_half_life_images=config.ema_half_life_images,
                seed=config.seed,
                strategy=strategy,
            )

    @property
    def images_seen(self) -> int:
        """Training so far, in images: steps times batch size."""
        return int(self.step) * self.batch_size

    def train(
        self,
        images: int,
        *,
        log: RunLog | None = None,
        checkpoints: Checkpoints | None = None,
        log_every_images: int = 5_000,
        grid_every_images: int = 50_000,
        checkpoint_every_images: int = 50_000,
    ) -> dict[str, float]:
        """Trains until `images` images have been seen, from wherever training stands.

        Args:
          images: rounded up to whole steps.
          log: receives losses, rates and sample grids.
          checkpoints: what to resume from, and to save to.
          log_every_images, grid_every_images, checkpoint_every_images: each rounded up to steps.

        Returns:
          The means of the losses since the last line of the log.

        Raises:
          FloatingPointError: for a loss that is not finite, when it is logged.
        """
        last_step = math.ceil(images / self.batch_size)
        if checkpoints:
            checkpoints.restore(self._state())
        step = int(self.step)
        if log:
            log.start(self.images_seen, last_step * self.batch_size)
        every = {
            "log": math.ceil(log_every_images / self.batch_size),
            "grid": math.ceil(grid_every_images / self.batch_size),
            "checkpoint": math.ceil(checkpoint_every_images / self.batch_size),
        }

        def due(what: str) -> bool:
            return step % every[what] == 0 or step == last_step

        means: dict[str, float] = {}
        totals = _Means()
        batches = self._batches(step)
        try:
            while step < last_step:
                totals.add(self._train_step(*next(batches)))
                step += 1
                if log:
                    log.advance(step * self.batch_size)
                if due("log"):
                    means = totals.pop()
                    self._refuse_non_finite(means, step)
                    if log:
                        log.write(step, step * self.batch_size, means)
                if log and due("grid"):
                    log.grid(step * self.batch_size, self.sample_latents(self._grid_latents()))
                if checkpoints and due("checkpoint"):
                    checkpoints.save(self._state(), step)
        finally:
            if log:
                log.stop()
        return means

    def evaluate(self, dataset: np.ndarray) -> dict[str, float]:
        """Mean losses and accuracies on `dataset` [n, ...], with nothing updated.

        Returns:
          discriminator_loss, generator_loss; real_accuracy and fake_accuracy: the share that the
          discriminator calls right, in [0, 1].
        """
        totals = _Means()
        for start in range(0, len(dataset), self.batch_size):
            real = self._to_float(tf.constant(dataset[start : start + self.batch_size]))
            index = _EVALUATION_INDEX - start
            latents = data.latents(self.seed, index, (len(real), self.latent_dim))
            real_logits = self.discriminator(real, training=False)
            fake_logits = self.discriminator(self.ema_generator(latents, training=False))
            totals.add(
                {
                    "discriminator_loss": self.loss.discriminator(real_logits, fake_logits),
                    "generator_loss": self.loss.generator(real_logits, fake_logits),
                    "real_accuracy": tf.reduce_mean(tf.cast(real_logits > 0, tf.float32)),
                    "fake_accuracy": tf.reduce_mean(tf.cast(fake_logits <= 0, tf.float32)),
                },
                weight=len(real),
            )
        return totals.pop()

    def sample(self, count: int, seed: int = 0) -> np.ndarray:
        """`count` uint8 images of the averaged generator; the same for the same arguments."""
        served = export.Served(self.ema_generator, self.latent_dim)
        return served.sample(tf.constant(count), tf.constant(seed, tf.int64))["images"].numpy()

    def sample_latents(self, latents: tf.Tensor) -> np.ndarray:
        """uint8 images of the averaged generator for latents [n, latent_dim]."""
        return examples.to_uint8(self.ema_generator(latents, training=False)).numpy()

    def export(self, path: str) -> None:
        """Writes the averaged generator, in float32, as a SavedModel to the new folder `path`."""
        served = _float32_copy(self.ema_generator, self.latent_dim)
        served.set_weights(self.ema_generator.get_weights())
        export.save(served, self.latent_dim, path)

    def export_untrained(self, path: str) -> None:
        """Writes the generator with its initial weights, the zero of every comparison."""
        export.save(_float32_copy(self.generator, self.latent_dim), self.latent_dim, path)

    def _build(self) -> None:
        """Runs both networks once, which makes their variables and shows that they fit."""
        shape = tuple(self.dataset.shape[1:])
        fakes = self.generator(tf.zeros([2, self.latent_dim]), training=False)
        if tuple(fakes.shape[1:]) != shape:
            raise ValueError(
                f"networks.generator: makes data of shape {list(fakes.shape[1:])}, "
                f"the dataset has {list(shape)}"
            )
        logits = self.discriminator(fakes, training=False)
        if logits.shape[0] != 2:
            raise ValueError(
                f"networks.discriminator: gives logits of shape {list(logits.shape)} for 2 data; "
                "the first axis must be the batch"
            )

    def _state(self) -> State:
        """All that training depends on, apart from its configuration and the data."""
        return {
            "step": self.step,
            "generator": self.generator,
            "ema_generator": self.ema_generator,
            "discriminator": self.discriminator,
            "generator_optimizer": self.generator_optimizer,
            "discriminator_optimizer": self.discriminator_optimizer,
        }

    def _batches(self, first_step: int) -> Iterator[tuple[tf.Tensor, tf.Tensor]]:
        batches = data.training_batches(
            self.dataset,
            batch_size=self.batch_size,
            discriminator_steps=self.discriminator_steps,
            latent_dim=self.latent_dim,
            seed=self.seed,
            first_step=first_step,
        )
        return iter(self.strategy.experimental_distribute_dataset(batches))

    def _grid_latents(self) -> tf.Tensor:
        return data.latents(self.seed, _GRID_INDEX, (_GRID_COUNT, self.latent_dim))

    @tf.function(reduce_retracing=True)
    def _train_step(self, real: tf.Tensor, latents: tf.Tensor) -> dict[str, tf.Tensor]:
        per_replica = self.strategy.run(self._replica_step, args=(real, latents))
        self._update_average()
        self.step.assign_add(1)
        return {
            name: self.strategy.reduce(tf.distribute.ReduceOp.MEAN, value, axis=None)
            for name, value in per_replica.items()
        }

    def _replica_step(self, real: tf.Tensor, latents: tf.Tensor) -> dict[str, tf.Tensor]:
        real = self._to_float(real)
        for update in range(self.discriminator_steps - 1):
            fake = self.generator(latents[:, update], training=True)
            self._update_discriminator(real[:, update], fake)
        with tf.GradientTape() as tape:
            fake = self.generator(latents[:, -1], training=True)
        discriminator_loss = self._update_discriminator(real[:, -1], fake)
        generator_loss = self._update_generator(real[:, -1], fake, tape)
        return {"discriminator_loss": discriminator_loss, "generator_loss": generator_loss}

    def _update_discriminator(self, real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
        variables = self.discriminator.trainable_variables
        with tf.GradientTape() as tape:
            # Two passes: batch statistics of reals and fakes must not mix.
            real_logits = self.discriminator(real, training=True)
            fake_logits = self.discriminator(tf.stop_gradient(fake), training=True)
            loss = self.loss.discriminator(real_logits, fake_logits)
            scaled = loss / self.strategy.num_replicas_in_sync
        self.discriminator_optimizer.apply(tape.gradient(scaled, variables), variables)
        return loss

    def _update_generator(
        self, real: tf.Tensor, fake: tf.Tensor, generator_tape: tf.GradientTape
    ) -> tf.Tensor:
        variables = self.generator.trainable_variables
        # Only a relativistic generator's loss asks for the updated discriminator's real logits.
        real_logits = self.discriminator(real, training=True) if self.loss.relativistic else None
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(fake)
            fake_logits = self.discriminator(fake, training=True)
            loss = self.loss.generator(real_logits, fake_logits)
            scaled = loss / self.strategy.num_replicas_in_sync
        to_fake = tape.gradient(scaled, fake)
        gradients = generator_tape.gradient(fake, variables, output_gradients=to_fake)
        self.generator_optimizer.apply(gradients, variables)
        return loss

    def _update_average(self) -> None:
        def towards(average: tf.Variable, value: tf.Tensor) -> None:
            average.assign_sub((1.0 - self.ema_decay) * (average - value))

        for average, weight in zip(self.ema_generator.weights, self.generator.weights, strict=True):
            # Seed states and other counters are not averaged.
            if weight.dtype == "float32":
                self.strategy.extended.update(average.value, towards, args=(weight.value,))

    @staticmethod
    def _to_float(values: tf.Tensor) -> tf.Tensor:
        return examples.to_float(values) if values.dtype == tf.uint8 else values

    @staticmethod
    def _refuse_non_finite(means: Mapping[str, float], step: int) -> None:
        for name, value in means.items():
            if not math.isfinite(value):
                raise FloatingPointError(
                    f"{name} is {value} at step {step}: lower the learning rate of its optimizer"
                )


class _Means:
    """Means of dictionaries of scalars, fetched from the device when they are asked for."""

    def __init__(self) -> None:
        self._sums: dict[str, tf.Tensor] = {}
        self._weight = 0

    def add(self, values: Mapping[str, tf.Tensor], weight: int = 1) -> None:
        for name, value in values.items():
            self._sums[name] = self._sums.get(name, 0.0) + value * weight
        self._weight += weight

    def pop(self) -> dict[str, float]:
        means = {name: float(total) / self._weight for name, total in self._sums.items()}
        self._sums, self._weight = {}, 0
        return means


def _float32_copy(generator: keras.Model, latent_dim: int) -> keras.Model:
    """The same network with its initial weights, computing in float32."""
    config = generator.get_config()
    if "dtype" in config:
        config = {**config, "dtype": "float32"}
    copy = type(generator).from_config(config)
    copy(tf.zeros([1, latent_dim]))
    return copy
