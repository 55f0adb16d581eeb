import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from components.common import saved_models
from components.serving.generator import Generator
from components.trainer import export
from pipeline import pages

LATENT_SIZE = 6
SHARES = np.array([0.5, 0.0, 0.3, 0.2])
NAMES = {0: "cat", 2: "</script><b>dog", 3: "ewe & lamb"}
SHAPES = {
    "grey": (8, 8, 1),
    "grey and alpha": (6, 6, 2),
    "colour": (5, 9, 3),
    "colour and alpha": (8, 8, 4),
    "large": (64, 64, 3),
}


class Network(tf.Module):
    """A linear layer, another one for each class: fast, and as varied as noise."""

    def __init__(self, shape):
        super().__init__()
        self.shape = shape
        size = int(np.prod(shape))
        self.weights = tf.Variable(tf.random.stateless_normal([LATENT_SIZE, size], [0, 0]))
        self.levels = tf.Variable(tf.random.stateless_normal([len(SHARES), size], [1, 0]))

    def __call__(self, inputs, training=None):
        latents, labels = inputs if isinstance(inputs, list) else (inputs, None)
        values = latents @ self.weights
        if labels is not None:
            values += tf.gather(self.levels, labels)
        return tf.tanh(tf.reshape(values, [-1, *self.shape]))


@dataclasses.dataclass(frozen=True)
class Made:
    """An untrained generator.

    Attributes:
      path: of its SavedModel.
      generator: that reads it.
      onnx: its signature `serving_default`.
    """

    path: str
    generator: Generator
    onnx: bytes


def save(path, shape, *, classes=False):
    signatures = export.ServingSignatures(Network(shape), LATENT_SIZE, SHARES if classes else None)
    export.save(signatures, path)
    if classes:
        saved_models.describe_further(path, class_names=NAMES)


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """Generators by the name of their shape, with or without classes, made once."""
    found = {}

    def make(name, *, classes=False):
        if (name, classes) not in found:
            path = str(tmp_path_factory.mktemp("model") / "1")
            save(path, SHAPES[name], classes=classes)
            found[name, classes] = Made(path, Generator.load(path), pages.onnx(path))
        return found[name, classes]

    return make
