"""Multilayer perceptrons, for small images and vectors."""

import math

import keras

from components.trainer.networks import base

_WIDTH = 64


@base.GENERATORS.register("mlp")
class MLPGenerator(base.Generator):
    """Latents → Dense 64 → Dense 128 → Dense d, tanh or, of rows, `RowOutput`; any data shape."""

    kind = "mlp"
    # Its operations are so short that casts cost more than they save.
    faster_in_bfloat16 = False

    def make_layers(self) -> list[keras.layers.Layer]:
        width = self.width or _WIDTH
        return [
            self.dense(width),
            self.leaky_relu(),
            self.dense(2 * width),
            self.leaky_relu(),
            self.dense(math.prod(self.data_shape)),
            # The output of rows has its own.
            *([] if self.groups else [keras.layers.Activation("tanh", dtype="float32")]),
            keras.layers.Reshape(self.data_shape, dtype="float32"),
        ]


@base.DISCRIMINATORS.register("mlp")
class MLPDiscriminator(base.Discriminator):
    """Flatten → Dense 128 → Dense 64; any data shape."""

    kind = "mlp"
    faster_in_bfloat16 = False
    supports = frozenset({base.SPECTRAL_NORM})

    def make_layers(self) -> list[keras.layers.Layer]:
        width = self.width or _WIDTH
        return [
            keras.layers.Flatten(dtype=self.dtype_policy),
            self.dense(2 * width),
            self.leaky_relu(),
            self.dense(width),
            self.leaky_relu(),
        ]
