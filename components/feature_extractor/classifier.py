"""The feature extractor: a small classifier trained on the data's own labelled images.

FID and its kin compare images in the feature space of a trained classifier (Heusel et al. 2017,
"GANs Trained by a Two Time-Scale Update Rule"). Inception knows photographs of the world; for
28 x 28 clothes, a classifier of clothes sees more.
"""

import dataclasses
import hashlib
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from components import examples
from components.feature_extractor.config import FeatureExtractorConfig

_SCALE = 1 / 127.5
_OFFSET = -1.0
_SMALLEST_MAP = 4
_FIRST_FILTERS = 16
_MOST_FILTERS = 128
_DROPOUT = 0.3


@dataclasses.dataclass(frozen=True)
class Report:
    """What is known about a trained extractor.

    Attributes:
      id: hash of the preprocessing and the weights: equal ids give equal features.
      kind: how it came to be; scores of different kinds do not compare.
      num_classes: length of a row of probabilities.
      feature_dim: length of a feature vector.
      eval_accuracy: share of the eval split that is classified right, in [0, 1].
      eval_loss: mean cross-entropy on the eval split, in nats.
      chance: share of the largest class in the eval split, in (0, 1).
      skill: (eval_accuracy - chance) / (1 - chance); 0 is guessing, 1 is perfect.
      train_examples, eval_examples: images in each split.
      seed: of initial weights, order and dropout.
    """

    id: str
    kind: str
    num_classes: int
    feature_dim: int
    eval_accuracy: float
    eval_loss: float
    chance: float
    skill: float
    train_examples: int
    eval_examples: int
    seed: int


def build(image_shape: Sequence[int], num_classes: int, feature_dim: int) -> keras.Model:
    """A convolutional classifier of uint8 images [n, height, width, channels].

    Each block halves the height and width until the larger is at most 4. Returns a model with
    outputs `features` float32 [n, feature_dim], the activations before the last layer, and
    `probabilities` float32 [n, num_classes].
    """
    layers = keras.layers
    images = keras.Input(tuple(image_shape), dtype="uint8", name="images")
    hidden = layers.Rescaling(_SCALE, _OFFSET)(images)
    size, filters, strides = max(image_shape[:2]), _FIRST_FILTERS, 1
    while True:
        hidden = layers.Conv2D(filters, 3, strides, padding="same", use_bias=False)(hidden)
        # The default momentum of 0.99 needs more steps than a few epochs of a small set have.
        hidden = layers.BatchNormalization(momentum=0.9)(hidden)
        hidden = layers.ReLU()(hidden)
        if size <= _SMALLEST_MAP:
            break
        size, filters, strides = -(-size // 2), min(2 * filters, _MOST_FILTERS), 2
    hidden = layers.Dropout(_DROPOUT)(layers.Flatten()(hidden))
    features = layers.Dense(feature_dim, activation="relu", name="features")(hidden)
    hidden = layers.Dropout(_DROPOUT)(features)
    probabilities = layers.Dense(num_classes, activation="softmax", name="probabilities")(hidden)
    return keras.Model(images, {"features": features, "probabilities": probabilities})


def train(
    train_split: examples.Images, eval_split: examples.Images, config: FeatureExtractorConfig
) -> tuple[keras.Model, Report]:
    """Trains the classifier on one split and measures it on the other.

    Seeds Python's, NumPy's and TensorFlow's global generators. Returns the extractor, as `build`
    makes it, and its report.

    Raises:
      ValueError: for images without labels, for an eval split of a single class, and for a
        classifier with less skill than `config.min_skill`.
    """
    chance = _chance(train_split, eval_split)
    num_classes = 1 + int(max(train_split.labels.max(), eval_split.labels.max()))
    keras.utils.set_random_seed(config.seed)
    extractor = build(train_split.images.shape[1:], num_classes, config.feature_dim)
    classifier = keras.Model(extractor.input, extractor.output["probabilities"])
    steps = config.epochs * -(-len(train_split) // config.batch_size)
    schedule = keras.optimizers.schedules.CosineDecay(config.learning_rate, steps)
    classifier.compile(
        keras.optimizers.Adam(schedule),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    classifier.fit(
        train_split.images,
        train_split.labels,
        batch_size=config.batch_size,
        epochs=config.epochs,
        verbose=0,
    )
    loss, accuracy = classifier.evaluate(
        eval_split.images, eval_split.labels, batch_size=config.batch_size, verbose=0
    )
    skill = (accuracy - chance) / (1 - chance)
    # "not >=" refuses NaN too.
    if not skill >= config.min_skill:
        raise ValueError(
            f"FeatureExtractor: the classifier's skill on the eval split is {skill:.2f} "
            f"(accuracy {accuracy:.2f}, chance {chance:.2f}), "
            f"feature_extractor.min_skill is {config.min_skill:.2f}; "
            "train for more epochs or check the labels"
        )
    return extractor, Report(
        id=_identity(extractor),
        kind="classifier",
        num_classes=num_classes,
        feature_dim=config.feature_dim,
        eval_accuracy=accuracy,
        eval_loss=loss,
        chance=chance,
        skill=skill,
        train_examples=len(train_split),
        eval_examples=len(eval_split),
        seed=config.seed,
    )


def export(extractor: keras.Model, path: str) -> None:
    """Writes the extractor as a SavedModel that plain TensorFlow loads.

    Its signature `serving_default` maps `images` uint8 [n, height, width, channels] to `features`
    float32 [n, feature_dim] and `probabilities` float32 [n, num_classes].
    """
    module = tf.Module()
    module.extractor = extractor
    spec = tf.TensorSpec(extractor.input.shape, tf.uint8, name="images")

    @tf.function(input_signature=[spec])
    def extract(images: tf.Tensor) -> dict[str, tf.Tensor]:
        return extractor(images, training=False)

    tf.saved_model.save(module, path, signatures={"serving_default": extract})


def _chance(train_split: examples.Images, eval_split: examples.Images) -> float:
    splits = {examples.TRAIN_SPLIT: train_split, examples.EVAL_SPLIT: eval_split}
    for name, split in splits.items():
        if split.labels is None:
            raise ValueError(
                f"{examples.LABEL}: the images of split {name!r} have no labels, "
                "and the FeatureExtractor learns from labels"
            )
    counts = np.bincount(eval_split.labels)
    if np.count_nonzero(counts) == 1:
        raise ValueError(
            f"{examples.LABEL}: all images of split {examples.EVAL_SPLIT!r} are of class "
            f"{counts.argmax()}; the FeatureExtractor needs two classes or more"
        )
    return float(counts.max() / counts.sum())


def _identity(extractor: keras.Model) -> str:
    digest = hashlib.sha256(f"{extractor.input.shape} {_SCALE} {_OFFSET}".encode())
    for weights in extractor.get_weights():
        digest.update(f"{weights.dtype} {weights.shape}".encode() + weights.tobytes())
    return digest.hexdigest()[:16]
