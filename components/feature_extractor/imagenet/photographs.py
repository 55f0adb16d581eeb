"""How images of any size reach a network that was trained on ImageNet's photographs."""

from collections.abc import Sequence

import keras

from components.feature_extractor import base


def model(
    trunk: keras.Model, image_shape: Sequence[int], size: int, scale: float, offset: float
) -> keras.Model:
    """A network in front of which images are scaled, made three channels, and resized.

    Args:
      trunk: of float32 images [n, size, size, 3].
      image_shape: height, width and channels of the data; one channel is repeated three times.
      size: height and width; resizing is bilinear, with antialiasing when downsampling, and does
        not keep the aspect ratio.
      scale: uint8 values are multiplied by it,
      offset: which is then added.

    Returns:
      A model of `images` uint8 [n, *image_shape] with the outputs of `trunk`.
    """
    layers = keras.layers
    images = base.inputs(image_shape)
    # Scaled first, because resizing keeps the dtype and would round uint8.
    hidden = layers.Rescaling(scale, offset)(images)
    if image_shape[-1] == 1:
        hidden = layers.Concatenate()([hidden] * 3)
    hidden = layers.Resizing(size, size, interpolation="bilinear", antialias=True)(hidden)
    return keras.Model(images, trunk(hidden))
