"""R3GAN's networks (Huang et al. 2024, arXiv:2501.05441, section 3 and appendix).

Residual networks without normalisation. Blocks have 1×1, grouped 3×3 and 1×1 convolutions, twice
as wide inside, with LeakyReLU(0.2). The last convolution of a block is initialised to 0, the others
to He-normal over L^(1/4) for the L blocks of the network (Fixup initialisation, Zhang et al. 2019,
arXiv:1901.09321, for blocks of three convolutions). Maps are resampled with the filter [1, 2, 1].

The paper's networks have 768 filters at maps up to 32×32; the default here is 128.
"""

import math
from collections.abc import Sequence

import keras
import tensorflow as tf

from components.trainer.networks import base, layers, maps

_WIDTH = 128
_BLOCKS = 2
_EXPANSION = 2
_GROUP_SIZE = 16
_LEAKY_GAIN = math.sqrt(2 / (1 + 0.2**2))


class _R3Network(base.Network):
    kind = "r3gan"
    images_only = True
    # Most of its step is two penalties in float32: bfloat16 gains 6 to 8 %, and is not shown to be
    # as good.
    faster_in_bfloat16 = False

    @classmethod
    def check_width(cls, width: int) -> None:
        multiple = _GROUP_SIZE // _EXPANSION
        if width < 1 or width % multiple:
            raise ValueError(f"width: {width}, expected a multiple of {multiple} for r3gan")

    def initializer(self) -> keras.initializers.Initializer:
        """N(0, 1 / fan_in), for layers that no LeakyReLU follows."""
        return self._msr(1.0)

    def _msr(self, gain: float) -> keras.initializers.Initializer:
        return keras.initializers.VarianceScaling(
            gain**2, "fan_in", "untruncated_normal", seed=self.next_seed()
        )

    def _levels(self) -> tuple[int, list[int]]:
        """The number of halvings, and the filters from the largest map to the smallest."""
        halvings = maps.halvings(self.data_shape, smallest=4)
        return halvings, maps.filters(self.data_shape, halvings + 1, self.width or _WIDTH)

    def _blocks(self, filters: int, levels: int) -> list[keras.layers.Layer]:
        """The residual blocks of one map; `levels` is the network's number of maps."""
        gain = _LEAKY_GAIN * (_BLOCKS * levels) ** -0.25
        inner = _EXPANSION * filters

        def block() -> keras.layers.Layer:
            grouped = layers.GroupedConv2D(
                inner,
                3,
                padding="same",
                groups=inner // _GROUP_SIZE,
                kernel_initializer=self._msr(gain),
                dtype=self.dtype_policy,
            )
            main = [
                self.conv(inner, 1, kernel_initializer=self._msr(gain)),
                self.leaky_relu(),
                grouped,
                self.leaky_relu(),
                self.conv(filters, 1, use_bias=False, kernel_initializer="zeros"),
            ]
            return layers.Residual(main, dtype=self.dtype_policy)

        return [block() for _ in range(_BLOCKS)]

    def _transition(self, before: int, after: int) -> list[keras.layers.Layer]:
        """A 1x1 convolution, if the number of filters changes."""
        return [] if before == after else [self.conv(after, 1, use_bias=False)]


@base.GENERATORS.register("r3gan")
class R3GANGenerator(_R3Network, base.Generator):
    """A learned smallest map, modulated by the latents; two blocks per map; 1×1, tanh.

    The paper's generator ends in the convolution; tanh is added because our data are in [-1, 1].
    """

    def make_layers(self) -> list[keras.layers.Layer]:
        height, width, channels = self.data_shape
        halvings, filters = self._levels()
        small = (height >> halvings, width >> halvings, filters[-1])
        stack = [
            self.dense(small[2], use_bias=False),
            Basis(small, seed=self.next_seed(), dtype=self.dtype_policy),
            *self._blocks(filters[-1], halvings + 1),
        ]
        for level in reversed(range(halvings)):
            stack += [
                *self._transition(filters[level + 1], filters[level]),
                layers.BlurUpsample(dtype=self.dtype_policy),
                *self._blocks(filters[level], halvings + 1),
            ]
        return [
            *stack,
            self.conv(channels, 1, use_bias=False),
            keras.layers.Activation("tanh", dtype="float32"),
        ]


@base.DISCRIMINATORS.register("r3gan")
class R3GANDiscriminator(_R3Network, base.Discriminator):
    """1×1, two blocks per map, a depthwise convolution over the smallest; head without bias.

    Has no spectral normalisation, which is undefined for kernels that are initialised to 0.
    """

    def make_head(self, units: int) -> keras.layers.Layer:
        return self.dense(units, use_bias=False, dtype="float32")

    def make_layers(self) -> list[keras.layers.Layer]:
        height, width, _ = self.data_shape
        halvings, filters = self._levels()
        stack = [
            self.conv(filters[0], 1, use_bias=False),
            *self._blocks(filters[0], halvings + 1),
        ]
        for level in range(1, halvings + 1):
            stack += [
                layers.BlurDownsample(dtype=self.dtype_policy),
                *self._transition(filters[level - 1], filters[level]),
                *self._blocks(filters[level], halvings + 1),
            ]
        small = (height >> halvings, width >> halvings)
        summary = keras.layers.DepthwiseConv2D(
            small,
            use_bias=False,
            # VarianceScaling would count the inputs of all channels.
            depthwise_initializer=keras.initializers.RandomNormal(
                stddev=math.prod(small) ** -0.5, seed=self.next_seed()
            ),
            dtype=self.dtype_policy,
        )
        return [*stack, summary, keras.layers.Flatten(dtype=self.dtype_policy)]


class Basis(keras.layers.Layer):
    """A learned map [height, width, channels], whose channels are scaled by the input.

    Args:
      shape: of the map.
      seed: of its initial values from N(0, 1).
    """

    def __init__(self, shape: Sequence[int], seed: int, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.shape = tuple(shape)
        self.seed = seed

    def build(self, input_shape: Sequence[int | None]) -> None:
        initializer = keras.initializers.RandomNormal(stddev=1.0, seed=self.seed)
        self.basis = self.add_weight(shape=self.shape, initializer=initializer, name="basis")

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """[n, channels] to [n, height, width, channels]."""
        return inputs[:, tf.newaxis, tf.newaxis, :] * tf.convert_to_tensor(self.basis)
