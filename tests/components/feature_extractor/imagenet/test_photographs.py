import keras
import numpy as np
import pytest
from PIL import Image

from components.feature_extractor.imagenet import photographs


def seen(images, size):
    """What a network sees of images, scaled to [0, 1]."""
    given = keras.Input((size, size, 3))
    trunk = keras.Model(given, {"features": keras.layers.Identity()(given)})
    model = photographs.model(trunk, images.shape[1:], size, 1 / 255, 0.0)
    return np.asarray(model(images, training=False)["features"])


@pytest.mark.parametrize("shape", [(8, 8, 1), (40, 64, 3), (60, 12, 3), (24, 24, 1)])
def test_images_of_any_size_are_resized_as_pillow_does(shape):
    images = np.random.default_rng(0).integers(0, 256, (2, *shape), np.uint8)

    found = seen(images, 24)

    channels = [
        [
            np.asarray(Image.fromarray(plane).resize((24, 24), Image.Resampling.BILINEAR))
            for plane in np.moveaxis(image.astype(np.float32), -1, 0)
        ]
        for image in images
    ]
    expected = np.broadcast_to(np.moveaxis(channels, 1, -1), (2, 24, 24, 3)) / 255
    np.testing.assert_allclose(found, expected, atol=1e-3)
