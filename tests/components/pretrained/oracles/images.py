"""The images of values.json, uint8 [h, w, 3], the same in both environments."""

import hashlib

import numpy as np
from sklearn.datasets import load_sample_image


def pattern(height, width):
    """Coloured stripes and squares."""
    y, x, channel = np.ogrid[:height, :width, :3]
    return ((x * (channel + 1) + y * (3 - channel)) * 3 ^ (y // 16 * 40)).astype(np.uint8)


IMAGES = {
    # Of classes 698, palace, and 985, daisy.
    "china": lambda: load_sample_image("china.jpg")[100:324, 200:424],
    "flower": lambda: load_sample_image("flower.jpg")[203:427, 300:524],
    "pattern": lambda: pattern(224, 224),
    # Strided convolutions pad one side more than the other, which one depends on the size.
    "odd": lambda: pattern(97, 131),
}


def checksum(image):
    return hashlib.sha256(np.ascontiguousarray(image)).hexdigest()[:16]


def excerpt(array):
    """Sixteen values spread over an array."""
    flat = np.asarray(array, np.float64).ravel()
    return flat[np.linspace(0, flat.size - 1, 16).astype(int)].tolist()
