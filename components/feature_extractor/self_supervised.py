"""The kind `self_supervised`: a small network trained to predict image rotations.

Gidaris et al. 2018, "Unsupervised Representation Learning by Predicting Image Rotations"
(arXiv:1803.07728): every image is shown in all rotations, and the network predicts the rotation,
for which it must recognise the content. As in the paper (table 1), features are taken from the
convolutions, because later layers keep little but the rotation. They are the last maps, averaged
over windows of 2 x 2, so there are at most 512.

Square images are rotated by 0, 90, 180 and 270 degrees, others by 0 and 180 degrees only, which
keeps their shape: cropping or padding would change the images, and padding would reveal the
rotation. Reflections are not used, because most things look natural in a mirror.
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
    turns = quarter_turns(splits[examples.TRAIN_SPLIT].data.shape)
    return base.Built(
        model=model,
        name=f"{data_name} rotation network",
        architecture=base.architecture(model),
        known={**dataclasses.asdict(skill), "turns": len(turns)},
    )


def train(
    train_split: examples.Split, eval_split: examples.Split, config: FeatureExtractorConfig
) -> tuple[keras.Model, network.Skill]:
    """Trains the network on one split and evaluates it on the other; ignores labels.

    `config.images` and `config.batch_size` count rotated images. Seeds
    Python's, NumPy's and TensorFlow's global generators. Returns the extractor, with `features` as
    its only output, and its skill.

    Raises:
      ValueError: for a network whose skill is below `config.min_skill`.
    """
    turns = quarter_turns(train_split.data.shape)
    keras.utils.set_random_seed(config.seed)
    shape = train_split.data.shape[1:]
    whole, learner = (
        network.build(shape, len(turns), config.feature_dim, dtype)
        for dtype in ("float32", network.learning_dtype())
    )
    rows, kept = fitting.held_out_rows(len(train_split), config.seed)

    def rotated(split: examples.Split, chosen: np.ndarray, *, shuffled: bool) -> tf.data.Dataset:
        shown = config.batch_size if shuffled else network.EVAL_BATCH
        size = max(1, shown // len(turns))
        return rotated_batches(split.data, turns, size, chosen, shuffled=shuffled)

    fitting.fit(
        whole,
        learner,
        rotated(train_split, rows, shuffled=True),
        rotated(train_split, kept, shuffled=False),
        config,
    )
    held_out = rotated(eval_split, np.arange(len(eval_split)), shuffled=False)
    call = network.caller(whole)
    probabilities, labels = network.predict(call, held_out)
    of_own = probabilities[np.arange(len(labels)), labels]
    skill = network.checked_skill(
        accuracy=float(np.mean(probabilities.argmax(axis=1) == labels)),
        loss=float(-np.mean(np.log(np.maximum(of_own, keras.backend.epsilon())))),
        chance=1 / len(turns),
        counts=(len(train_split), len(eval_split)),
        config=config,
        train_accuracy=lambda: network.accuracy(call, rotated(train_split, rows, shuffled=False)),
        remedies=(
            f"it has learnt its {len(train_split)} images by heart; add images, or lower min_skill",
            "train for more feature_extractor.images, or, if the images look the same in every "
            "turn, choose another feature_extractor.kind",
        ),
    )
    maps = whole.get_layer(network.MAPS).output
    # "same", because a map may have only one row.
    pooled = keras.layers.AveragePooling2D(2, padding="same")(maps)
    return keras.Model(whole.input, {"features": keras.layers.Flatten()(pooled)}), skill


def quarter_turns(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The rotations of images [n, height, width, channels], in quarter turns."""
    return (0, 1, 2, 3) if shape[1] == shape[2] else (0, 2)


def rotated_batches(
    images: np.ndarray,
    turns: tuple[int, ...],
    batch_size: int,
    chosen: np.ndarray,
    *,
    shuffled: bool,
) -> tf.data.Dataset:
    """Batches of (`batch_size` chosen images in every rotation, index of the rotation)."""

    # Rotated batch by batch, because all rotations together are four times the data.
    def turn(batch: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        shown = [tf.image.rot90(batch, count) for count in turns]
        return tf.concat(shown, axis=0), tf.repeat(tf.range(len(turns)), tf.shape(batch)[0])

    rows = network.in_batches(chosen, batch_size, shuffled=shuffled)
    batches = mapped.gather(rows, images)
    return batches.map(turn, tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


base.EXTRACTORS.register("self_supervised")(base.Kind(build, network.OPTIONS - {"feature_dim"}))
