"""GANTrainer: trains, evaluates, samples and exports a GAN."""

import functools
import math
import os
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from components.common import plugins
from components.common.config import validate
from components.trainer import assembly, devices, sampling
from components.trainer.callbacks import checkpoints, preemption, quality
from components.trainer.callbacks.callback import Callback, StepEnd
from components.trainer.callbacks.json_log import JsonLog, Means, Waiting
from components.trainer.callbacks.monitor import Selection
from components.trainer.callbacks.terminate_on_nan import TerminateOnNaN
from components.trainer.config import TrainerConfig, TrainingConfig
from components.trainer.data import sources
from components.trainer.data.batches import distributed_batches
from components.trainer.data.encoding import Encoding
from components.trainer.export import save
from components.trainer.gan.averaging import update_average, weights_are_finite
from components.trainer.gan.losses import discriminator_accuracy
from components.trainer.gan.network_pair import Pair
from components.trainer.gan.step import to_float
from components.trainer.workers import Workers

CHECKPOINTS_FOLDER = "checkpoints"
LOG_FOLDER = "log"


class GANTrainer:
    """Trains a generator against a discriminator: train / evaluate / sample / export.

    Args:
      generator: latents [n, latent_dim], or [latents, labels [n]] with conditioning, to data
        [n, ...] in [-1, 1]. Any Keras model.
      discriminator: data [n, ...] to logits; see `networks.Discriminator` for conditioning.
      dataset: uint8 images, or floats in [-1, 1]: an array [n, ...], (array, labels [n]), a
        tf.data.Dataset of data or (data, label), or the path of tf.Examples; see `sources`.
      strategy: default `devices.strategy()`. Networks must be unbuilt, or built in its scope.
      extract: features for the quality measured during training, from data as returned by `sample`;
        default: pixels. Not those that the discriminator is made of.
      encoding: that made vectors of a table's rows; samples, and what is exported, are rows.
      mirror: whether each image is its mirror image half of the time; see `sources.open_source`.
      callbacks: your own callbacks, called after those that measure, log and save.
      **options: the fields of `config.TrainingConfig`, e.g. loss="hinge", latent_dim=100,
        penalties=[{"name": "r1", "weight": 1.0}]. Optimizers may be Keras optimizer objects.

    Raises:
      ValueError: for unknown, invalid or incompatible options, networks that do not fit each other
        or the data, invalid data, a dataset smaller than a batch, an encoding of another width, and
        conditioning without labels. The message is one line and names the option.
    """

    def __init__(
        self,
        generator: keras.Model,
        discriminator: keras.Model,
        dataset: Any,  # noqa: ANN401
        *,
        strategy: tf.distribute.Strategy | None = None,
        extract: quality.Extract | None = None,
        encoding: Encoding | None = None,
        mirror: bool = False,
        callbacks: Sequence[Callback] = (),
        **options: Any,  # noqa: ANN401
    ) -> None:
        given = {
            name: options.pop(name)
            for name in ("generator_optimizer", "discriminator_optimizer")
            if isinstance(options.get(name), keras.optimizers.Optimizer)
        }
        self.options = validate(TrainingConfig, options)
        self.strategy = strategy or devices.strategy(self.options.wait_for_workers_minutes)
        self.workers = Workers(self.strategy)
        assembly.check_batch(self.strategy, self.options)
        self.generator, self.discriminator = generator, discriminator
        self.source = sources.open_source(dataset, mirror=mirror)
        self.data_shape = tuple(self.source.data_shape)
        self.encoding = encoding
        if encoding:
            encoding.check_shape(self.data_shape)
        self._conditioning = self.options.conditioning
        self.num_classes = assembly.count_classes(self._conditioning, self.source)
        self.source.check_batch_size(self.options.batch_size)
        # Outside the strategy's scope: only the host reads and writes these.
        self.step = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.rollbacks = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.learning_rate_factor = tf.Variable(1.0, trainable=False)
        self.selection = Selection()
        with self.strategy.scope():
            self._pair = Pair(
                generator,
                discriminator,
                latent_dim=self.options.latent_dim,
                data_shape=self.data_shape,
                conditioning=self._conditioning.discriminator if self._conditioning else None,
                num_classes=self.num_classes,
            )
            self.ema_generator = self._pair.copy_of(generator)
            # The averaged generator at its best measurement.
            self.best_generator = self._pair.copy_of(generator)
            self.parts = assembly.assemble(
                self._pair, self.options, given, self.learning_rate_factor, self.strategy
            )
        quality.check_independent(extract, self._pair.pretrained)
        players = self.parts.players
        self.generator_optimizer, self.discriminator_optimizer = (p.optimizer for p in players)
        self.callbacks: list[Callback] = []
        self.stop_training, self.total_images, self._steps = False, 0, 0
        self._user_callbacks = callbacks
        self._extract = extract or (quality.encoded(encoding) if encoding else quality.pixels)
        shares = assembly.class_shares(self.source, self.num_classes)
        self._sampler = sampling.Sampler(self.options, shares, encoding)

    @classmethod
    def from_config(
        cls,
        config: TrainerConfig,
        dataset: Any,  # noqa: ANN401
        *,
        strategy: tf.distribute.Strategy | None = None,
        extract: quality.Extract | None = None,
        encoding: Encoding | None = None,
        callbacks: Sequence[Callback] = (),
    ) -> "GANTrainer":
        """The trainer of a recipe's section `trainer`; `callbacks` are called after its own."""
        strategy = strategy or devices.strategy(config.wait_for_workers_minutes)
        source = sources.open_source(dataset)
        with strategy.scope():
            generator, discriminator = assembly.make_networks(config, source, encoding)
        options = {name: getattr(config, name) for name in TrainingConfig.model_fields}
        options["latent_dim"] += sum(encoding.groups) if encoding else 0
        return cls(
            generator,
            discriminator,
            source,
            strategy=strategy,
            extract=extract,
            encoding=encoding,
            callbacks=[*(plugins.load(name)() for name in config.callbacks), *callbacks],
            **options,
        )

    @property
    def images_seen(self) -> int:
        """Images seen so far: steps times batch size."""
        return int(self.step) * self.options.batch_size

    @property
    def chosen_generator(self) -> keras.Model:
        """The generator to sample and export: the best one measured, else the averaged one."""
        return self.best_generator if self.selection.made else self.ema_generator

    def train(self, images: int, folder: str | None = None) -> dict[str, float]:
        """Trains until `images` images have been seen in total.

        Args:
          images: rounded up to whole steps.
          folder: path or URI for checkpoints/ and log/. A trainer that has not trained yet resumes
            from there. Default: nothing is written.

        Returns:
          The last line of the log: mean losses and measurements.

        Raises:
          ValueError: if the folder holds a training with another configuration.
          FloatingPointError: if a loss or a weight is not finite.
          CollapseError: if training keeps collapsing despite rollbacks.
          rendezvous.TryAgain: on SIGTERM, or if a worker is lost; exits with 75, can resume.
        """
        options = self.options
        if options.watch.rollback and not folder:
            raise ValueError("watch.rollback: needs a folder with checkpoints to roll back to")
        last_step = math.ceil(images / options.batch_size)
        self.total_images = last_step * options.batch_size
        chief, saved = devices.is_chief(self.strategy), None
        if folder:
            path = os.path.join(folder, CHECKPOINTS_FOLDER)
            configuration = checkpoints.configuration_of(self)
            saved = checkpoints.Checkpoints(path, configuration, chief=chief)
            if not int(self.step):
                saved.restore(checkpoints.state_of(self))
        logs = os.path.join(folder, LOG_FOLDER) if folder and chief else None
        with self.workers.watched(), preemption.sigterm() as terminated:
            self.workers.check_same_step(int(self.step))
            nan, log = TerminateOnNaN(), JsonLog(logs, options.log_every_images)
            self.callbacks = assembly.all_callbacks(
                options, nan, log, saved, self.workers, terminated, self._user_callbacks
            )
            try:
                self._loop(last_step)
                # If a callback ended training, the last step has not been checked.
                nan.check(self)
            finally:
                for callback in self.callbacks:
                    callback.stop(self)
        return log.values

    def _loop(self, last_step: int) -> None:
        size = self.options.batch_size
        self.stop_training = False
        self.rewind()
        while not self.stop_training and (step := self._steps) < last_step:
            self.parts.hyperparameters.set(step * size)
            results = self._train_step(self.waiting.next(), self.parts.step.due(step))
            self._steps = step + 1
            end = StepEnd(step + 1, size, step + 1 == last_step, *results)
            for callback in self.callbacks:
                callback.step_end(self, end)
                if self._steps != end.step:
                    break  # It rolled back, and all callbacks have restarted from there.

    def rewind(self) -> None:
        """Restarts the step counter, the input and all callbacks from the variable `step`."""
        # Kept on the host: reading the variable would wait for the device in each step.
        self._steps = int(self.step)
        self.parts.hyperparameters.start(self.total_images)
        batches = distributed_batches(
            self.strategy,
            self.source,
            batch_size=self.options.batch_size,
            discriminator_steps=self.options.discriminator_steps,
            latent_dim=self.options.latent_dim,
            seed=self.options.seed,
            first_step=self._steps,
            with_labels=bool(self._conditioning),
        )
        self.waiting = Waiting(batches)
        for callback in self.callbacks:
            callback.start(self)

    def warn(self, text: str) -> None:
        """Issues a warning through all callbacks."""
        for callback in self.callbacks:
            callback.warn(self, text)

    @property
    def scheduled(self) -> dict[str, float]:
        """Current values of the scheduled hyperparameters by name."""
        return self.parts.hyperparameters.scheduled

    def measure(self) -> quality.Measurement:
        """The quality of the averaged generator, always from the same latents."""
        inputs = self._sampler.inputs(sampling.QUALITY, self.options.quality.samples)
        return self._measured(self._quality, self.ema_generator, inputs)

    @property
    def select_by(self) -> str:
        """The score that selects the generator to export; see `quality.QualityConfig`."""
        return self.options.quality.select_by or self._quality.select_by

    @functools.cached_property
    def _quality(self) -> quality.Quality:
        taken = self.source.take(self.options.quality.samples, self.options.seed)
        return self._compare_with(*taken)

    def grid_samples(self, count: int) -> np.ndarray:
        """Samples of the averaged generator, always from the same latents; classes cycle."""
        inputs = self._sampler.inputs(sampling.GRID, count)
        return self._sampler.sample(self.ema_generator, inputs)

    def evaluate(self, dataset: Any, count: int = 10_000) -> dict[str, float]:  # noqa: ANN401
        """Losses, discriminator accuracy and quality on other data; updates nothing.

        Args:
          dataset: as for `GANTrainer`; vectors if there is an encoding.
          count: maximum number of data to use.

        Returns:
          discriminator_loss, generator_loss; confidence: discriminator accuracy, the share of
          (real, fake) pairs that it ranks correctly; fid, kid, coverage, recall, diversity and, if
          classes are asked for and `extract` predicts them, class_accuracy: see `quality`.
        """
        source = sources.open_source(dataset, self.data_shape)
        real, labels = source.take(count, self.options.seed)
        real = real[: len(real) - len(real) % self._pair.pac]
        size, totals = self.options.batch_size, Means()
        inputs = self._sampler.inputs(sampling.EVALUATION, len(real))
        if self._conditioning and labels is None:
            raise ValueError("conditioning: the dataset to evaluate on has no labels")
        for start in range(0, len(real), size):
            rows = slice(start, start + size)
            fake = self._sampler.generate(self.chosen_generator, inputs, rows)
            own = None if inputs[1] is None else inputs[1][rows]
            theirs = None if labels is None else labels[: len(real)][rows]
            real_logits, _ = self._pair.logits(to_float(tf.constant(real[rows])), theirs)
            fake_logits, _ = self._pair.logits(tf.cast(fake, tf.float32), own)
            terms = {
                "discriminator_loss": self.parts.loss.discriminator(real_logits, fake_logits),
                "generator_loss": self.parts.loss.generator(real_logits, fake_logits),
                "confidence": discriminator_accuracy(real_logits, fake_logits),
            }
            totals.add(terms, weight=len(real[rows]))
        comparison = self._compare_with(real, None if labels is None else labels[: len(real)])
        return totals.pop() | self._measured(comparison, self.chosen_generator, inputs).scores()

    def sample(self, count: int, seed: int = 0, label: int | None = None) -> np.ndarray:
        """Samples the generator that `export` writes; equal arguments give equal samples.

        Args:
          count: number of samples.
          seed: of the latents, and of the labels with conditioning.
          label: the class to generate, with conditioning; default: classes as often as in the data.

        Returns:
          uint8 images [count, height, width, channels], or codes of rows [count, columns].
        """
        return self._sampler.draw(self.chosen_generator, count, seed, label)

    def export(self, path: str) -> None:
        """Writes `chosen_generator` as a SavedModel to the new folder `path`.

        See `export.ServingSignatures`. Of several workers all call it, and the chief writes.
        """
        generator = self._pair.copy_of(self.chosen_generator, "float32")
        scorer = self._pair.scorer() if self.options.export_scores else None
        if devices.is_chief(self.strategy):
            save(self._sampler.serving(generator, scorer), path, self._pair.pretrained)

    @tf.function(reduce_retracing=True)
    def _train_step(
        self, inputs: dict[str, tf.Tensor], due: tuple[bool, ...]
    ) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor], tf.Tensor]:
        """The terms; whether each term and network is finite, by name; whether all are."""
        terms = self.parts.step(inputs, tf.identity(self.step), due)
        if self.parts.adaptive:
            self.parts.adaptive.observe(terms["real_sign"])
            terms["augmentation_probability"] = tf.identity(self.parts.adaptive.probability)
        update_average(self.strategy, self.ema_generator, self.generator, self.parts.ema_decay)
        self.step.assign_add(1)
        finite = {name: tf.math.is_finite(value) for name, value in terms.items()}
        for name in ("generator", "discriminator"):
            finite[f"{name}'s weights"] = weights_are_finite(getattr(self, name))
        return terms, finite, tf.reduce_all(tf.stack(list(finite.values())))

    def _measured(
        self, comparison: quality.Quality, generator: keras.Model, inputs: sampling.Inputs
    ) -> quality.Measurement:
        labels = None if inputs[1] is None else inputs[1].numpy()
        return comparison.measure(self._sampler.sample(generator, inputs), labels)

    def _compare_with(self, real: np.ndarray, labels: np.ndarray | None) -> quality.Quality:
        # In the same form as the fakes.
        real = real if real.dtype == np.uint8 else self._sampler.postprocess(tf.constant(real))
        return quality.Quality(real, self._extract, labels=labels, seed=self.options.seed)
