"""Residual networks of SNGAN (Miyato et al. 2018, arXiv:1802.05957, appendix B.4, table 4)."""

import keras

from components.trainer.networks import base, layers, maps

_GENERATOR_WIDTH = 256
_DISCRIMINATOR_WIDTH = 128


def _residual_kernel(network: base.Network) -> keras.initializers.Initializer:
    """Glorot uniform with a gain of sqrt(2), for convolutions between ReLUs."""
    return keras.initializers.VarianceScaling(2.0, "fan_avg", "uniform", seed=network.next_seed())


@base.GENERATORS.register("resnet")
class ResNetGenerator(base.Generator):
    """Dense to the smallest map, an upsampling residual block per larger map, BN, ReLU, conv, tanh.

    For 32×32: latents → Dense 4·4·256 → three upsampling blocks of 256 filters. Filters halve with
    each doubling above 32×32.
    """

    kind = "resnet"
    supports = frozenset({base.NORMALIZATION, base.SELF_ATTENTION})
    # Concatenated to the latents, labels can drown them: see docs/training.md, Classes.
    conditionings = (base.NORMALIZATION, base.CONCATENATION)
    images_only = True

    def make_layers(self) -> list[keras.layers.Layer]:
        height, width, channels = self.data_shape
        halvings = maps.halvings(self.data_shape, smallest=4)
        attended = maps.attention_level(self.data_shape, halvings)
        filters = maps.filters(self.data_shape, halvings + 1, self.width or _GENERATOR_WIDTH)
        small = (height >> halvings, width >> halvings, filters[-1])
        stack = [
            self.dense(small[0] * small[1] * small[2]),
            keras.layers.Reshape(small, dtype=self.dtype_policy),
        ]
        if self.self_attention and attended == halvings:
            stack.append(self.attention())
        for level in reversed(range(halvings)):
            size = (height >> level, width >> level, filters[level + 1])
            stack.append(self._block(filters[level], size))
            if self.self_attention and level == attended:
                stack.append(self.attention())
        return [
            *stack,
            self.batch_norm(),
            self._relu(),
            self.conv(channels, 3),
            keras.layers.Activation("tanh", dtype="float32"),
        ]

    def _block(self, filters: int, size: tuple[int, int, int]) -> keras.layers.Layer:
        main = [
            self.batch_norm(),
            self._relu(),
            *self._double(size),
            self.conv(filters, 3, kernel_initializer=_residual_kernel(self)),
            self.batch_norm(),
            self._relu(),
            self.conv(filters, 3, kernel_initializer=_residual_kernel(self)),
        ]
        shortcut = [*self._double(size), self.conv(filters, 1)]
        return layers.Residual(main, shortcut, dtype=self.dtype_policy)

    def _relu(self) -> keras.layers.Layer:
        return keras.layers.ReLU(dtype=self.dtype_policy)

    def _double(self, size: tuple[int, int, int]) -> list[keras.layers.Layer]:
        return [
            keras.layers.UpSampling2D(2, dtype=self.dtype_policy),
            # Graphs lose the size there, without which TFLite has no convolution.
            keras.layers.Reshape(size, dtype=self.dtype_policy),
        ]


@base.DISCRIMINATORS.register("resnet")
class ResNetDiscriminator(base.Discriminator):
    """Downsampling residual blocks to a side of 5 to 8, two more blocks, ReLU, sum over positions.

    For 32×32: four blocks of 128 filters, the first two with average pooling. Filters double with
    each halving above 32×32. The shortcut is a 1×1 convolution where the number of filters or the
    resolution changes, as in the authors' code.
    """

    kind = "resnet"
    supports = frozenset({base.SELF_ATTENTION, base.SPECTRAL_NORM})
    images_only = True

    def make_layers(self) -> list[keras.layers.Layer]:
        halvings = maps.halvings(self.data_shape, smallest=5)
        attended = maps.attention_level(self.data_shape, halvings)
        filters = maps.filters(self.data_shape, halvings + 1, self.width or _DISCRIMINATOR_WIDTH)
        stack = []
        for level in range(1, halvings + 1):
            stack.append(self._block(filters[level - 1], first=level == 1, halve=True))
            if self.self_attention and level == attended:
                stack.append(self.attention())
        # The smallest map of e.g. 100x100 (25x25) has twice the filters of the one before.
        wider = filters[-1] > filters[-2]
        stack += [self._block(filters[-1], widen=wider), self._block(filters[-1])]
        return [*stack, self._relu(), layers.SumOverPlaces(dtype=self.dtype_policy)]

    def _block(
        self, filters: int, first: bool = False, halve: bool = False, widen: bool = False
    ) -> keras.layers.Layer:
        pool = [keras.layers.AveragePooling2D(2, dtype=self.dtype_policy)] if halve else []
        main = [
            # No ReLU on the image itself.
            *([] if first else [self._relu()]),
            self.conv(filters, 3, kernel_initializer=_residual_kernel(self)),
            self._relu(),
            self.conv(filters, 3, kernel_initializer=_residual_kernel(self)),
            *pool,
        ]
        shortcut = [*pool, self.conv(filters, 1)] if halve or widen else []
        return layers.Residual(main, shortcut, dtype=self.dtype_policy)

    def _relu(self) -> keras.layers.Layer:
        return keras.layers.ReLU(dtype=self.dtype_policy)
