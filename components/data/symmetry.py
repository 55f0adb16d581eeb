"""Whether images could as well be mirror images, so that those are more data (`data.mirror`)."""

import dataclasses

import numpy as np
from PIL import Image
from scipy import stats

from components.common import grids

# Beyond these numbers what is found does not change, but takes longer: sides of the thumbnails,
# components of their odd and even parts.
_SIDE = 16
_ODD, _EVEN = 32, 8
# A class of fewer images is judged together with others.
LEAST = 100
# Of ridge regression, as a share of the features' mean square times the number of images.
_PENALTY = 0.1
_LARGEST_ACCURACY = 0.6


@dataclasses.dataclass(frozen=True)
class Symmetry:
    """How well images can be told from their mirror images; see `mirror_accuracy`.

    Attributes:
      allowed: whether mirror images may count as data: no class has `low` above 0.6.
      label: the class that speaks most against it; None if it is of images without labels, or of
        the small classes together.
      count: how many of its images were judged.
      accuracy: of telling one of them from its mirror image, in [0, 1]; chance is 0.5.
      low, high: its 95 % interval.
    """

    allowed: bool
    label: int | None
    count: int
    accuracy: float
    low: float
    high: float


def thumbnail(image: np.ndarray) -> np.ndarray:
    """An image uint8 [height, width, channels] with sides of at most 16."""
    height, width, channels = image.shape
    size = min(width, _SIDE), min(height, _SIDE)
    # Antialiased. Pillow's box filter would tell left from right: it rounds areas to whole pixels.
    small = grids.picture(image).resize(size, Image.Resampling.BILINEAR)
    return np.asarray(small).reshape(size[1], size[0], channels)


def mirror_accuracy(images: np.ndarray, labels: np.ndarray | None = None) -> Symmetry:
    """Tells whether training may see mirror images of these images.

    In each class a classifier learns, of thumbnails, which of an image and its mirror image
    is the image, and is asked about one that it has not seen (leave-one-out). It is a ridge
    regression on odd features, which a mirror turns into their negatives: the components of the odd
    part of a thumbnail, x - mirror(x), and their products with the components of its even part, so
    that each kind of images within a class may be told in its own way. Lighting that always comes
    from one side counts like shoes that all point to one side: the generator would learn both.

    Args:
      images: thumbnails uint8 [n, height, width, channels]; 1000 or more leave little to chance.
      labels: int [n] or None. Classes of fewer than 100 images are judged together.

    Raises:
      ValueError: for fewer than 100 images.

    >>> noise = np.random.default_rng(0).integers(0, 256, (200, 8, 8, 1), np.uint8)
    >>> mirror_accuracy(noise).allowed
    True
    >>> mirror_accuracy(np.sort(noise, axis=2)).allowed  # dark at the left
    False
    """
    if len(images) < LEAST:
        raise ValueError(f"images: {len(images)}, expected {LEAST} or more to judge")
    features = _odd_features(images.astype(np.float32) / 255)
    rest = np.ones(len(images), bool)
    found = []
    if labels is not None:
        for label, count in zip(*np.unique(labels, return_counts=True), strict=True):
            if count >= LEAST:
                found.append(_judge(int(label), features[labels == label]))
                rest &= labels != label
    if not found or rest.sum() >= LEAST:
        found.append(_judge(None, features[rest]))
    return max(found, key=lambda symmetry: symmetry.low)


def _judge(label: int | None, features: np.ndarray) -> Symmetry:
    # Ridge regression to 1, from an image's features; a mirror image's are their negatives, to -1.
    product = features.T @ features
    # Features of images that are their own mirror images are all 0.
    penalty = max(_PENALTY * np.trace(product) / len(product), 1e-6)
    product += penalty * np.eye(len(product))
    solved = np.linalg.solve(product, features.T)
    leverage = np.einsum("nd,dn->n", features, solved)
    # What the regression of all other images says of each, times 1 - leverage > 0.
    told = features @ solved.sum(axis=1) - leverage
    # Images that are their own mirror images are told by chance.
    told[~features.any(axis=1)] = 0
    right = float((told > 0).sum() + (told == 0).sum() / 2)
    interval = stats.binomtest(round(right), len(told)).proportion_ci(method="wilson")
    allowed = bool(interval.low <= _LARGEST_ACCURACY)
    return Symmetry(allowed, label, len(told), right / len(told), interval.low, interval.high)


def _odd_features(small: np.ndarray) -> np.ndarray:
    """Features float [n, d], the negatives of those of the mirror images."""
    mirrored = small[:, :, ::-1]
    odd = _components((small - mirrored).reshape(len(small), -1), _ODD)
    even = (small + mirrored).reshape(len(small), -1)
    even = _components(even - even.mean(axis=0), _EVEN)
    even /= np.maximum(even.std(axis=0), 1e-6)
    return np.concatenate([odd, (odd[:, :, None] * even[:, None]).reshape(len(odd), -1)], axis=1)


def _components(values: np.ndarray, count: int) -> np.ndarray:
    """The principal components [n, at most count] of centred values [n, d]."""
    _, axes = np.linalg.eigh(values.T @ values)
    return values @ axes[:, : -count - 1 : -1]
