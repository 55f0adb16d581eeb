"""The life cycle of a GAN: class GANTrainer."""

import dataclasses
import math
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from components.common import plugins
from components.common.config import validate
from components.trainer import devices, networks
from components.trainer.assembly import assemble
from components.trainer.callbacks import preemption, quality
from components.trainer.callbacks.callback import Callback, StepEnd
from components.trainer.callbacks.checkpoints import BackupAndRestore, Checkpoints, State
from components.trainer.callbacks.collapse import CollapseWatch
from components.trainer.callbacks.json_log import JsonLog, Means, Waiting
from components.trainer.callbacks.monitor import EarlyStopping, QualityMonitor, Selection
from components.trainer.callbacks.preemption import Preemption
from components.trainer.callbacks.progress_bar import ProgressBar
from components.trainer.callbacks.sample_grids import SampleGrids
from components.trainer.callbacks.tensorboard import TensorBoard
from components.trainer.callbacks.terminate_on_nan import TerminateOnNaN
from components.trainer.config import TrainerConfig, TrainingConfig
from components.trainer.data import sources
from components.trainer.data.batches import distributed_batches, latents
from components.trainer.data.scaling import Scaling
from components.trainer.export import Served, finished, save
from components.trainer.gan.network_pair import Pair, with_labels
from components.trainer.gan.step import to_float
from components.trainer.networks import DISCRIMINATORS, GENERATORS

CHECKPOINTS_FOLDER = "checkpoints"
LOG_FOLDER = "log"

# Training draws latents at indices from 0; what looks at the generator draws its own below.
_GRID_INDEX, _EVALUATION_INDEX, _QUALITY_INDEX = -1, -2, -3
# They change nothing about what is learnt, and may differ when a training is resumed.
_FREE_OPTIONS = {"checkpoint_every_images", "grid_every_images", "log_every_images"}


class GANTrainer:
    """Trains a generator against a discriminator: train / evaluate / sample / export.

    Args:
      generator: latents [n, latent_dim], or [latents, labels [n]] with conditioning, to data
        [n, ...] in [-1, 1]. Any Keras model.
      discriminator: data [n, ...] to logits; see `networks.Discriminator` for conditioning.
      dataset: uint8 images, or floats in [-1, 1]: an array [n, ...], (array, labels [n]), a
        tf.data.Dataset of data or (data, label), or the path of tf.Examples; see `sources`.
      strategy: default `devices.strategy()`. Networks must be unbuilt, or built in its scope.
      extract: features for the quality measured while training goes on, of data as `sample` gives
        them; default: pixels.
      scaling: of vectors that `Scaling.to_unit` has brought to [-1, 1]: what leaves the trainer is
        in their units again.
      callbacks: of your own; they come after those that measure, log and save.
      **options: the fields of `config.TrainingConfig`, e.g. loss="hinge", latent_dim=100,
        penalties=[{"name": "r1", "weight": 1.0}]. The optimizers may be Keras's own objects.

    Raises:
      ValueError: for options that are unknown, out of range or do not fit each other, networks
        that do not fit each other or the data, data that are no input for training, a dataset
        smaller than a batch, a scaling of other columns, and conditioning without labels; one line
        that names the option.
    """

    def __init__(
        self,
        generator: keras.Model,
        discriminator: keras.Model,
        dataset: Any,  # noqa: ANN401
        *,
        strategy: tf.distribute.Strategy | None = None,
        extract: quality.Extract | None = None,
        scaling: Scaling | None = None,
        callbacks: Sequence[Callback] = (),
        **options: Any,  # noqa: ANN401
    ) -> None:
        given = {
            name: options.pop(name)
            for name in ("generator_optimizer", "discriminator_optimizer")
            if isinstance(options.get(name), keras.optimizers.Optimizer)
        }
        self.options = validate(TrainingConfig, options)
        self.strategy = strategy or devices.strategy()
        self._refuse_devices()
        self.generator, self.discriminator = generator, discriminator
        self.source = sources.open_source(dataset)
        self.data_shape = tuple(self.source.data_shape)
        self.scaling = scaling
        if scaling and self.data_shape != (len(scaling.columns),):
            raise ValueError(
                f"scaling: of {len(scaling.columns)} columns, the data have {list(self.data_shape)}"
            )
        self._conditioning = self.options.conditioning
        self.num_classes = self._count_classes()
        self.source.check_batch_size(self.options.batch_size)
        # Out of the strategy's scope: only the host reads and writes these.
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
            self.ema_generator = self._pair.copy_generator()
            # The average as it was when it measured best.
            self.best_generator = self._pair.copy_generator()
            self._parts = assemble(
                self._pair, self.options, given, self.learning_rate_factor, self.strategy
            )
        players = self._parts.players
        self.generator_optimizer, self.discriminator_optimizer = (p.optimizer for p in players)
        self.callbacks: list[Callback] = []
        self.stop_training = False
        self.total_images = self._steps = 0
        self._own_callbacks = callbacks
        self._quality: quality.Quality | None = None
        self._extract = extract or (quality.scaled(scaling) if scaling else quality.pixels)
        self._generate = tf.function(lambda network, inputs: network(inputs, training=False))

    @classmethod
    def from_config(
        cls,
        config: TrainerConfig,
        dataset: Any,  # noqa: ANN401
        *,
        strategy: tf.distribute.Strategy | None = None,
        extract: quality.Extract | None = None,
        scaling: Scaling | None = None,
    ) -> "GANTrainer":
        """The trainer that a recipe's `trainer` section describes."""
        strategy = strategy or devices.strategy()
        source = sources.open_source(dataset)
        named, conditioning = config.networks, config.conditioning
        common: dict[str, Any] = {
            "width": named.width,
            "self_attention": named.self_attention,
            "dtype": config.precision,
        }
        generator_options, discriminator_options = common.copy(), common.copy()
        if conditioning:
            num_classes = conditioning.num_classes or source.num_classes
            generator_options |= {"num_classes": num_classes}
            generator_options |= {"conditioning": conditioning.generator}
            discriminator_options |= {"num_classes": num_classes}
            discriminator_options |= {"conditioning": conditioning.discriminator}
        with strategy.scope():
            generator = networks.resolve(named.generator, GENERATORS)(
                config.latent_dim, source.data_shape, seed=config.seed, **generator_options
            )
            discriminator = networks.resolve(named.discriminator, DISCRIMINATORS)(
                source.data_shape,
                # A seed of its own, so that the two networks do not start alike.
                seed=config.seed + 1,
                spectral_norm=named.spectral_norm,
                **discriminator_options,
            )
        options = {name: getattr(config, name) for name in TrainingConfig.model_fields}
        return cls(
            generator,
            discriminator,
            source,
            strategy=strategy,
            extract=extract,
            scaling=scaling,
            callbacks=[plugins.load(name)() for name in config.callbacks],
            **options,
        )

    @property
    def images_seen(self) -> int:
        """Training so far, in images: steps times batch size."""
        return int(self.step) * self.options.batch_size

    @property
    def chosen_generator(self) -> keras.Model:
        """What is sampled and exported: the best generator measured, else the averaged one."""
        return self.best_generator if self.selection.made else self.ema_generator

    def train(self, images: int, folder: str | None = None) -> dict[str, float]:
        """Trains until `images` images have been seen, from wherever training stands.

        Args:
          images: rounded up to whole steps.
          folder: path or URI for checkpoints/ and log/. A trainer that has not trained yet resumes
            from there. Default: nothing is written.

        Returns:
          The last line of the log: means of the losses, and what was measured.

        Raises:
          ValueError: where the folder holds a training of another configuration.
          FloatingPointError: for a loss or a weight that is not finite.
          CollapseError: where rolling back was asked for and has not helped.
          preemption.Preempted: after SIGTERM; the process ends with 75, and training can resume.
        """
        options = self.options
        if options.watch.rollback and not folder:
            raise ValueError("watch.rollback: needs a folder for the checkpoints to go back to")
        last_step = math.ceil(images / options.batch_size)
        self.total_images = last_step * options.batch_size
        backup = self._backup(folder) if folder else None
        if backup and not int(self.step):
            backup.restore(self)
        logs = os.path.join(folder, LOG_FOLDER) if folder else None
        with preemption.sigterm() as terminated:
            log = JsonLog(
                logs if devices.is_chief(self.strategy) else None, options.log_every_images
            )
            nan = TerminateOnNaN()
            self.callbacks = self._all_callbacks(nan, log, backup, terminated)
            try:
                self._loop(last_step)
                # Where a callback ended the training, the last step has not been looked at.
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
            self._parts.hyperparameters.set(step * size)
            terms, finite, all_finite = self._train_step(
                self.waiting.next(), self._parts.step.due(step)
            )
            self._steps = step + 1
            end = StepEnd(step + 1, size, step + 1 == last_step, terms, finite, all_finite)
            for callback in self.callbacks:
                callback.step_end(self, end)
                if self._steps != end.step:
                    break  # It went back, and the others have started again from there.

    def rewind(self) -> None:
        """Starts the loop's counters, its input and all callbacks at `step`, wherever that is."""
        # On the host: to read the variable would be to wait for the device in each step.
        self._steps = int(self.step)
        self._parts.hyperparameters.start(self.total_images)
        self.waiting = Waiting(self._batches(self._steps))
        for callback in self.callbacks:
            callback.start(self)

    def _all_callbacks(
        self,
        nan: TerminateOnNaN,
        log: JsonLog,
        backup: BackupAndRestore | None,
        terminated: Callable[[], bool],
    ) -> list[Callback]:
        """The built-in callbacks and the user's own; their order matters."""
        options = self.options
        saved = options.checkpoint_every_images if options.watch.rollback else None
        callbacks: list[Callback] = [
            nan,
            QualityMonitor(options.quality.every_images, saved, options.quality.select_by),
            # Before anything is recorded: what is gone back from did not happen.
            CollapseWatch(options.watch, backup),
            log,
            ProgressBar(log),
        ]
        if log.folder:
            callbacks.append(SampleGrids(log.folder, options.grid_every_images))
            callbacks.append(TensorBoard(log.folder, options.grid_every_images))
        if backup:
            callbacks.append(backup)
        # Last, as they end the training: the step has been recorded and saved.
        ending = [Preemption(terminated, nan, backup), EarlyStopping(options.quality.patience)]
        return [*callbacks, *self._own_callbacks, *ending]

    def _backup(self, folder: str) -> BackupAndRestore:
        checkpoints = Checkpoints(
            os.path.join(folder, CHECKPOINTS_FOLDER),
            self._configuration(),
            chief=devices.is_chief(self.strategy),
        )
        options = self.options
        return BackupAndRestore(
            checkpoints, options.checkpoint_every_images, at_start=options.watch.rollback
        )

    def warn(self, text: str) -> None:
        """Says something that a person should read, through all callbacks."""
        for callback in self.callbacks:
            callback.warn(self, text)

    @property
    def latest_checkpoint(self) -> str | None:
        """Path of the last checkpoint of this training; None where nothing is saved."""
        backups = [c for c in self.callbacks if isinstance(c, BackupAndRestore)]
        return backups[0].latest if backups else None

    @property
    def scheduled(self) -> dict[str, float]:
        """Name to present value of the hyperparameters that follow a schedule."""
        return self._parts.hyperparameters.scheduled

    def measure(self) -> quality.Measurement:
        """The quality of the averaged generator, from the same latents each time."""
        options = self.options
        if self._quality is None:
            real, _ = self.source.take(options.quality.samples, options.seed)
            self._quality = self._compare_with(real)
        inputs = self._inputs(_QUALITY_INDEX, options.quality.samples)
        return self._quality.measure(self._data(self.ema_generator, inputs))

    def grid_samples(self, count: int) -> np.ndarray:
        """Data of the averaged generator, from the same latents each time, all classes in turn."""
        return self._data(self.ema_generator, self._inputs(_GRID_INDEX, count))

    def evaluate(self, dataset: Any, count: int = 10_000) -> dict[str, float]:  # noqa: ANN401
        """Losses, accuracies and quality on other data, with nothing updated.

        Args:
          dataset: as for `GANTrainer`, in [-1, 1] where there is a scaling.
          count: of the data at most.

        Returns:
          discriminator_loss, generator_loss; confidence: the share of the pairs of real and fake
          that the discriminator ranks right; fid, kid, coverage, diversity: see `quality`.
        """
        source = sources.open_source(dataset, self.data_shape)
        real, labels = source.take(count, self.options.seed)
        size, totals = self.options.batch_size, Means()
        inputs, fake_labels = self._inputs(_EVALUATION_INDEX, len(real))
        if self._conditioning and labels is None:
            raise ValueError("conditioning: the dataset to evaluate on has no labels")
        for start in range(0, len(real), size):
            rows = slice(start, start + size)
            own = None if fake_labels is None else fake_labels[rows]
            fake = self._generate(self.chosen_generator, with_labels(inputs[rows], own))
            real_logits, _ = self._pair.logits(
                to_float(tf.constant(real[rows])), None if labels is None else labels[rows]
            )
            fake_logits, _ = self._pair.logits(tf.cast(fake, tf.float32), own)
            ranked = tf.sign(real_logits - fake_logits)
            terms = {
                "discriminator_loss": self._parts.loss.discriminator(real_logits, fake_logits),
                "generator_loss": self._parts.loss.generator(real_logits, fake_logits),
                "confidence": 0.5 + 0.5 * tf.reduce_mean(ranked),
            }
            totals.add(terms, weight=len(real[rows]))
        fakes = self._data(self.chosen_generator, (inputs, fake_labels))
        measured = self._compare_with(real).measure(fakes)
        return totals.pop() | dataclasses.asdict(measured)

    def sample(self, count: int, seed: int = 0, label: int | None = None) -> np.ndarray:
        """`count` data of the generator that `export` writes; the same for the same arguments.

        Args:
          count: how many.
          seed: of the latents, and of the labels where there are classes.
          label: the class to make, with conditioning; default: classes as often as in the data.

        Returns:
          uint8 images [count, height, width, channels], or float32 vectors [count, columns] in the
          units of the `scaling`.
        """
        served = self._served(self.chosen_generator)
        arguments = {"count": tf.constant(count), "seed": tf.constant(seed, tf.int64)}
        if label is None:
            return next(iter(served.sample(**arguments).values())).numpy()
        if not self._conditioning or not 0 <= label < self.num_classes:
            raise ValueError(f"label: {label}, the generator has {self.num_classes} classes")
        arguments["label"] = tf.constant(label, tf.int64)
        return next(iter(served.sample_class(**arguments).values())).numpy()

    def export(self, path: str) -> None:
        """Writes `chosen_generator`, in float32, as a SavedModel to the new folder `path`.

        Its signatures: see `export.Served`. Before training it has its initial weights.
        """
        generator = self._pair.copy_of(self.chosen_generator, "float32")
        save(self._served(generator), path)

    def _refuse_devices(self) -> None:
        options, count = self.options, self.strategy.num_replicas_in_sync
        parts = options.gradient_accumulation
        if options.batch_size % (count * parts):
            each = f", {parts} parts each (gradient_accumulation)" if parts > 1 else ""
            raise ValueError(
                f"batch_size: {options.batch_size} is not a multiple of the {count} devices{each}"
            )
        if options.xla and count > 1:
            raise ValueError(f"xla: true needs one device, here are {count}; leave it out")

    def _count_classes(self) -> int:
        """How many classes are learnt; 0 without conditioning."""
        if not self._conditioning:
            return 0
        if not self.source.has_labels:
            raise ValueError(
                "conditioning: the dataset has no labels; label the data, or leave it out"
            )
        found = self.source.num_classes
        count = self._conditioning.num_classes or found
        if not count:
            raise ValueError(
                "conditioning.num_classes: missing, and a tf.data.Dataset does not tell it"
            )
        if found > count:
            raise ValueError(
                f"conditioning.num_classes: {count}, but the labels go up to {found - 1}"
            )
        return count

    def state(self) -> State:
        """All that training depends on, apart from its configuration and the data.

        As lists of variables: what TensorFlow finds by itself in a network depends on how its
        author keeps the layers.
        """
        networks_ = ("generator", "discriminator", "ema_generator", "best_generator")
        optimizers_ = ("generator_optimizer", "discriminator_optimizer")
        state = {
            "step": self.step,
            "learning_rate_factor": self.learning_rate_factor,
            "rollbacks": self.rollbacks,
            "selection": list(self.selection.variables),
            "augmentation": list(self._parts.adaptive.variables) if self._parts.adaptive else [],
            "penalties": [v for penalty in self._parts.penalties for v in penalty.variables],
        }
        state |= {name: list(getattr(self, name).weights) for name in networks_}
        return state | {name: list(getattr(self, name).variables) for name in optimizers_}

    def _configuration(self) -> dict[str, Any]:
        """What a training must have in common with the one that it resumes."""
        return {
            "generator": networks.describe(self.generator),
            "discriminator": networks.describe(self.discriminator),
            "data": {"shape": list(self.data_shape), "count": self.source.count},
            "scaling": self.scaling and dataclasses.asdict(self.scaling),
            "images": self.total_images if self._parts.hyperparameters.open_ended else None,
            **self.options.model_dump(mode="json", exclude=_FREE_OPTIONS),
        }

    def _batches(self, first_step: int) -> Iterator[dict[str, tf.Tensor]]:
        return distributed_batches(
            self.strategy,
            self.source,
            batch_size=self.options.batch_size,
            discriminator_steps=self.options.discriminator_steps,
            latent_dim=self.options.latent_dim,
            seed=self.options.seed,
            first_step=first_step,
            with_labels=bool(self._conditioning),
        )

    @tf.function(reduce_retracing=True)
    def _train_step(
        self, inputs: dict[str, tf.Tensor], due: tuple[bool, ...]
    ) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor], tf.Tensor]:
        """The terms; whether each of them, and both networks, are finite; and whether all are."""
        terms = self._parts.step(inputs, tf.identity(self.step), due)
        if self._parts.adaptive:
            self._parts.adaptive.observe(terms["real_sign"])
            terms["augmentation_probability"] = tf.identity(self._parts.adaptive.probability)
        self._update_average()
        self.step.assign_add(1)
        finite = {name: tf.math.is_finite(value) for name, value in terms.items()}
        for name in ("generator", "discriminator"):
            network = getattr(self, name)
            sums = [tf.reduce_sum(w.value) for w in network.weights if w.dtype == "float32"]
            finite[f"{name}'s weights"] = tf.math.is_finite(tf.add_n(sums))
        return terms, finite, tf.reduce_all(tf.stack(list(finite.values())))

    def _update_average(self) -> None:
        def towards(average: tf.Variable, value: tf.Tensor) -> None:
            average.assign_sub((1.0 - self._parts.ema_decay) * (average - value))

        for average, weight in zip(self.ema_generator.weights, self.generator.weights, strict=True):
            # Seed states and other counters are not averaged.
            if weight.dtype == "float32":
                self.strategy.extended.update(average.value, towards, args=(weight.value,))

    def _compare_with(self, real: np.ndarray) -> quality.Quality:
        # What is not uint8 comes in the form that fakes are delivered in.
        real = real if real.dtype == np.uint8 else self._finished(tf.constant(real)).numpy()
        return quality.Quality(real, self._extract, seed=self.options.seed)

    def _inputs(self, index: int, count: int) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Latents and labels of `index`: all classes for a grid, else classes as in the data."""
        options = self.options
        made = latents(options.seed, index, (count, options.latent_dim))
        if not self._conditioning:
            return made, None
        if index == _GRID_INDEX:
            return made, tf.range(count) % self.num_classes
        shares = self._class_shares()
        labels = np.random.default_rng([options.seed, -index]).choice(len(shares), count, p=shares)
        return made, tf.constant(labels, tf.int32)

    def _class_shares(self) -> np.ndarray:
        """How often each class is made where nobody asks for one: as in the data, where known."""
        shares = self.source.class_shares
        if shares is None:
            return np.full(self.num_classes, 1 / self.num_classes)
        return np.pad(shares, (0, self.num_classes - len(shares)))

    def _data(
        self, generator: keras.Model, inputs: tuple[tf.Tensor, tf.Tensor | None]
    ) -> np.ndarray:
        """uint8 images or vectors in the units of the data, a batch at a time."""
        given, labels = inputs
        size, made = self.options.batch_size, []
        for start in range(0, len(given), size):
            rows = slice(start, start + size)
            own = None if labels is None else labels[rows]
            values = self._generate(generator, with_labels(given[rows], own))
            made.append(self._finished(values).numpy())
        return np.concatenate(made)

    def _finished(self, values: tf.Tensor) -> tf.Tensor:
        return finished(values, self.scaling)

    def _served(self, generator: keras.Model) -> Served:
        shares = self._class_shares() if self._conditioning else None
        return Served(generator, self.options.latent_dim, shares, self.scaling)
