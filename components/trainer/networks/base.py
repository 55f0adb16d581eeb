"""What every generator and every discriminator is."""

import abc
from collections.abc import Sequence

import keras
import tensorflow as tf

from components.registry import Registry


class Network(keras.Model, abc.ABC):
    """A stack of layers that knows the shape of the data it is for.

    Subclasses say which layers (`make_layers`) and which shapes they can make (`check_shape`).

    Args:
      data_shape: shape of one datum: [height, width, channels], or [columns] for vectors.
      seed: of the initial weights; the same seed gives the same weights.
      dtype: Keras dtype policy, e.g. "float32" or "mixed_bfloat16". Weights and the network's
        output are float32 under all of them.
    """

    def __init__(self, data_shape: Sequence[int], seed: int = 0, dtype: str = "float32") -> None:
        super().__init__(dtype=dtype)
        self.data_shape = tuple(int(size) for size in data_shape)
        self.seed = seed
        self.check_shape(self.data_shape)
        self._initializers_made = 0
        self.body = keras.Sequential(self.make_layers())

    @abc.abstractmethod
    def make_layers(self) -> list[keras.layers.Layer]:
        """The layers from input to output."""

    @classmethod
    def check_shape(cls, data_shape: Sequence[int]) -> None:
        """Raises ValueError, saying which shapes would do, for one this network cannot make."""

    def normal(self) -> keras.initializers.Initializer:
        """A new N(0, 0.02) initializer (Radford et al. 2015, arXiv:1511.06434, section 4)."""
        return keras.initializers.RandomNormal(stddev=0.02, seed=self._next_seed())

    def glorot(self) -> keras.initializers.Initializer:
        """A new Glorot uniform initializer, Keras's default, with a seed of its own."""
        return keras.initializers.GlorotUniform(seed=self._next_seed())

    def _next_seed(self) -> int:
        self._initializers_made += 1
        return 1000 * self.seed + self._initializers_made

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Runs the layers."""
        return self.body(inputs, training=training)

    def get_config(self) -> dict[str, object]:
        """The constructor's arguments; `type(network).from_config` makes an untrained copy."""
        return {"data_shape": self.data_shape, "seed": self.seed, "dtype": self.dtype_policy.name}

    @classmethod
    def from_config(cls, config: dict[str, object]) -> "Network":
        """The network that `get_config` describes, with its initial weights."""
        return cls(**config)


class Generator(Network):
    """Latents [n, latent_dim] to data [n, *data_shape] in [-1, 1].

    Args:
      latent_dim: size of one latent vector, drawn from N(0, I).
      data_shape, seed, dtype: as for `Network`.
    """

    def __init__(
        self,
        latent_dim: int,
        data_shape: Sequence[int],
        seed: int = 0,
        dtype: str = "float32",
    ) -> None:
        super().__init__(data_shape, seed, dtype)
        self.latent_dim = latent_dim

    def sample(self, latents: tf.Tensor) -> tf.Tensor:
        """Data [n, *data_shape] for latents [n, latent_dim], with the moving statistics."""
        return self(latents, training=False)

    def get_config(self) -> dict[str, object]:
        """The constructor's arguments."""
        return {"latent_dim": self.latent_dim, **super().get_config()}


class Discriminator(Network):
    """Data [n, *data_shape] in [-1, 1] to logits [n, 1]: above 0 for what looks real."""

    def score(self, data: tf.Tensor) -> tf.Tensor:
        """Logits [n, 1] of data [n, *data_shape], with the moving statistics."""
        return self(data, training=False)


GENERATORS: Registry[type[Generator]] = Registry("generator")
DISCRIMINATORS: Registry[type[Discriminator]] = Registry("discriminator")
