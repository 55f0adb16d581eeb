"""From the options to what a training consists of: optimizers, penalties, the step."""

import dataclasses
from collections.abc import Mapping

import keras
import tensorflow as tf

from components.trainer import networks
from components.trainer.config import TrainingConfig
from components.trainer.gan import losses, optimizers, penalties
from components.trainer.gan.augmentation import AdaptiveProbability, Augmentation
from components.trainer.gan.hyperparameters import Knobs
from components.trainer.gan.network_pair import Pair
from components.trainer.gan.penalties import Penalty
from components.trainer.gan.schedules import Schedule
from components.trainer.gan.step import Knob, Player, Step, WeightedPenalty


@dataclasses.dataclass(frozen=True)
class Parts:
    """What is made of the options.

    Attributes:
      loss: the adversarial loss.
      step: plays one step.
      players: generator and discriminator, with their optimizers.
      penalties: of the discriminator, some with a state.
      adaptive: the controller of the augmentation, if it is adaptive.
      ema_decay: of the averaged generator, a step.
      knobs: everything that follows a schedule.
    """

    loss: losses.Loss
    step: Step
    players: tuple[Player, Player]
    penalties: list[Penalty]
    adaptive: AdaptiveProbability | None
    ema_decay: tf.Variable
    knobs: Knobs


def assemble(
    pair: Pair,
    options: TrainingConfig,
    given: Mapping[str, keras.optimizers.Optimizer],
    learning_rate_factor: tf.Variable,
    strategy: tf.distribute.Strategy,
) -> Parts:
    """Makes the parts; in the strategy's scope.

    Args:
      pair: the networks.
      options: what to make.
      given: optimizers that take the place of those of the options, by name of the option.
      learning_rate_factor: what both learning rates are multiplied with.
      strategy: whose replicas share a batch.
    """
    knobs = Knobs()
    players = tuple(
        _player(name, pair, options, given, learning_rate_factor, knobs)
        for name in ("generator", "discriminator")
    )
    weighted = _penalties(options, knobs)
    adaptive, probability = _probability(options, knobs)
    conditioning = options.conditioning
    loss = losses.get(options.loss, options.label_smoothing)
    step = Step(
        *players,
        critic=pair.critic() if weighted else pair.discriminator,
        loss=loss,
        penalties=weighted,
        augmentation=_augmentation(options, pair),
        probability=probability,
        weight_clip=options.weight_clip,
        conditioning=conditioning and conditioning.discriminator,
        auxiliary_weight=conditioning.auxiliary_weight if conditioning else 0.0,
        discriminator_steps=options.discriminator_steps,
        gradient_accumulation=options.gradient_accumulation,
        seed=options.seed,
        xla=options.xla,
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
        players=players,
        penalties=[entry.penalty for entry in weighted],
        adaptive=adaptive,
        ema_decay=knobs.add("ema_half_life_images", options.ema_half_life_images, transform=decay),
        knobs=knobs,
    )


def _player(
    name: str,
    pair: Pair,
    options: TrainingConfig,
    given: Mapping[str, keras.optimizers.Optimizer],
    learning_rate_factor: tf.Variable,
    knobs: Knobs,
) -> Player:
    config = getattr(options, f"{name}_optimizer")
    optimizer = given.get(f"{name}_optimizer")
    learning_rate = config.learning_rate
    if optimizer is None:
        optimizer = optimizers.make(config.name, **config.arguments)
    else:
        learning_rate = float(optimizer.learning_rate)
    knobs.add(
        f"{name}_learning_rate",
        learning_rate,
        optimizers.schedulable(optimizer, "learning_rate"),
        lambda value, _: value * float(learning_rate_factor),
    )
    if isinstance(config.beta_2, Schedule):
        variable = optimizers.schedulable(optimizer, "beta_2")
        knobs.add(f"{name}_beta_2", config.beta_2, variable)
    network = getattr(pair, name)
    if "float16" in networks.compute_dtypes(network):
        optimizer = optimizers.with_loss_scaling(optimizer)
    optimizer.build(network.trainable_variables)
    return Player(network, optimizer, config.clip_norm)


def _penalties(options: TrainingConfig, knobs: Knobs) -> list[WeightedPenalty]:
    weighted = []
    for config in options.penalties:
        penalty = penalties.make(config.name, **config.options)
        weight = penalty.default_weight if config.weight is None else config.weight
        knob = knobs.add(f"{config.name}_weight", weight)
        weighted.append(WeightedPenalty(config.name, penalty, knob, config.interval))
    return weighted


def _probability(options: TrainingConfig, knobs: Knobs) -> tuple[AdaptiveProbability | None, Knob]:
    """The controller, if there is one, and the probability that the step reads."""
    if not options.augmentation:
        return None, 0.0
    config = options.augmentation.adaptive
    if not config:
        return None, knobs.add("augmentation_probability", options.augmentation.probability)
    adaptive = AdaptiveProbability(
        target=config.target,
        images_to_one=config.images,
        every_steps=config.every_steps,
        batch_size=options.batch_size,
    )
    return adaptive, adaptive.probability


def _augmentation(options: TrainingConfig, pair: Pair) -> Augmentation | None:
    if not options.augmentation:
        return None
    augmentation = Augmentation(options.augmentation.transforms)
    augmentation.check_shape(pair.data_shape)
    return augmentation
