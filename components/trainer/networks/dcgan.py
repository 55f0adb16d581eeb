"""Deep convolutional GAN (Radford et al. 2015, arXiv:1511.06434), in the 5×5 form for 28×28."""

from collections.abc import Sequence
from typing import Any

import keras

from components.compute import fused
from components.trainer.networks import base, maps

_WIDTH = 64


def _halvings(data_shape: Sequence[int]) -> int:
    """Twice (28 → 7), then while even and above 8 (64 → 8)."""
    return maps.halvings(data_shape, smallest=5, at_least=2)


def _widths(levels: int, width: int | None) -> list[int]:
    """Channels from the largest feature map to the smallest: 64, 128, … up to 512."""
    width = width or _WIDTH
    return [min(width << level, 8 * width) for level in range(levels)]


@base.GENERATORS.register("dcgan")
class DCGANGenerator(base.Generator):
    """Dense to the smallest map, then transposed 5×5 convolutions that upsample it.

    For 28×28: latents → Dense 7·7·256 → ConvT 128 s1 → ConvT 64 s2, each followed by BN and
    LeakyReLU(0.2), → ConvT channels s2, tanh.
    """

    kind = "dcgan"
    supports = frozenset({base.NORMALIZATION, base.SELF_ATTENTION})
    # Concatenated to the latents, labels can drown them: see docs/training.md, Classes.
    conditionings = (base.NORMALIZATION, base.CONCATENATION)
    images_only = True
    initializer = base.Network.normal

    def make_layers(self) -> list[keras.layers.Layer]:
        height, width, channels = self.data_shape
        halvings = _halvings(self.data_shape)
        attended = maps.attention_level(self.data_shape, halvings)
        *filters, deepest = _widths(halvings + 1, self.width)
        small = (height >> halvings, width >> halvings, deepest)

        def upscale(filters: int, strides: int, **options: object) -> keras.layers.Layer:
            return keras.layers.Conv2DTranspose(
                filters,
                5,
                strides=strides,
                padding="same",
                kernel_initializer=self.initializer(),
                dtype=self.dtype_policy,
                **options,
            )

        stack = [
            self.dense(small[0] * small[1] * small[2], use_bias=False),
            self.batch_norm(),
            self.leaky_relu(),
            keras.layers.Reshape(small, dtype=self.dtype_policy),
        ]
        for level in reversed(range(halvings)):
            # The first convolution keeps the resolution of the smallest map.
            strides = 1 if level == halvings - 1 else 2
            stack += [
                upscale(filters[level], strides, use_bias=False),
                self.batch_norm(),
                self.leaky_relu(),
            ]
            if self.self_attention and level + 1 == attended:
                stack.append(self.attention())
        return [*stack, upscale(channels, 2), keras.layers.Activation("tanh", dtype="float32")]


@base.DISCRIMINATORS.register("dcgan")
class DCGANDiscriminator(base.Discriminator):
    """Strided 5×5 convolutions 64, 128, … with LeakyReLU(0.2), BN on all but the first.

    With spectral normalisation there is no BN, whose gain would undo it (Miyato et al. 2018,
    arXiv:1802.05957, appendix B.4, table 3).

    Args:
      data_shape: of an image.
      batch_norm: without spectral normalisation, whether there is BN; without it each logit depends
        on its image alone, as penalties of slopes assume (Gulrajani et al. 2017, arXiv:1704.00028,
        section 4).
      **options: see `Discriminator`.
    """

    kind = "dcgan"
    supports = frozenset({base.SELF_ATTENTION, base.SPECTRAL_NORM, base.BATCH_NORM})
    images_only = True
    initializer = base.Network.normal

    def __init__(
        self,
        data_shape: Sequence[int],
        *,
        batch_norm: bool = True,
        spectral_norm: bool = False,
        **options: Any,  # noqa: ANN401
    ) -> None:
        self.batch_norm = batch_norm and not spectral_norm
        super().__init__(data_shape, spectral_norm=spectral_norm, **options)

    def make_layers(self) -> list[keras.layers.Layer]:
        halvings = _halvings(self.data_shape)
        attended = maps.attention_level(self.data_shape, halvings)
        stack = []
        for level, filters in enumerate(_widths(halvings, self.width), start=1):
            normalised = self.batch_norm and level > 1
            stack.append(self.conv(filters, 5, strides=2, use_bias=not normalised))
            if normalised:
                stack.append(fused.BatchNormalization(dtype=self.dtype_policy))
            stack.append(self.leaky_relu())
            if self.self_attention and level == attended:
                stack.append(self.attention())
        return [*stack, keras.layers.Flatten(dtype=self.dtype_policy)]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "batch_norm": self.batch_norm}
