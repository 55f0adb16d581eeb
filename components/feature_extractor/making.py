"""Builds an extractor and writes its folder, in the layout described in `components.features`."""

import dataclasses
import hashlib
import json
import os
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from components import features
from components.common import files
from components.data import examples
from components.data.columns import Column
from components.feature_extractor import base
from components.feature_extractor.config import FeatureExtractorConfig


def make(
    folder: str,
    splits: base.Splits,
    config: FeatureExtractorConfig,
    data_name: str,
    columns: Sequence[Column] | None = None,
) -> dict[str, Any]:
    """Builds and writes an extractor, with the features of every split.

    Args:
      folder: path or URI of the artifact.
      splits: `train` and `eval`, uint8 images [n, height, width, channels]; for kinds that support
        vectors, also codes of rows, float64 [n, d], with the same categories in both.
      config: the kind and its options.
      data_name: the name of the data in reports.
      columns: of the rows; numbers if left out.

    Returns:
      The content of extractor.json.

    Raises:
      ValueError: for data that the kind does not support, and as the kind's `build`.
    """
    kind = base.find(config.kind)
    shape = splits[examples.TRAIN_SPLIT].data.shape[1:]
    config.check_shape(shape)
    of_rows = {"columns": columns} if kind.takes_vectors else {}
    built = kind.build(splits, config, data_name, **of_rows)
    export(built.model, os.path.join(folder, features.SAVED_MODEL_FOLDER))
    outputs = built.model.output
    known = {
        "id": identity_of(built, shape),
        "kind": config.kind,
        "name": built.name,
        "feature_dim": outputs["features"].shape[1],
        "num_classes": outputs["probabilities"].shape[1] if "probabilities" in outputs else None,
        "classes_are_labels": built.classes_are_labels,
        **({"pretrained": kind.pretrained} if kind.pretrained else {}),
        **built.known,
    }
    content = json.dumps(known, indent=2) + "\n"
    files.write(os.path.join(folder, features.DESCRIPTION_FILE), content.encode())
    # Uses the written model rather than the one in memory, as later stages do.
    extractor = features.Extractor(folder)
    for name, split in splits.items():
        found = dataclasses.replace(extractor(split.data), labels=split.labels)
        features.store(folder, name, found, features.data_id(split.data))
    return known


def export(model: keras.Model, path: str) -> None:
    """Writes a model of `base.Built` as a SavedModel that needs only TensorFlow.

    Its signature `serving_default` maps `images` uint8 [n, height, width, channels] or `vectors`
    float64 [n, d] to `features` and, if there are classes, `probabilities`.
    """
    (data,) = model.inputs
    module = tf.Module()
    module.extractor = model
    spec = tf.TensorSpec(data.shape, data.dtype, name=data.name)

    @tf.function(input_signature=[spec])
    def extract(data: tf.Tensor) -> dict[str, tf.Tensor]:
        return model(data, training=False)

    tf.saved_model.save(module, path, signatures={features.SIGNATURE: extract})


def identity_of(built: base.Built, shape: Sequence[int]) -> str:
    """The id of an extractor for data of a shape, 16 hexadecimal digits.

    Equal for equal weights, architectures and shapes.
    """
    digest = hashlib.sha256(json.dumps([list(shape), built.architecture]).encode())
    for weights in built.model.get_weights():
        digest.update(f"{weights.dtype} {weights.shape}".encode() + weights.tobytes())
    return digest.hexdigest()[:16]
