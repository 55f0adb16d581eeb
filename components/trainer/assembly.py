"""Builds the parts of a training from its options: optimizers, penalties, the step."""

import dataclasses
from collections.abc import Mapping

import keras
import tensorflow as tf

from components.trainer import networks
from components.trainer.config import TrainingConfig
from components.trainer.gan import losses, optimizers, penalties
from components.trainer.gan.augmentation import AdaptiveProbability, Augmentation
from components.trainer.gan.hyperparameters import ScheduledHyperparameters
from components.trainer.gan.network_pair import Pair
from components.trainer.gan.penalties import Penalty
from components.trainer.gan.schedules import Schedule
from components.trainer.gan.step import Augment, Player, Step, WeightedPenalty


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
