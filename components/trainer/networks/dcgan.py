"""Deep convolutional GAN (Radford et al. 2015, arXiv:1511.06434), in the 5×5 form for 28×28."""

from collections.abc import Sequence

import keras

from components.trainer import fused
from components.trainer.networks.base import DISCRIMINATORS, GENERATORS, Discriminator, Generator

_WIDTH = 64
_WIDEST = 512


def _halvings(data_shape: Sequence[int]) -> int:
    """How often the image is halved: twice (28 → 7), and on while even and above 8 (64 → 8)."""
    height, width, _ = data_shape
    count = 2
    while all((size >> count) > 8 and (size >> count) % 2 == 0 for size in (height, width)):
        count += 1
    return count


def _widths(maps: int) -> list[int]:
    """Channels from the largest feature map to the smallest: 64, 128, … at most 512."""
    return [min(_WIDTH << level, _WIDEST) for level in range(maps)]


def _check_shape(data_shape: Sequence[int]) -> None:
    if len(data_shape) != 3:
        raise ValueError(f"dcgan makes images [height, width, channels], not {list(data_shape)}")
    if any(size % 4 or not 8 <= size <= 256 for size in data_shape[:2]):
        raise ValueError(
            f"dcgan makes images whose height and width are multiples of 4 from 8 to 256, "
            f"not {data_shape[0]}x{data_shape[1]}"
        )


@GENERATORS.register("dcgan")
class DCGANGenerator(Generator):
    """Dense to the smallest map, then transposed 5×5 convolutions that widen it.

    For 28×28: latents → Dense 7·7·256 → ConvT 128 s1 → ConvT 64 s2, each followed by BN and
    LeakyReLU(0.2), → ConvT channels s2, tanh.
    """

    @classmethod
    def check_shape(cls, data_shape: Sequence[int]) -> None:
        """Raises ValueError for anything but images of multiples of 4 from 8 to 256."""
        _check_shape(data_shape)

    def make_layers(self) -> list[keras.layers.Layer]:
        """From latents to images."""
        layers, dtype = keras.layers, self.dtype_policy
        height, width, channels = self.data_shape
        halvings = _halvings(self.data_shape)
        *maps, deepest = _widths(halvings + 1)
        small = (height >> halvings, width >> halvings, deepest)

        def normalised() -> list[keras.layers.Layer]:
            return [
                fused.BatchNormalization(dtype=dtype),
                layers.LeakyReLU(0.2, dtype=dtype),
            ]

        def upscale(filters: int, strides: int, **kwargs: object) -> keras.layers.Layer:
            return layers.Conv2DTranspose(
                filters,
                5,
                strides=strides,
                padding="same",
                kernel_initializer=self.normal(),
                dtype=dtype,
                **kwargs,
            )

        stack = [
            layers.Dense(
                small[0] * small[1] * small[2],
                use_bias=False,
                kernel_initializer=self.normal(),
                dtype=dtype,
            ),
            *normalised(),
            layers.Reshape(small, dtype=dtype),
        ]
        for level, filters in enumerate(reversed(maps)):
            stack += [upscale(filters, 1 if level == 0 else 2, use_bias=False), *normalised()]
        return [*stack, upscale(channels, 2), layers.Activation("tanh", dtype="float32")]


@DISCRIMINATORS.register("dcgan")
class DCGANDiscriminator(Discriminator):
    """Strided 5×5 convolutions 64, 128, … with LeakyReLU(0.2), BN on all but the first; Dense 1."""

    @classmethod
    def check_shape(cls, data_shape: Sequence[int]) -> None:
        """Raises ValueError for anything but images of multiples of 4 from 8 to 256."""
        _check_shape(data_shape)

    def make_layers(self) -> list[keras.layers.Layer]:
        """From images to logits."""
        layers, dtype = keras.layers, self.dtype_policy
        stack = []
        for level, filters in enumerate(_widths(_halvings(self.data_shape))):
            stack.append(
                layers.Conv2D(
                    filters,
                    5,
                    strides=2,
                    padding="same",
                    use_bias=level == 0,
                    kernel_initializer=self.normal(),
                    dtype=dtype,
                )
            )
            if level > 0:
                stack.append(fused.BatchNormalization(dtype=dtype))
            stack.append(layers.LeakyReLU(0.2, dtype=dtype))
        return [
            *stack,
            layers.Flatten(dtype=dtype),
            layers.Dense(1, kernel_initializer=self.normal(), dtype="float32"),
        ]
