"""Whether images could as well be mirror images, so that those are more data (`data.mirror`)."""

import dataclasses
import math

import numpy as np

# Beyond these numbers what is found does not change, but takes longer: sides of the thumbnails,
# components of their odd and even parts, images.
_SIDE = 16
_ODD, _EVEN = 32, 8
MOST = 5000
# A class of fewer images is judged together with others.
LEAST = 100
# Of ridge regression, as a share of the features' mean square times the number of images.
_PENALTY = 0.1
_LARGEST_ACCURACY = 0.6
# Of a 95 % interval.
_DEVIATIONS = 1.96


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


def mirror_accuracy(
    images: np.ndarray, labels: np.ndarray | None = None, seed: int = 0
) -> Symmetry:
    """Tells whether training may see mirror images of these images.

    In each class a classifier learns, of small thumbnails, which of an image and its mirror image
    is the image, and is asked about one that it has not seen (leave-one-out). It is a ridge
    regression on odd features, which a mirror turns into their negatives: the components of the odd
    part of a thumbnail, x - mirror(x), and their products with the components of its even part, so
    that each kind of images within a class may be told in its own way. Lighting that always comes
    from one side counts like shoes that all point to one side: the generator would learn both.

    Args:
      images: uint8 [n, height, width, channels]; a random sample of at most 5000 is used.
      labels: int [n] or None. Classes of fewer than 100 images of the sample are judged together.
      seed: of the sample.

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
    chosen = np.random.default_rng(seed).permutation(len(images))[:MOST]
    features = _odd_features(_thumbnails(images[chosen]))
    rest = np.ones(len(chosen), bool)
    found = []
    if labels is not None:
        own = np.asarray(labels)[chosen]
        for label, count in zip(*np.unique(own, return_counts=True), strict=True):
            if count >= LEAST:
                found.append(_judge(int(label), features[own == label]))
                rest &= own != label
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
    accuracy = float((told > 0).mean() + (told == 0).mean() / 2)
    # Wilson's interval.
    count = len(features)
    share = _DEVIATIONS**2 / count
    centre = (accuracy + share / 2) / (1 + share)
    half = math.sqrt(share * accuracy * (1 - accuracy) + share**2 / 4) / (1 + share)
    low, high = centre - half, centre + half
    return Symmetry(low <= _LARGEST_ACCURACY, label, count, accuracy, low, high)


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


def _thumbnails(images: np.ndarray) -> np.ndarray:
    """float32 [n, 16, 16, channels], sides of at most the images' own: means over areas."""
    rows, columns = (_areas(side) for side in images.shape[1:3])
    count, height, width, channels = images.shape
    small = rows @ images.reshape(count, height, width * channels).astype(np.float32)
    small = small.reshape(count, len(rows), width, channels)
    return np.einsum("nhwc,vw->nhvc", small, columns, optimize=True) / 255


def _areas(side: int) -> np.ndarray:
    """float32 [thumbnail's side, side]: the shares of pixels in the pixels of a thumbnail."""
    small = min(side, _SIDE)
    edges = np.arange(small + 1) * side / small
    pixels = np.arange(side)
    covered = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return (np.maximum(covered, 0) * small / side).astype(np.float32)
