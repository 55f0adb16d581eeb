"""Builds the parts of a training from its options: networks, optimizers, the step, callbacks."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from components.trainer import networks
from components.trainer.callbacks.callback import Callback
from components.trainer.callbacks.checkpoints import BackupAndRestore, Checkpoints
from components.trainer.callbacks.collapse import CollapseWatch
from components.trainer.callbacks.json_log import JsonLog
from components.trainer.callbacks.monitor import EarlyStopping, QualityMonitor
from components.trainer.callbacks.preemption import Preemption
from components.trainer.callbacks.progress_bar import ProgressBar
from components.trainer.callbacks.sample_grids import SampleGrids
from components.trainer.callbacks.tensorboard import TensorBoard
from components.trainer.callbacks.terminate_on_nan import TerminateOnNaN
from components.trainer.config import ConditioningConfig, TrainerConfig, TrainingConfig
from components.trainer.data.sources import Source
from components.trainer.gan import losses, optimizers, penalties
from components.trainer.gan.augmentation import AdaptiveProbability, Augmentation
from components.trainer.gan.hyperparameters import ScheduledHyperparameters
from components.trainer.gan.network_pair import Pair
from components.trainer.gan.penalties import Penalty
from components.trainer.gan.schedules import Schedule
from components.trainer.gan.step import Augment, Player, Step, WeightedPenalty
from components.trainer.networks import DISCRIMINATORS, GENERATORS


@dataclasses.dataclass(frozen=True)
class Parts:
    """What `assemble` builds.

    Attributes:
      loss: the adversarial loss.
      step: runs one training step.
      players: generator and discriminator, with their optimizers.
      penalties: of the discriminator, some with a state.
      adaptive: the controller of the augmentation, if it is adaptive.
      ema_decay: of the averaged generator, a step.
      hyperparameters: those that follow schedules.
    """

    loss: losses.Loss
    step: Step
    players: tuple[Player, Player]
    penalties: list[Penalty]
    adaptive: AdaptiveProbability | None
    ema_decay: tf.Variable
    hyperparameters: ScheduledHyperparameters


def assemble(
    pair: Pair,
    options: TrainingConfig,
    given: Mapping[str, keras.optimizers.Optimizer],
    learning_rate_factor: tf.Variable,
    strategy: tf.distribute.Strategy,
) -> Parts:
    """Builds the parts; in the strategy's scope.

    Args:
      pair: the networks.
      options: of the training.
      given: optimizers that replace those of the options, by option name.
      learning_rate_factor: factor of both learning rates.
      strategy: whose replicas share a batch.
    """
    hyperparameters = ScheduledHyperparameters()
    generator, discriminator = (
        _player(name, pair, options, given, learning_rate_factor, hyperparameters)
        for name in ("generator", "discriminator")
    )
    weighted = _penalties(options, hyperparameters)
    augment, adaptive = _augmentation(options, pair, hyperparameters)
    loss = losses.get(options.loss, options.label_smoothing)
    step = Step(
        generator,
        discriminator,
        options=options,
        float32_discriminator=pair.float32_discriminator() if weighted else pair.discriminator,
        loss=loss,
        penalties=weighted,
        augment=augment,
        strategy=strategy,
    )

    def decay(half_life: float, images_seen: float) -> float:
        # With ramp-up: Karras et al. 2020 (arXiv:2006.06676), appendix.
        if options.ema_ramp_up:
            half_life = min(half_life, options.ema_ramp_up * images_seen)
        return 0.5 ** (options.batch_size / half_life) if half_life else 0.0

    return Parts(
        loss=loss,
        step=step,
        players=(generator, discriminator),
        penalties=[entry.penalty for entry in weighted],
        adaptive=adaptive,
        ema_decay=hyperparameters.add(
            "ema_half_life_images", options.ema_half_life_images, transform=decay
        ),
        hyperparameters=hyperparameters,
    )


def _player(
    name: str,
    pair: Pair,
    options: TrainingConfig,
    given: Mapping[str, keras.optimizers.Optimizer],
    learning_rate_factor: tf.Variable,
    hyperparameters: ScheduledHyperparameters,
) -> Player:
    config = getattr(options, f"{name}_optimizer")
    optimizer = given.get(f"{name}_optimizer")
    learning_rate = config.learning_rate
    if optimizer is None:
        optimizer = optimizers.make(config.name, **config.arguments)
    else:
        learning_rate = float(optimizer.learning_rate)
    hyperparameters.add(
        f"{name}_learning_rate",
        learning_rate,
        optimizers.schedulable(optimizer, "learning_rate"),
        lambda value, _: value * float(learning_rate_factor),
    )
    if isinstance(config.beta_2, Schedule):
        variable = optimizers.schedulable(optimizer, "beta_2")
        hyperparameters.add(f"{name}_beta_2", config.beta_2, variable)
    network = getattr(pair, name)
    if "float16" in networks.compute_dtypes(network):
        optimizer = optimizers.with_loss_scaling(optimizer)
    optimizer.build(network.trainable_variables)
    return Player(network, optimizer, config.clip_norm)


def _penalties(
    options: TrainingConfig, hyperparameters: ScheduledHyperparameters
) -> list[WeightedPenalty]:
    weighted = []
    for config in options.penalties:
        penalty = penalties.make(config.name, **config.options)
        weight = penalty.default_weight if config.weight is None else config.weight
        variable = hyperparameters.add(f"{config.name}_weight", weight)
        weighted.append(WeightedPenalty(config.name, penalty, variable, config.interval))
    return weighted


def _augmentation(
    options: TrainingConfig, pair: Pair, hyperparameters: ScheduledHyperparameters
) -> tuple[Augment | None, AdaptiveProbability | None]:
    """What augments a batch, and the controller of its probability, if that is adaptive."""
    config = options.augmentation
    if not config:
        return None, None
    augmentation = Augmentation(config.transforms)
    augmentation.check_shape(pair.data_shape)
    adaptive = None
    if config.adaptive:
        adaptive = AdaptiveProbability(config.adaptive, options.batch_size)
        probability = adaptive.probability
    else:
        probability = hyperparameters.add("augmentation_probability", config.probability)
    return (lambda images, rng: augmentation(images, probability, rng)), adaptive


def make_networks(config: TrainerConfig, source: Source) -> tuple[keras.Model, keras.Model]:
    """The generator and the discriminator of a recipe; in the strategy's scope."""
    named, conditioning = config.networks, config.conditioning
    common: dict[str, Any] = {
        "width": named.width,
        "self_attention": named.self_attention,
        "dtype": config.precision,
    }
    if conditioning:
        common["num_classes"] = conditioning.num_classes or source.num_classes
    generator = networks.resolve(named.generator, GENERATORS)(
        config.latent_dim,
        source.data_shape,
        seed=config.seed,
        **common,
        **({"conditioning": conditioning.generator} if conditioning else {}),
    )
    discriminator = networks.resolve(named.discriminator, DISCRIMINATORS)(
        source.data_shape,
        # A seed of its own, so that the two networks do not start alike.
        seed=config.seed + 1,
        spectral_norm=named.spectral_norm,
        **common,
        **({"conditioning": conditioning.discriminator} if conditioning else {}),
    )
    return generator, discriminator


def check_batch(strategy: tf.distribute.Strategy, options: TrainingConfig) -> None:
    """Raises ValueError, naming the key, where the devices cannot share the batch."""
    count, parts = strategy.num_replicas_in_sync, options.gradient_accumulation
    if options.batch_size % (count * parts):
        each = f", {parts} parts each (gradient_accumulation)" if parts > 1 else ""
        raise ValueError(
            f"batch_size: {options.batch_size} is not a multiple of the {count} devices{each}"
        )
    if options.xla and count > 1:
        raise ValueError(f"xla: true needs one device, here are {count}; leave it out")


def count_classes(conditioning: ConditioningConfig | None, source: Source) -> int:
    """How many classes are learnt; 0 without conditioning.

    Raises:
      ValueError: for data without labels, or with more classes than `conditioning.num_classes`,
        and where nothing tells their number.
    """
    if not conditioning:
        return 0
    if not source.has_labels:
        raise ValueError("conditioning: the dataset has no labels; label the data, or leave it out")
    found = source.num_classes
    count = conditioning.num_classes or found
    if not count:
        raise ValueError(
            "conditioning.num_classes: missing, and a tf.data.Dataset does not tell it"
        )
    if found > count:
        raise ValueError(f"conditioning.num_classes: {count}, but the labels go up to {found - 1}")
    return count


def class_shares(source: Source, num_classes: int) -> np.ndarray | None:
    """How often each class is sampled: as in the data, where known; None without classes."""
    if not num_classes:
        return None
    if source.class_shares is None:
        return np.full(num_classes, 1 / num_classes)
    return np.pad(source.class_shares, (0, num_classes - len(source.class_shares)))


def all_callbacks(
    options: TrainingConfig,
    nan: TerminateOnNaN,
    log: JsonLog,
    checkpoints: Checkpoints | None,
    terminated: Callable[[], bool],
    own: Sequence[Callback],
) -> list[Callback]:
    """The built-in callbacks and the user's `own`, in the order in which they come.

    Args:
      options: of the training.
      nan: the first of them.
      log: where lines are written.
      checkpoints: where training is saved; None: nowhere.
      terminated: from `preemption.sigterm`.
      own: come after those that measure, log and save.
    """
    saving, watch, grids = options.checkpoint_every_images, options.watch, options.grid_every_images
    backup = BackupAndRestore(checkpoints, saving, at_start=watch.rollback) if checkpoints else None
    quality = options.quality
    return [
        nan,
        # With rollback, what is saved has to be known to be good.
        QualityMonitor(quality.every_images, saving if watch.rollback else None, quality.select_by),
        # Before anything is recorded: what is gone back from did not happen.
        CollapseWatch(watch, backup),
        log,
        ProgressBar(log),
        *([SampleGrids(log.folder, grids), TensorBoard(log.folder, grids)] if log.folder else []),
        *([backup] if backup else []),
        *own,
        # Last, as they end the training: the step has been recorded and saved.
        Preemption(terminated, nan, backup),
        EarlyStopping(quality.patience),
    ]
