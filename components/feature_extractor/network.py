"""A small convolutional classifier, used for its features."""

import dataclasses
import logging
import math
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf
from scipy import stats

from components.compute import fused, hardware
from components.feature_extractor import base
from components.feature_extractor.config import FeatureExtractorConfig

OPTIONS = frozenset(
    {"images", "batch_size", "learning_rate", "feature_dim", "min_skill", "seed"},
)

# The layer with the last maps, at most [n, 4, 4, 128].
MAPS = "maps"

# Images a call without gradients.
EVAL_BATCH = 512

Call = Callable[[tf.Tensor], dict[str, tf.Tensor]]

_SMALLEST_MAP = 4
_FIRST_FILTERS = 16
_MOST_FILTERS = 128
_DROPOUT = 0.2
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


def build(
    image_shape: tuple[int, ...], num_classes: int, feature_dim: int, dtype: str = "float32"
) -> keras.Model:
    """A convolutional classifier of uint8 images [n, height, width, channels].

    Blocks halve the height and width until the larger is at most 4. Returns a model with outputs
    `features` float32 [n, feature_dim], the activations before the last layer, and `probabilities`
    float32 [n, num_classes]; with another `dtype`, a Keras policy, `features` have its compute
    dtype.
    """
    layers = keras.layers
    images = base.inputs(image_shape)
    hidden = layers.Rescaling(base.SCALE, base.OFFSET, dtype=dtype)(images)
    size, filters, strides = max(image_shape[:2]), _FIRST_FILTERS, 1
    while True:
        hidden = layers.Conv2D(filters, 3, strides, padding="same", use_bias=False, dtype=dtype)(
            hidden
        )
        hidden = fused.BatchNormalization(dtype=dtype)(hidden)
        hidden = layers.ReLU(dtype=dtype)(hidden)
        if size <= _SMALLEST_MAP:
            break
        size, filters, strides = -(-size // 2), min(2 * filters, _MOST_FILTERS), 2
    hidden = layers.Identity(name=MAPS, dtype=dtype)(hidden)
    hidden = layers.Dropout(_DROPOUT, dtype=dtype)(layers.Flatten(dtype=dtype)(hidden))
    features = layers.Dense(feature_dim, activation="relu", name="features", dtype=dtype)(hidden)
    hidden = layers.Dropout(_DROPOUT, dtype=dtype)(features)
    probabilities = layers.Dense(
        num_classes, activation="softmax", name="probabilities", dtype="float32"
    )(hidden)
    return keras.Model(images, {"features": features, "probabilities": probabilities})


def learning_dtype() -> str:
    """The Keras policy to train with: bfloat16 where the hardware multiplies it."""
    return "mixed_bfloat16" if hardware.has_bfloat16() else "float32"


def in_batches(rows: np.ndarray, batch_size: int, *, shuffled: bool) -> tf.data.Dataset:
    """Batches of `rows`, int64 [batch_size]; an epoch is a permutation of them."""
    chosen = tf.data.Dataset.from_tensor_slices(rows)
    return (chosen.shuffle(len(rows)) if shuffled else chosen).batch(batch_size)


def caller(extractor: keras.Model) -> Call:
    """`extractor` as a function of images, traced once."""
    return tf.function(lambda images: extractor(images, training=False), reduce_retracing=True)


def predict(call: Call, batches: tf.data.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities float32 [n, classes] and labels [n] of batches of (images, labels)."""
    found = [(call(images)["probabilities"].numpy(), of.numpy()) for images, of in batches]
    probabilities, labels = (np.concatenate(each) for each in zip(*found, strict=True))
    return probabilities, labels


def accuracy(call: Call, batches: tf.data.Dataset) -> float:
    """The share of (images, labels) that is classified correctly."""
    probabilities, labels = predict(call, batches)
    return float(np.mean(probabilities.argmax(axis=1) == labels))


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
