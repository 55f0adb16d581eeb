"""The discriminator of Projected GANs (Sauer et al. 2021, arXiv:2111.01007)."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from components.compute import fused
from components.pretrained import efficientnet_lite0
from components.trainer.networks import base, layers, spectral
from components.trainer.networks.projected.features import FeatureMaps, RandomProjection
from components.trainer.networks.projected.scales import ClassProduct, Scales

_WIDTH = 64
_CHANNELS = (1, 3)
# Every map is halved until it has this side when images have that of `_side_of_blocks`.
_LAST_SIDE = 8
_LAST_KERNEL = 4
# Of a class's embedding: its channels, and the columns of the table before it.
_EMBEDDED, _TABLE_COLUMNS = 64, 128
# What the feature network sees: multiples of it, since it halves five times.
_MULTIPLE = 32
_SMALLEST, _LARGEST = 64, 512


@base.DISCRIMINATORS.register("projected")
class ProjectedDiscriminator(base.Discriminator):
    """Images to logits [n, m] of patches, at four scales of pretrained features.

    Maps of EfficientNet-Lite0 are mixed by random convolutions, and nothing of that is trained; on
    each, a small discriminator halves it by 4×4 convolutions with BN and LeakyReLU(0.2), and ends
    in a 4×4 convolution to logits; all its convolutions have spectral normalisation. Sizes,
    initial weights and the conditional form (an inner product with the class at each place) are
    those of the authors' code (autonomousvision/projected_gan, commit e1c246b), which calls for the
    loss `hinge`, DiffAugment, and Adam with beta_1 0.

    Args:
      data_shape: of an image, of 1 or 3 channels; one is repeated three times.
      feature_resolution: the longer side of the images that EfficientNet-Lite0 sees, a multiple of
        32 from 64 to 512; the shorter is rounded to such a multiple too. Default: 224, or the
        images' own if that is larger. Smaller is faster: m is 64 at 224, and 4 at 128. Below 128
        each scale has a convolution less, as the authors' with half their resolution of 256.
      width: of the largest map, default 64; the others grow with it.
      **options: see `Discriminator`.

    Raises:
      ValueError: also if the weights of EfficientNet-Lite0 are not installed.
    """

    kind = "projected"
    supports = frozenset({base.FEATURE_RESOLUTION})
    images_only = True
    only_projects = True
    pretrained = efficientnet_lite0.NAME

    def __init__(
        self,
        data_shape: Sequence[int],
        *,
        feature_resolution: int | None = None,
        **options: Any,  # noqa: ANN401
    ) -> None:
        self.feature_resolution = feature_resolution
        super().__init__(data_shape, **options)

    @classmethod
    def check_shape(cls, data_shape: Sequence[int]) -> None:
        super().check_shape(data_shape)
        if data_shape[-1] not in _CHANNELS:
            raise ValueError(
                f"projected takes images of 1 or 3 channels, not {data_shape[-1]}; use dcgan, "
                "r3gan or resnet"
            )

    def make_layers(self) -> list[keras.layers.Layer]:
        width = self.width or _WIDTH
        mixed = [width << level for level in range(len(efficientnet_lite0.MAP_CHANNELS))]
        seeds = [self.next_seed() for _ in range(4 * len(mixed))]
        # On a CPU, the slope of depthwise convolutions takes twice as long in bfloat16.
        on_gpu = bool(tf.config.list_physical_devices("GPU"))
        return [
            FeatureMaps(self.seen_size(), dtype=self.dtype_policy if on_gpu else "float32"),
            RandomProjection(mixed, seeds, dtype=self.dtype_policy),
        ]

    def make_head(self, units: int) -> keras.layers.Layer:
        """The discriminators of the maps, whose last convolutions have `units` filters."""
        judges = [
            self._judge(level, units) for level in range(len(efficientnet_lite0.MAP_CHANNELS))
        ]
        return Scales(judges, dtype=self.dtype_policy)

    def make_projection(self) -> keras.layers.Layer:
        return self.make_head(_EMBEDDED)

    def seen_size(self) -> tuple[int, int]:
        """Height and width of the images that the feature network sees."""
        sides = self.data_shape[:2]
        own = _MULTIPLE * round(max(sides) / _MULTIPLE)
        longer = self.feature_resolution or max(efficientnet_lite0.SIZE, own)
        # Of a smaller map, the last kernel would be larger than the map.
        least = _base_resolution(longer) // 2
        scaled = [_MULTIPLE * round(longer * side / max(sides) / _MULTIPLE) for side in sides]
        height, width = (max(least, side) for side in scaled)
        return height, width

    def call(self, inputs: tf.Tensor | list[tf.Tensor], training: bool = False) -> tf.Tensor:
        """Logits [n, m] for images, or for [images, labels]."""
        images, labels = self._split_labels(inputs, self.projects)
        judges: Any = self.projection if self.projects else self.head
        return judges(self.body(images), labels=labels, training=training)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "feature_resolution": self.feature_resolution}

    def _judge(self, level: int, units: int) -> layers.Stack:
        """The discriminator of the map that is halved `level` times."""
        side = _base_resolution(max(self.seen_size())) // 2 >> level
        filters = self._filters()
        channels = (self.width or _WIDTH) << max(0, level - 1)
        stack: list[keras.layers.Layer] = []
        while side > _LAST_SIDE:
            side //= 2
            stack += [
                self._spectral(channels, filters[side], strides=2, padding="same"),
                fused.BatchNormalization(epsilon=1e-5, dtype=self.dtype_policy),
                self.leaky_relu(),
            ]
            channels = filters[side]
        stack.append(self._spectral(channels, units, use_bias=False, dtype="float32"))
        if self.projects:
            initializers = [self._uniform(_TABLE_COLUMNS) for _ in range(2)]
            stack.append(
                ClassProduct(
                    self.num_classes,
                    _TABLE_COLUMNS,
                    initializers,
                    self.next_seed(),
                    dtype="float32",
                )
            )
        return layers.Stack(
            [*stack, keras.layers.Flatten(dtype="float32")], dtype=self.dtype_policy
        )

    def _filters(self) -> dict[int, int]:
        """Filters by the side of a map, where images have that of `_base_resolution`."""
        width = self.width or _WIDTH
        return {64: width, 32: 2 * width, 16: 4 * width, 8: 8 * width}

    def _spectral(self, channels: int, filters: int, **options: Any) -> keras.layers.Layer:  # noqa: ANN401
        fan_in = _LAST_KERNEL**2 * channels
        return spectral.Conv2D(
            filters,
            _LAST_KERNEL,
            kernel_initializer=self._uniform(fan_in),
            bias_initializer=self._uniform(fan_in),
            **{"dtype": self.dtype_policy, **options},
        )

    def _uniform(self, fan_in: int) -> keras.initializers.Initializer:
        """PyTorch's default of kernels and biases."""
        bound = fan_in**-0.5
        return keras.initializers.RandomUniform(-bound, bound, seed=self.next_seed())

    def _refuse(self, options: Sequence[str]) -> None:
        if base.SPECTRAL_NORM in options:
            raise ValueError("spectral_norm: projected always has it; remove the key")
        super()._refuse(options)

    def _check_options(self) -> None:
        if self.num_classes and self.conditioning == "auxiliary":
            raise ValueError(
                "conditioning.discriminator: auxiliary tells the class of a whole image, and "
                "projected judges its patches; use projection"
            )
        super()._check_options()
        if self.pac > 1:
            raise ValueError(
                f"pac: projected sees images one at a time, not {self.pac}; remove it, or use "
                "dcgan or resnet"
            )
        side = self.feature_resolution
        if side is not None and (side % _MULTIPLE or not _SMALLEST <= side <= _LARGEST):
            raise ValueError(
                f"feature_resolution: {side}, expected a multiple of {_MULTIPLE} from {_SMALLEST} "
                f"to {_LARGEST}"
            )
        efficientnet_lite0.weights_file()


def _base_resolution(longer: int) -> int:
    """The resolution by which the authors' code counts convolutions; theirs is 256, always."""
    return 256 if longer >= 128 else 128
