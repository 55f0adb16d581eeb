"""Builds what training needs from its options: networks, optimizers, the step and callbacks."""

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
from components.trainer.config import (
    ConditioningConfig,
    TrainerConfig,
    TrainingConfig,
    check_penalties,
    check_scores,
)
from components.trainer.data.encoding import Encoding
from components.trainer.data.sources import Source
from components.trainer.gan import losses, optimizers, penalties
from components.trainer.gan.augmentation import AdaptiveProbability
from components.trainer.gan.hyperparameters import ScheduledHyperparameters
from components.trainer.gan.network_pair import Pair
from components.trainer.gan.penalties import PENALTIES, Penalty
from components.trainer.gan.schedules import Schedule
from components.trainer.gan.step import Augment, Player, Step, WeightedPenalty
from components.trainer.networks import DISCRIMINATORS, GENERATORS
from components.trainer.networks.base import BATCH_NORM, CONCATENATION
from components.trainer.workers import Workers


@dataclasses.dataclass(frozen=True)
class Parts:
    """The result of `assemble`.

    Attributes:
      loss: the adversarial loss.
      step: runs one training step.
      players: generator and discriminator, with their optimizers.
      penalties: the discriminator's penalties, some of which have state.
      adaptive: the controller of the augmentation probability, if that is adaptive.
      ema_decay: decay of the averaged generator per step.
      hyperparameters: the scheduled hyperparameters.
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
    """Builds the parts; call it in the strategy's scope.

    Args:
      pair: the networks.
      options: the training options.
      given: optimizers that replace those of the options, by option name.
      learning_rate_factor: multiplies both learning rates.
      strategy: its replicas share a batch.

    Raises:
      ValueError: if packs do not fill a device's share of a batch.
    """
    share = options.batch_size // strategy.num_replicas_in_sync // options.gradient_accumulation
    if share % pair.pac:
        raise ValueError(
            f"networks.pac: {pair.pac} does not divide the {share} data of a device and a part"
        )
    check_scores(options.export_scores, pair.pac)
    hyperparameters = ScheduledHyperparameters()
    generator, discriminator = (
        _player(name, pair, options, given, learning_rate_factor, hyperparameters)
        for name in ("generator", "discriminator")
    )
    weighted = _penalties(options, pair, hyperparameters)
    augment, adaptive = _augmentation(options, pair, hyperparameters)
    loss = losses.get(options.loss, options.label_smoothing)
    top_k = None if options.top_k is None else hyperparameters.add("top_k", options.top_k)
    step = Step(
        generator,
        discriminator,
        options=options,
        loss=loss,
        penalties=weighted,
        augment=augment,
        top_k=top_k,
        strategy=strategy,
    )

    def decay(half_life: float, images_seen: float) -> float:
        # Ramp-up: Karras et al. 2020 (arXiv:2006.06676), appendix.
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
    options: TrainingConfig, pair: Pair, hyperparameters: ScheduledHyperparameters
) -> list[WeightedPenalty]:
    check_penalties(options.penalties, networks.compute_dtypes(pair.discriminator))
    weighted: list[WeightedPenalty] = []
    # One copy for all.
    exact = [
        config.name
        for config in options.penalties
        if config.precision == "float32" and PENALTIES.get(config.name).differentiates
    ]
    float32 = pair.float32_discriminator() if exact else None
    for config in options.penalties:
        penalty = penalties.make(config.name, **config.options)
        penalty.check_shape(pair.data_shape)
        if penalty.per_example and (layers := pair.batch_norm_layers()):
            raise ValueError(
                f"penalties: {config.name} is about each datum's own slope, but "
                f"networks.discriminator has batch normalisation ({', '.join(layers)}); use "
                "LayerNormalization or none (dcgan: batch_norm=False), or the penalty r1"
            )
        weight = penalty.default_weight if config.weight is None else config.weight
        variable = hyperparameters.add(f"{config.name}_weight", weight)
        network = float32 if config.name in exact else pair.discriminator
        weighted.append(WeightedPenalty(config.name, penalty, variable, config.interval, network))
    return weighted


def _augmentation(
    options: TrainingConfig, pair: Pair, hyperparameters: ScheduledHyperparameters
) -> tuple[Augment | None, AdaptiveProbability | None]:
    """The augmentation, and the controller of its probability if that is adaptive."""
    config = options.augmentation
    if not config:
        return None, None
    augmentation = config.make()
    augmentation.check_shape(pair.data_shape)
    adaptive = None
    if config.adaptive:
        shown = options.batch_size * options.discriminator_steps
        adaptive = AdaptiveProbability(config.adaptive, shown)
        probability = adaptive.probability
    else:
        probability = hyperparameters.add("augmentation_probability", config.probability)
    return (lambda images, rng: augmentation(images, probability, rng)), adaptive


def make_networks(
    config: TrainerConfig, source: Source, encoding: Encoding | None = None
) -> tuple[keras.Model, keras.Model]:
    """Makes a recipe's generator and discriminator; call it in the strategy's scope.

    Args:
      config: the section `trainer`.
      source: the data.
      encoding: of a table's rows.
    """
    groups = encoding.groups if encoding else ()
    named, conditioning = config.networks, config.conditioning
    common: dict[str, Any] = {"dtype": config.settled().precision}
    if conditioning:
        common["num_classes"] = conditioning.num_classes or source.num_classes
    make_generator = networks.resolve(named.generator, GENERATORS)
    usual = getattr(make_generator, "conditionings", (CONCATENATION,))[0]
    generator = make_generator(
        config.latent_dim + sum(groups),
        source.data_shape,
        seed=config.seed,
        **named.options_of(GENERATORS),
        **({"groups": groups} if groups else {}),
        **({"given": _given(encoding)} if encoding and _asks_for_columns(conditioning) else {}),
        **common,
        **({"conditioning": conditioning.generator or usual} if conditioning else {}),
    )
    make_discriminator = networks.resolve(named.discriminator, DISCRIMINATORS)
    per_example = any(PENALTIES.get(penalty.name).per_example for penalty in config.penalties)
    supports = getattr(make_discriminator, "supports", ())
    discriminator = make_discriminator(
        source.data_shape,
        # A different seed, so that the two networks do not start with the same weights.
        seed=config.seed + 1,
        **named.options_of(DISCRIMINATORS),
        **({"batch_norm": False} if per_example and BATCH_NORM in supports else {}),
        **common,
        **({"conditioning": conditioning.discriminator} if conditioning else {}),
    )
    return generator, discriminator


def _asks_for_columns(conditioning: ConditioningConfig | None) -> bool:
    return conditioning is not None and conditioning.by == "columns"


def _given(encoding: Encoding) -> tuple[int, ...]:
    """The components among those of all groups that the labels stand for."""
    first = encoding.width - sum(encoding.groups)
    return tuple(place - first for group in encoding.conditions for place in group)


def check_batch(strategy: tf.distribute.Strategy, options: TrainingConfig) -> None:
    """Raises ValueError, naming the key, if the batch cannot be split over the devices."""
    count, parts = strategy.num_replicas_in_sync, options.gradient_accumulation
    if options.batch_size % (count * parts):
        times = f" times gradient_accumulation {parts}" if parts > 1 else ""
        raise ValueError(
            f"batch_size: {options.batch_size} is not a multiple of the {count} devices{times}"
        )
    if options.xla and count > 1:
        raise ValueError(f"xla: true needs a single device, found {count}; remove it")


def count_classes(conditioning: ConditioningConfig | None, source: Source) -> int:
    """The number of classes to learn; 0 without conditioning.

    Raises:
      ValueError: if the data have no labels or more classes than `conditioning.num_classes`, or if
        the number of classes is unknown.
    """
    if not conditioning:
        return 0
    if not source.has_labels:
        raise ValueError("conditioning: the dataset has no labels; label the data, or remove it")
    found = source.num_classes
    count = conditioning.num_classes or found
    if not count:
        raise ValueError(
            "conditioning.num_classes: missing; it cannot be inferred from a tf.data.Dataset"
        )
    if found > count:
        raise ValueError(f"conditioning.num_classes: {count}, but the labels go up to {found - 1}")
    return count


def class_shares(source: Source, num_classes: int) -> np.ndarray | None:
    """Sampling frequency of each class: as in the data, else uniform; None without classes."""
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
    workers: Workers,
    terminated: Callable[[], bool],
    user_callbacks: Sequence[Callback],
) -> list[Callback]:
    """The built-in callbacks and the user's, in the order they are called.

    Args:
      options: the training options.
      nan: called first.
      log: the log that the others show.
      checkpoints: where to save training; None: nowhere.
      workers: that train together.
      terminated: from `preemption.sigterm`.
      user_callbacks: called after those that measure, log and save.
    """
    saving, watch, grids = options.checkpoint_every_images, options.watch, options.grid_every_images
    backup = None
    if checkpoints:
        minutes = options.checkpoint_every_minutes
        backup = BackupAndRestore(checkpoints, saving, minutes, rolls_back=watch.rollback)
    return [
        nan,
        # Rollback relies on each checkpoint having passed a measurement.
        QualityMonitor(options.quality, saving if watch.rollback else None),
        # Before any recording, as a rollback discards the step.
        CollapseWatch(watch, backup),
        log,
        ProgressBar(log),
        *([SampleGrids(log.folder, grids), TensorBoard(log.folder, grids)] if log.folder else []),
        *([backup] if backup else []),
        *user_callbacks,
        # Last, because they end training: the step has been recorded and saved by now.
        Preemption(workers, terminated, nan, backup),
        EarlyStopping(options.quality.patience),
    ]
