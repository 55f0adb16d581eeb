"""A small convolutional classifier, used for its features."""

import dataclasses

import keras
import tensorflow as tf

from components.feature_extractor import base
from components.feature_extractor.config import FeatureExtractorConfig

OPTIONS = frozenset(
    {"epochs", "batch_size", "learning_rate", "feature_dim", "min_skill", "seed"},
)

# The layer with the last maps, at most [n, 4, 4, 128].
MAPS = "maps"

_SMALLEST_MAP = 4
_FIRST_FILTERS = 16
_MOST_FILTERS = 128
_DROPOUT = 0.3


@dataclasses.dataclass(frozen=True)
class Skill:
    """How well a trained network classifies.

    Attributes:
      eval_accuracy: share of the eval split that is classified correctly, in [0, 1].
      eval_loss: mean cross-entropy on the eval split, in nats.
      chance: share of the largest class in the eval split, in (0, 1).
      skill: (eval_accuracy - chance) / (1 - chance); 0 is guessing, 1 is perfect.
      train_examples, eval_examples: number of images in each split.
      seed: of initial weights, order and dropout.
    """

    eval_accuracy: float
    eval_loss: float
    chance: float
    skill: float
    train_examples: int
    eval_examples: int
    seed: int


def build(image_shape: tuple[int, ...], num_classes: int, feature_dim: int) -> keras.Model:
    """A convolutional classifier of uint8 images [n, height, width, channels].

    Blocks halve the height and width until the larger is at most 4. Returns a model with outputs
    `features` float32 [n, feature_dim], the activations before the last layer, and `probabilities`
    float32 [n, num_classes].
    """
    layers = keras.layers
    images = base.inputs(image_shape)
    hidden = layers.Rescaling(base.SCALE, base.OFFSET)(images)
    size, filters, strides = max(image_shape[:2]), _FIRST_FILTERS, 1
    while True:
        hidden = layers.Conv2D(filters, 3, strides, padding="same", use_bias=False)(hidden)
        # The default momentum, 0.99, needs more steps than a few epochs on a small dataset have.
        hidden = layers.BatchNormalization(momentum=0.9)(hidden)
        hidden = layers.ReLU()(hidden)
        if size <= _SMALLEST_MAP:
            break
        size, filters, strides = -(-size // 2), min(2 * filters, _MOST_FILTERS), 2
    hidden = layers.Identity(name=MAPS)(hidden)
    hidden = layers.Dropout(_DROPOUT)(layers.Flatten()(hidden))
    features = layers.Dense(feature_dim, activation="relu", name="features")(hidden)
    hidden = layers.Dropout(_DROPOUT)(features)
    probabilities = layers.Dense(num_classes, activation="softmax", name="probabilities")(hidden)
    return keras.Model(images, {"features": features, "probabilities": probabilities})


def learner(extractor: keras.Model, config: FeatureExtractorConfig, steps: int) -> keras.Model:
    """The classifier of `build`'s model, compiled for a fit of `steps` steps."""
    classifier = keras.Model(extractor.input, extractor.output["probabilities"])
    schedule = keras.optimizers.schedules.CosineDecay(config.learning_rate, steps)
    classifier.compile(
        keras.optimizers.Adam(schedule),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return classifier


def in_batches(count: int, batch_size: int, *, shuffled: bool) -> tf.data.Dataset:
    """Batches of row indices, int64 [batch_size]; an epoch is a permutation of [0, count)."""
    rows = tf.data.Dataset.range(count)
    return (rows.shuffle(count) if shuffled else rows).batch(batch_size)


def checked_skill(
    accuracy: float,
    loss: float,
    chance: float,
    counts: tuple[int, int],
    config: FeatureExtractorConfig,
    remedy: str,
) -> Skill:
    """Computes the skill, and checks it.

    Args:
      accuracy, loss, chance: see `Skill`.
      counts: images in the train split and in the eval split.
      config: with the minimum skill.
      remedy: what to do about too little skill, for the error message.

    Raises:
      ValueError: if the skill is below `config.min_skill`.
    """
    skill = (accuracy - chance) / (1 - chance)
    # "not >=" fails for NaN too.
    if not skill >= config.min_skill:
        raise ValueError(
            f"FeatureExtractor: the {config.kind} network's skill on the eval split is {skill:.2f} "
            f"(accuracy {accuracy:.2f}, chance {chance:.2f}), "
            f"feature_extractor.min_skill is {config.min_skill:.2f}; {remedy}"
        )
    return Skill(accuracy, loss, chance, skill, *counts, config.seed)
