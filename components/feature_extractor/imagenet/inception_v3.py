"""The kind `inception_v3`: Keras's version of Szegedy et al. 2015 (arXiv:1512.00567).

Its weights were trained on ImageNet by Keras; they are not the TF-slim weights of 2015 that define
FID (Heusel et al. 2017, arXiv:1706.08500). So scores are comparable with each other, but not with
published ones.

Images are scaled to [-1, 1], repeated to three channels if grey, and resized bilinearly to
299 x 299, with antialiasing when downsampling.
"""

import os
import tempfile
from pathlib import Path

import keras
import tensorflow as tf

from components.data import examples
from components.feature_extractor import base
from components.feature_extractor.config import IMAGENET, FeatureExtractorConfig
from components.feature_extractor.imagenet import photographs

_SIZE = 299


def build(splits: base.Splits, config: FeatureExtractorConfig, data_name: str) -> base.Built:
    """The extractor: features [n, 2048] of the last pooling, ImageNet probabilities [n, 1000].

    Raises:
      FileNotFoundError: if the weights file does not exist.
      ValueError: if the weights cannot be downloaded, or belong to another network.
    """
    inception = _inception(config.weights)
    trunk = keras.Model(
        inception.input,
        {"features": inception.get_layer("avg_pool").output, "probabilities": inception.output},
    )
    image_shape = splits[examples.TRAIN_SPLIT].data.shape[1:]
    model = photographs.model(trunk, image_shape, _SIZE, base.SCALE, base.OFFSET)
    source = os.path.basename(config.weights)
    weights = "Keras's ImageNet weights" if source == IMAGENET else f"weights of {source}"
    return base.Built(
        model=model,
        name=f"Inception v3, {weights}",
        architecture=base.architecture(model),
        known={"weights": source},
    )


def _weights_files(config: FeatureExtractorConfig) -> list[Path]:
    """The local weights file, if the recipe names one."""
    name = config.weights_file
    if name is None or "://" in name:
        return []
    _check_there(name)
    return [Path(name)]


def _check_there(name: str) -> None:
    if not tf.io.gfile.exists(name):
        raise FileNotFoundError(f"feature_extractor.weights: {name}: no such file")


def _inception(weights: str) -> keras.Model:
    if weights == IMAGENET:
        try:
            return keras.applications.InceptionV3(weights=IMAGENET)
        # Keras raises a bare Exception without a network connection.
        except Exception as error:
            raise ValueError(
                f"feature_extractor.weights: {IMAGENET} cannot be downloaded "
                f"({_one_line(error)}); set it to the path of a weights file"
            ) from error
    _check_there(weights)
    inception = keras.applications.InceptionV3(weights=None)
    with tempfile.TemporaryDirectory() as folder:
        local = weights
        if "://" in weights:
            local = os.path.join(folder, os.path.basename(weights))
            tf.io.gfile.copy(weights, local)
        try:
            inception.load_weights(local)
        except (OSError, ValueError, KeyError) as error:
            raise ValueError(
                f"feature_extractor.weights: {weights}: not a .h5 or .weights.h5 file of Keras's "
                f"InceptionV3 including its top ({_one_line(error)})"
            ) from error
    return inception


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


base.EXTRACTORS.register("inception_v3")(
    base.Kind(build, frozenset({"weights"}), files=_weights_files)
)
