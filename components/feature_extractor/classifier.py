"""The kind `classifier`: a small network trained on the labelled images themselves.

FID and similar metrics compare images in the feature space of a trained classifier (Heusel et al.
2017, "GANs Trained by a Two Time-Scale Update Rule"). Inception was trained on photographs; for
28 x 28 images of clothes, the features of a classifier of clothes are more informative.
"""

import dataclasses

import keras
import numpy as np
import tensorflow as tf

from components.data import examples, mapped
from components.feature_extractor import base, network
from components.feature_extractor.config import FeatureExtractorConfig


def build(splits: base.Splits, config: FeatureExtractorConfig, data_name: str) -> base.Built:
    """See `train`."""
    model, skill = train(splits[examples.TRAIN_SPLIT], splits[examples.EVAL_SPLIT], config)
    return base.Built(
        model=model,
        name=f"{data_name} classifier",
        architecture=base.architecture(model),
        classes_are_labels=True,
        known=dataclasses.asdict(skill),
    )


def train(
    train_split: examples.Split, eval_split: examples.Split, config: FeatureExtractorConfig
) -> tuple[keras.Model, network.Skill]:
    """Trains the classifier on one split and evaluates it on the other.

    Seeds Python's, NumPy's and TensorFlow's global generators. Returns the extractor (see
    `network.build`) and its skill.

    Raises:
      ValueError: for images without labels, for an eval split with a single class, and for a
        classifier whose skill is below `config.min_skill`.
    """
    train_labels = _labels(train_split, examples.TRAIN_SPLIT)
    eval_labels = _labels(eval_split, examples.EVAL_SPLIT)
    chance = _chance(eval_labels)
    num_classes = 1 + int(max(train_labels.max(), eval_labels.max()))
    keras.utils.set_random_seed(config.seed)
    extractor = network.build(train_split.data.shape[1:], num_classes, config.feature_dim)
    steps = config.epochs * -(-len(train_split) // config.batch_size)
    classifier = network.learner(extractor, config, steps)
    shown = _labelled(train_split, config.batch_size, shuffled=True)
    classifier.fit(shown, epochs=config.epochs, verbose=0)
    held_out = _labelled(eval_split, config.batch_size, shuffled=False)
    loss, accuracy = classifier.evaluate(held_out, verbose=0)
    counts = (len(train_split), len(eval_split))
    remedy = "train for more epochs or check the labels"
    return extractor, network.checked_skill(accuracy, loss, chance, counts, config, remedy)


def _labelled(split: examples.Split, batch_size: int, *, shuffled: bool) -> tf.data.Dataset:
    """Batches of (images, labels)."""
    # Keras would copy the arrays to memory, which a memory-mapped file may not fit in.
    rows = network.in_batches(len(split), batch_size, shuffled=shuffled)
    return mapped.gather(rows, (split.data, split.labels)).prefetch(tf.data.AUTOTUNE)


def _labels(split: examples.Split, name: str) -> np.ndarray:
    if split.labels is None:
        raise ValueError(
            f"{examples.LABEL}: the images of split {name!r} have no labels, "
            "which feature_extractor.kind classifier needs; "
            "set feature_extractor.kind to self_supervised, which needs none"
        )
    return split.labels


def _chance(eval_labels: np.ndarray) -> float:
    """The share of the largest class."""
    counts = np.bincount(eval_labels)
    if np.count_nonzero(counts) == 1:
        raise ValueError(
            f"{examples.LABEL}: all images of split {examples.EVAL_SPLIT!r} are of class "
            f"{counts.argmax()}; feature_extractor.kind classifier needs at least two classes, "
            "self_supervised needs none"
        )
    return float(counts.max() / counts.sum())


base.EXTRACTORS.register("classifier")(base.Kind(build, network.OPTIONS))
