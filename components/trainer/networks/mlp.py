"""Multi-layer perceptrons, for small images and for plain vectors."""

import math

import keras

from components.trainer.networks.base import DISCRIMINATORS, GENERATORS, Discriminator, Generator


@GENERATORS.register("mlp")
class MLPGenerator(Generator):
    """Latents → Dense 64 → Dense 128 → Dense d, tanh; any data shape."""

    def make_layers(self) -> list[keras.layers.Layer]:
        """Two hidden layers and the output, reshaped to the data."""
        dtype = self.dtype_policy
        layers = keras.layers
        return [
            layers.Dense(64, kernel_initializer=self.glorot(), dtype=dtype),
            layers.LeakyReLU(0.2, dtype=dtype),
            layers.Dense(128, kernel_initializer=self.glorot(), dtype=dtype),
            layers.LeakyReLU(0.2, dtype=dtype),
            layers.Dense(math.prod(self.data_shape), kernel_initializer=self.glorot(), dtype=dtype),
            layers.Activation("tanh", dtype="float32"),
            layers.Reshape(self.data_shape, dtype="float32"),
        ]


@DISCRIMINATORS.register("mlp")
class MLPDiscriminator(Discriminator):
    """Data, flattened → Dense 128 → Dense 64 → Dense 1; any data shape."""

    def make_layers(self) -> list[keras.layers.Layer]:
        """Two hidden layers and the logit."""
        dtype = self.dtype_policy
        layers = keras.layers
        return [
            layers.Flatten(dtype=dtype),
            layers.Dense(128, kernel_initializer=self.glorot(), dtype=dtype),
            layers.LeakyReLU(0.2, dtype=dtype),
            layers.Dense(64, kernel_initializer=self.glorot(), dtype=dtype),
            layers.LeakyReLU(0.2, dtype=dtype),
            layers.Dense(1, kernel_initializer=self.glorot(), dtype="float32"),
        ]
