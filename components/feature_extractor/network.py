"""A small convolutional classifier, used for its features."""

import dataclasses
import logging
import math
from collections.abc import Callable

import keras
import tensorflow as tf
from scipy import stats

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
# Refuse a network only if one of just enough skill would do this badly on so few eval images less
# often than in one of a hundred runs.
_SURE = 0.01

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Skill:
    """How well a trained network classifies.

    Attributes:
      eval_accuracy: share of the eval split that is classified correctly, in [0, 1].
      eval_loss: mean cross-entropy on the eval split, in nats.
      chance: expected accuracy of guesses that know only how often to name each class, in (0, 1).
      skill: (eval_accuracy - chance) / (1 - chance), Cohen's kappa: 0 is guessing, also always the
        most frequent class; 1 is perfect.
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
    train_accuracy: Callable[[], float],
    remedies: tuple[str, str],
) -> Skill:
    """Computes the skill, and checks it.

    Args:
      accuracy, loss, chance: see `Skill`.
      counts: images in the train split and in the eval split.
      config: with the minimum skill.
      train_accuracy: computes the accuracy on the train split, which decides what to advise.
      remedies: for the error message: for a network that does well on the train split alone, and
        for one that does not even there.

    Raises:
      ValueError: if the skill is below `config.min_skill`, by more than chance explains for so few
        eval images, and for a network whose loss is not finite.
    """
    name = f"FeatureExtractor: the {config.kind} network"
    if not math.isfinite(loss):
        raise ValueError(
            f"{name}'s loss on the eval split is {loss}; lower feature_extractor.learning_rate"
        )
    skill = (accuracy - chance) / (1 - chance)
    # By default halfway between guessing and perfect on a logarithmic scale: a third of the images
    # is little for 2 classes, and very good for 1000 of them.
    least = config.min_skill
    needed = math.sqrt(chance) if least is None else chance + least * (1 - chance)
    if accuracy < needed:
        bound = (needed - chance) / (1 - chance)
        words = (
            f"{name}'s skill on the eval split is {skill:.2f} (accuracy {accuracy:.2f}, chance "
            f"{chance:.2f}), feature_extractor.min_skill is {bound:.2f}"
        )
        # The rotations of an image are not independent, so images are counted.
        if stats.binom.cdf(round(accuracy * counts[1]), counts[1], needed) < _SURE:
            shown = train_accuracy()
            remedy = remedies[0] if shown >= needed else remedies[1]
            raise ValueError(f"{words}; its accuracy on the train split is {shown:.2f}: {remedy}")
        _log.warning("%s; the %d eval images are too few to be sure", words, counts[1])
    return Skill(accuracy, loss, chance, skill, *counts, config.seed)
