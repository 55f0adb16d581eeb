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
from components.feature_extractor import base, fitting, network
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
    _refuse_one_class(eval_labels)
    num_classes = 1 + int(max(train_labels.max(), eval_labels.max()))
    keras.utils.set_random_seed(config.seed)
    shape = train_split.data.shape[1:]
    extractor, learner = (
        network.build(shape, num_classes, config.feature_dim, dtype)
        for dtype in ("float32", network.learning_dtype())
    )
    rows, kept = fitting.held_out_rows(len(train_split), config.seed)
    fitting.fit(
        extractor,
        learner,
        _labelled(train_split, config.batch_size, rows, shuffled=True),
        _labelled(train_split, network.EVAL_BATCH, kept, shuffled=False),
        config,
    )
    call, every = network.caller(extractor), np.arange(len(eval_split))
    held_out = _labelled(eval_split, network.EVAL_BATCH, every, shuffled=False)
    probabilities = network.predict(call, held_out)[0]
    of_own = probabilities[np.arange(len(eval_labels)), eval_labels]
    found = probabilities.argmax(axis=1)
    skill = network.checked_skill(
        accuracy=float(np.mean(found == eval_labels)),
        loss=float(-np.mean(np.log(np.maximum(of_own, keras.backend.epsilon())))),
        chance=_chance(eval_labels, found, num_classes),
        counts=(len(train_split), len(eval_split)),
        config=config,
        train_accuracy=lambda: network.accuracy(
            call, _labelled(train_split, network.EVAL_BATCH, rows, shuffled=False)
        ),
        remedies=(
            f"it has learnt its {len(train_split)} images by heart; label more images, or set "
            "feature_extractor.kind to self_supervised",
            "train for more feature_extractor.images or check the labels, or, if the classes are "
            "hard to tell apart, lower min_skill",
        ),
    )
    return extractor, skill


def _labelled(
    split: examples.Split, batch_size: int, chosen: np.ndarray, *, shuffled: bool
) -> tf.data.Dataset:
    """Batches of (images, labels) of the chosen rows."""
    # Keras would copy the arrays to memory, which a memory-mapped file may not fit in.
    rows = network.in_batches(chosen, batch_size, shuffled=shuffled)
    return mapped.gather(rows, (split.data, split.labels)).prefetch(tf.data.AUTOTUNE)


def _labels(split: examples.Split, name: str) -> np.ndarray:
    if split.labels is None:
        raise ValueError(
            f"{examples.LABEL}: the images of split {name!r} have no labels, "
            "which feature_extractor.kind classifier needs; "
            "set feature_extractor.kind to self_supervised, which needs none"
        )
    return split.labels


def _refuse_one_class(eval_labels: np.ndarray) -> None:
    if len(np.unique(eval_labels)) == 1:
        raise ValueError(
            f"{examples.LABEL}: all images of split {examples.EVAL_SPLIT!r} are of class "
            f"{eval_labels[0]}; feature_extractor.kind classifier needs at least two classes, "
            "self_supervised needs none"
        )


def _chance(eval_labels: np.ndarray, found: np.ndarray, num_classes: int) -> float:
    """How often `found` would be right if it were shuffled."""
    shares = [np.bincount(each, minlength=num_classes) / len(each) for each in (eval_labels, found)]
    return float(np.dot(*shares))


base.EXTRACTORS.register("classifier")(base.Kind(build, network.OPTIONS))
