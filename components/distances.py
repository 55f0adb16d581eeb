"""Distances between two sets of features, which the trainer and the evaluator share.

Features are [n, d] arrays, one row an image; real and fake come from one extractor.
"""

import numpy as np


def fid(real: np.ndarray, fake: np.ndarray) -> float:
    """Fréchet distance of the two Gaussians with the features' means and covariances (N - 1).

    Heusel et al., "GANs Trained by a Two Time-Scale Update Rule", 2017, section 4. 0 is best. Its
    bias grows as the samples shrink: compare scores of equal counts only.

    Args:
      real, fake: features [n, d] and [m, d], at least 2 rows each.

    Raises:
      ValueError: for other shapes, too few rows, NaN or infinity.
    """
    real, fake = matrix_pair(real, fake, at_least=2)
    return fid_from_statistics(
        real.mean(axis=0),
        np.atleast_2d(np.cov(real, rowvar=False)),
        fake.mean(axis=0),
        np.atleast_2d(np.cov(fake, rowvar=False)),
    )


def fid_from_statistics(
    mu1: np.ndarray, sigma1: np.ndarray, mu2: np.ndarray, sigma2: np.ndarray
) -> float:
    """‖μ₁ - μ₂‖² + tr(Σ₁ + Σ₂ - 2(Σ₁Σ₂)^½) of means [d] and covariances [d, d].

    Raises:
      ValueError: for shapes that do not fit, NaN or infinity.
    """
    statistics = {"mu1": mu1, "sigma1": sigma1, "mu2": mu2, "sigma2": sigma2}
    d = np.size(mu1)
    for name, array in statistics.items():
        shape = (d,) if name.startswith("mu") else (d, d)
        if np.shape(array) != shape:
            raise ValueError(f"{name}: shape {list(np.shape(array))}, expected {list(shape)}")
        if not np.isfinite(array).all():
            raise ValueError(f"{name}: holds NaN or infinity")
    mu1, sigma1, mu2, sigma2 = (np.asarray(a, np.float64) for a in statistics.values())
    # tr (Σ₁Σ₂)^½ = tr (AΣ₂A)^½ with A = Σ₁^½: both roots are of symmetric matrices, so singular
    # covariances (fewer rows than columns, constant features) give neither NaN nor complex numbers.
    values, vectors = np.linalg.eigh(sigma1)
    root = (vectors * np.sqrt(values.clip(min=0))) @ vectors.T
    product = root @ sigma2 @ root
    cross = np.sqrt(np.linalg.eigvalsh((product + product.T) / 2).clip(min=0)).sum()
    distance = np.sum((mu1 - mu2) ** 2) + np.trace(sigma1) + np.trace(sigma2) - 2 * cross
    return max(float(distance), 0.0)


def polynomial_mmd(real: np.ndarray, fake: np.ndarray) -> float:
    """Unbiased squared maximum mean discrepancy under the kernel (xᵀy/d + 1)³.

    Bińkowski et al., "Demystifying MMD GANs", 2018, section 4. 0 is expected for samples of one
    distribution, so that single values may be negative.

    Args:
      real, fake: features [n, d] and [m, d], at least 2 rows each.

    Raises:
      ValueError: for other shapes, too few rows, NaN or infinity.
    """
    real, fake = matrix_pair(real, fake, at_least=2)
    return _mean_of_pairs(real) + _mean_of_pairs(fake) - 2 * float(_kernel(real, fake).mean())


def matrix(name: str, array: np.ndarray, at_least: int) -> np.ndarray:
    """`array` as float64 [n, d], checked.

    Args:
      name: what it is, for the error.
      array: numbers [n, d], d of 1 or more.
      at_least: rows that are needed.

    Raises:
      ValueError: for another shape, too few rows, NaN or infinity.
    """
    array = np.asarray(array, np.float64)
    if array.ndim != 2 or not array.shape[1]:
        raise ValueError(f"{name}: shape {list(array.shape)}, expected [n, d] with d of 1 or more")
    if len(array) < at_least:
        raise ValueError(f"{name}: {len(array)} rows, at least {at_least} are needed")
    if not np.isfinite(array).all():
        raise ValueError(f"{name}: holds NaN or infinity")
    return array


def matrix_pair(real: np.ndarray, fake: np.ndarray, at_least: int) -> tuple[np.ndarray, np.ndarray]:
    """Both as `matrix`; raises ValueError also where their numbers of columns differ."""
    real, fake = matrix("real", real, at_least), matrix("fake", fake, at_least)
    if real.shape[1] != fake.shape[1]:
        raise ValueError(f"fake: {fake.shape[1]} features, expected {real.shape[1]} as in real")
    return real, fake


def _kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return (x @ y.T / x.shape[1] + 1) ** 3


def _mean_of_pairs(x: np.ndarray) -> float:
    """The mean kernel value of two different rows."""
    kernel = _kernel(x, x)
    return float((kernel.sum() - np.trace(kernel)) / (len(x) * (len(x) - 1)))
