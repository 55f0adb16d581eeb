"""How far generated images are from real ones: features in, numbers out.

Features are [n, d] arrays, one row an image; real and fake come from one extractor. A score means
something only beside the extractor, the counts and the seed it was computed with.
"""

from collections.abc import Iterator

import numpy as np

from components.distances import (
    fid,
    fid_from_statistics,
    matrix,
    matrix_pair,
    polynomial_mmd,
)

__all__ = [
    "fid",
    "fid_from_statistics",
    "inception_score",
    "kid",
    "polynomial_mmd",
    "precision",
    "precision_recall",
    "recall",
]

# How much of a distance matrix is held at a time: 8 MB of float64.
_BLOCK_VALUES = 1_000_000


def kid(
    real: np.ndarray,
    fake: np.ndarray,
    subsets: int = 100,
    subset_size: int = 1000,
    seed: int = 0,
) -> tuple[float, float]:
    """Kernel inception distance: mean and standard error of `polynomial_mmd` over subsets.

    The error is that of drawing the subsets. They overlap, so that it is smaller than the error of
    having drawn these images and not others.

    Args:
      real, fake: features [n, d] and [m, d], at least 4 rows each.
      subsets: how many pairs of subsets are drawn, at least 2.
      subset_size: rows of a subset, at least 2. No more than half of the smaller set is taken:
        subsets that are the whole set are all the same, and their standard error 0.
      seed: of the choice of rows.

    Raises:
      ValueError: for other shapes, too few rows or subsets, NaN or infinity.
    """
    if subsets < 2 or subset_size < 2:
        raise ValueError(f"subsets, subset_size: {subsets}, {subset_size}, expected 2 or more")
    real, fake = matrix_pair(real, fake, at_least=4)
    size = min(subset_size, len(real) // 2, len(fake) // 2)
    rng = np.random.default_rng(seed)
    distances = [
        polynomial_mmd(
            rng.choice(real, size, replace=False, shuffle=False),
            rng.choice(fake, size, replace=False, shuffle=False),
        )
        for _ in range(subsets)
    ]
    return float(np.mean(distances)), float(np.std(distances, ddof=1) / np.sqrt(subsets))


def inception_score(probabilities: np.ndarray, splits: int = 10) -> tuple[float, float]:
    """exp E KL(p(y|x) ‖ p(y)): mean and standard deviation over equal parts of the images.

    Salimans et al., "Improved Techniques for Training GANs", 2016, section 4. From 1 (all images
    get one prediction) to the number of classes (sure of each image, all classes equally often).

    Args:
      probabilities: [n, classes], rows from 0 that sum to 1 (within 0.001).
      splits: parts, in the order of the rows; at most n.

    Raises:
      ValueError: for another shape, fewer rows than splits, and rows that are no probabilities.
    """
    probabilities = matrix("probabilities", probabilities, at_least=splits)
    if splits < 1:
        raise ValueError(f"splits: {splits}, expected 1 or more")
    sums = probabilities.sum(axis=1, keepdims=True)
    if (probabilities < 0).any() or (abs(sums - 1) > 1e-3).any():
        raise ValueError("probabilities: rows must be 0 or more and sum to 1")
    scores = []
    for part in np.array_split(probabilities / sums, splits):
        marginal = part.mean(axis=0)
        # 0 log 0 is 0; a marginal is also 0 where the mean of denormal numbers underflows.
        some = (part > 0) & (marginal > 0)
        ratio = np.divide(part, marginal, out=np.ones_like(part), where=some)
        scores.append(np.exp((part * np.log(ratio)).sum(axis=1).mean()))
    return float(np.mean(scores)), float(np.std(scores))


def precision(real: np.ndarray, fake: np.ndarray, k: int = 3) -> float:
    """The share of fake images that lie among the real ones: in the ball of any real image.

    A ball reaches to the k-th nearest other image of its set and includes its border.
    Kynkäänniemi et al., "Improved Precision and Recall Metric", 2019, section 2. 1 is best.

    Args:
      real, fake: features [n, d] and [m, d], more than k rows each.
      k: neighbours, 1 or more.

    Raises:
      ValueError: for other shapes, too few rows, NaN or infinity.
    """
    if k < 1:
        raise ValueError(f"k: {k}, expected 1 or more")
    real, fake = matrix_pair(real, fake, at_least=k + 1)
    centre = real.mean(axis=0)
    real, fake = real - centre, fake - centre
    # Squared distances are differences of squared norms: what rounding leaves of 0 is 0.
    rounding = 64 * np.finfo(np.float64).eps * max(np.sum(x**2, axis=1).max() for x in (real, fake))
    borders = _squared_radii(real, k) + rounding
    inside = [(block <= borders).any(axis=1) for block in _squared_distances(fake, real)]
    return float(np.concatenate(inside).mean())


def recall(real: np.ndarray, fake: np.ndarray, k: int = 3) -> float:
    """The share of real images that lie among the fake ones: `precision` with the sets swapped."""
    return precision(real=fake, fake=real, k=k)


def precision_recall(real: np.ndarray, fake: np.ndarray, k: int = 3) -> tuple[float, float]:
    """Both sides of Kynkäänniemi et al.: how good the fakes are, how much they cover."""
    return precision(real, fake, k), recall(real, fake, k)


def _squared_distances(x: np.ndarray, y: np.ndarray) -> Iterator[np.ndarray]:
    """The matrix of squared distances [len(x), len(y)], a block of its rows at a time."""
    rows = max(1, _BLOCK_VALUES // len(y))
    squares = np.sum(y**2, axis=1)
    for start in range(0, len(x), rows):
        block = x[start : start + rows]
        yield np.sum(block**2, axis=1, keepdims=True) + squares - 2 * block @ y.T


def _squared_radii(x: np.ndarray, k: int) -> np.ndarray:
    """The squared distance of each row to its k-th nearest other row."""
    # The nearest of all, 0, is the row itself. Copied, because a view keeps its block in memory.
    return np.concatenate(
        [np.partition(block, k, axis=1)[:, k].copy() for block in _squared_distances(x, x)]
    )
