"""Random projections of pretrained feature maps, none of which is trained.

Sauer et al. 2021, arXiv:2111.01007, section 3.2, in the form of the authors' code.
"""

from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from components.pretrained import efficientnet_lite0
from components.trainer.networks import layers
from components.trainer.networks.copying import default_policy


class FeatureMaps(keras.layers.Layer):
    """Four maps of EfficientNet-Lite0, for images in [-1, 1] of 1 or 3 channels.

    Its weights are read from the installed package and belong to no network: they are neither
    trained nor clipped, and no checkpoint holds them. Gradients flow through it to the images.

    Args:
      size: height and width that it sees the images at, multiples of 32. They are resized
        bilinearly, with antialiasing when downsampling, so that no pixel goes unseen.

    Raises:
      ValueError: when it is built, if the weights are not installed, or damaged.
    """

    def __init__(self, size: Sequence[int], **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.size = tuple(size)

    def build(self, input_shape: Sequence[int | None]) -> None:
        # Where a step is traced, variables would be those of the graph.
        with tf.init_scope(), default_policy(self.compute_dtype):
            self._maps_of = _frozen()

    def call(self, images: tf.Tensor) -> list[tf.Tensor]:
        """[n, height, width, channels] to maps of 1/4, 1/8, 1/16 and 1/32 of `size`."""
        _, height, width, channels = images.shape
        if (height, width) != self.size:
            rows, columns = (
                bilinear(*sides) for sides in zip((height, width), self.size, strict=True)
            )
            images = layers.along_both(images, rows, columns)
        return self._maps_of(tf.repeat(images, 3, axis=-1) if channels == 1 else images)


class RandomProjection(keras.layers.Layer):
    """Mixes maps across channels, then across scales, by random 1×1 convolutions.

    From the smallest map to the largest, each is added to the mixture of the smaller ones, doubled
    bilinearly (corners on corners), and convolved. The authors double first; the order is the same
    in value, and convolving first takes a quarter of the time. Their code has no 3×3 convolutions
    here, unlike the paper's figure.

    Args:
      filters: of the maps after mixing across channels, from the largest map to the smallest.
      seeds: one for each of four weights per map.
    """

    def __init__(self, filters: Sequence[int], seeds: Sequence[int], **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.filters, self.seeds = tuple(filters), tuple(seeds)

    def build(self, input_shape: Sequence[Sequence[int | None]]) -> None:
        seeds = iter(self.seeds)

        def weights(channels: int, filters: int) -> list[keras.Variable]:
            # PyTorch's default, which the authors leave as it is.
            bound = channels**-0.5
            return [
                self.add_weight(
                    shape=shape,
                    initializer=keras.initializers.RandomUniform(-bound, bound, seed=next(seeds)),
                    trainable=False,
                    name=name,
                )
                for name, shape in (("kernel", (channels, filters)), ("bias", (filters,)))
            ]

        # Each mixture is added to the next larger map, and the largest keeps its filters.
        mixed = (self.filters[0], *self.filters[:-1])
        found = efficientnet_lite0.MAP_CHANNELS
        self.across_channels = [weights(*pair) for pair in zip(found, self.filters, strict=True)]
        self.across_scales = [weights(*pair) for pair in zip(self.filters, mixed, strict=True)]

    def call(self, maps: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """Mixed maps of twice the height and width, from the largest to the smallest."""
        mixed: list[tf.Tensor] = []
        for found, across_channels, across_scales in reversed(
            list(zip(maps, self.across_channels, self.across_scales, strict=True))
        ):
            hidden = _convolved(found, across_channels)
            if mixed:
                hidden += mixed[0]
            mixed.insert(0, doubled(_convolved(hidden, across_scales)))
        return mixed


def _frozen() -> Callable[[tf.Tensor], list[tf.Tensor]]:
    # A function, because Keras would make a model the layer's own, and its weights with it.
    network = efficientnet_lite0.load()
    model = keras.Model(network.input, network.output["maps"])
    return lambda images: model(images, training=False)


def _convolved(maps: tf.Tensor, weights: Sequence[keras.Variable]) -> tf.Tensor:
    kernel, bias = (tf.cast(tf.convert_to_tensor(weight), maps.dtype) for weight in weights)
    return tf.nn.conv2d(maps, kernel[tf.newaxis, tf.newaxis], 1, "VALID") + bias


def doubled(maps: tf.Tensor) -> tf.Tensor:
    """Maps [n, 2 height, 2 width, channels], interpolated bilinearly, corners on corners."""
    rows, columns = (_interpolation(np.linspace(0, s - 1, 2 * s), s) for s in maps.shape[1:3])
    return layers.along_both(maps, rows, columns)


def bilinear(size: int, target: int) -> np.ndarray:
    """The matrix [target, size] that resizes one axis."""
    stride = size / target
    return _interpolation((np.arange(target) + 0.5) * stride - 0.5, size, max(1.0, stride))


def _interpolation(places: np.ndarray, size: int, reach: float = 1.0) -> np.ndarray:
    """The matrix [places, size] that interpolates linearly between whole numbers below `size`.

    Beyond the first and the last it repeats them.
    """
    distances = np.abs(places[:, np.newaxis] - np.arange(size))
    weights = np.maximum(0.0, 1.0 - distances / reach)
    return weights / weights.sum(axis=1, keepdims=True)
