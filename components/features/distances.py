"""Distances between two sets of features, used by the trainer and the evaluator.

Features are [n, d] arrays with one row per datum; real and fake ones come from the same extractor.
"""

import dataclasses

import numpy as np
from scipy import linalg

_BATCH_SIZE = 4096
# Tolerated relative rounding error of the covariances' term of a Fréchet distance.
_ROUNDING = 1e-10


@dataclasses.dataclass(frozen=True, eq=False)
class Moments:
    """Count, mean and scatter of features, computed batch by batch in float64.

    The moments of disjoint batches may be computed separately and merged in any order.

    Attributes:
      count: number of rows.
      mean: [d].
      scatter: [d, d], the sum of (x - mean)(x - mean)ᵀ over the rows; only its upper triangle is
        valid.
    """

    count: int
    mean: np.ndarray
    scatter: np.ndarray

    @classmethod
    def of(cls, features: np.ndarray, batch_size: int = _BATCH_SIZE) -> "Moments":
        """The moments of features; only one batch at a time is copied to float64.

        Args:
          features: [n, d], at least 1 row.
          batch_size: rows per batch; affects only rounding.

        Raises:
          ValueError: for another shape, no rows, NaN or infinity.
        """
        features = checked("features", features, at_least=1)
        d = features.shape[1]
        count, mean, scatter = 0, np.zeros(d), np.zeros((d, d), order="F")
        for start in range(0, len(features), batch_size):
            batch = features[start : start + batch_size].astype(np.float64, order="C")
            centre = batch.mean(axis=0)
            batch -= centre
            # A rank-k update writes one triangle only: half the work of a matrix product.
            scatter = linalg.blas.dsyrk(1.0, batch.T, beta=1.0, c=scatter, overwrite_c=True)
            count, mean, scatter = _merged(count, mean, len(batch), centre, scatter)
        return cls(count, mean, scatter)

    def merge(self, other: "Moments") -> "Moments":
        """The moments of both sets of rows together, exact up to rounding.

        Chan, Golub and LeVeque, "Algorithms for Computing the Sample Variance", 1983, section 3.

        Raises:
          ValueError: if the numbers of features differ.
        """
        if self.mean.shape != other.mean.shape:
            raise ValueError(f"other: {other.mean.size} features, expected {self.mean.size}")
        scatter = np.asfortranarray(self.scatter + other.scatter)
        return Moments(*_merged(self.count, self.mean, other.count, other.mean, scatter))

    @property
    def covariance(self) -> np.ndarray:
        """The unbiased covariance [d, d] (divided by N - 1).

        Raises:
          ValueError: for fewer than 2 rows.
        """
        if self.count < 2:
            raise ValueError(f"features: {self.count} rows, at least 2 are needed")
        upper = np.triu(self.scatter) / (self.count - 1)
        return upper + np.triu(upper, 1).T


def _merged(
    count: int, mean: np.ndarray, other_count: int, other_mean: np.ndarray, scatter: np.ndarray
) -> tuple[int, np.ndarray, np.ndarray]:
    """Merges two sets; `scatter` is the sum of both scatters, each around its own mean."""
    total = count + other_count
    apart = other_mean - mean
    between = linalg.blas.dsyr(count * other_count / total, apart, a=scatter, overwrite_a=True)
    return total, mean + apart * (other_count / total), between


def fid(real: np.ndarray, fake: np.ndarray) -> float:
    """Fréchet distance between Gaussians with the features' means and covariances (N - 1).

    Heusel et al., "GANs Trained by a Two Time-Scale Update Rule", 2017, section 4. 0 is best. Its
    bias depends on the sample size: only compare scores of equal counts.

    >>> features = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0]])
    >>> round(fid(features, features + [3, 4]), 6)
    25.0

    Args:
      real, fake: features [n, d] and [m, d], at least 2 rows each.

    Raises:
      ValueError: for other shapes, too few rows, NaN or infinity.
    """
    one, other = (Moments.of(features) for features in checked_pair(real, fake, at_least=2))
    return fid_from_statistics(one.mean, one.covariance, other.mean, other.covariance)


def fid_from_statistics(
    mu1: np.ndarray, sigma1: np.ndarray, mu2: np.ndarray, sigma2: np.ndarray
) -> float:
    """‖μ₁ - μ₂‖² + tr(Σ₁ + Σ₂ - 2(Σ₁Σ₂)^½) of means [d] and covariances [d, d].

    Raises:
      ValueError: for shapes that do not match, NaN or infinity, and for matrices that are not
        covariances: not symmetric, or with a negative variance.
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
    # With Σ = FFᵀ, the eigenvalues of Σ₁Σ₂ are the squared singular values of F₁ᵀF₂. Those are
    # nonnegative, and accurate even if Σ is singular (fewer rows than columns, constant features),
    # where square roots of eigenvalues would lose half of the digits.
    cross = _sum_of_singular_values(_factor("sigma1", sigma1).T @ _factor("sigma2", sigma2))
    distance = np.sum((mu1 - mu2) ** 2) + np.trace(sigma1) + np.trace(sigma2) - 2 * cross
    return max(float(distance), 0.0)


def _factor(name: str, sigma: np.ndarray) -> np.ndarray:
    """F [d, rank] with sigma = FFᵀ: the pivoted Cholesky factor, as sigma may be singular."""
    largest = np.abs(sigma).max()
    if np.diagonal(sigma).min() < 0 or np.abs(sigma - sigma.T).max() > 1e-6 * largest:
        raise ValueError(
            f"{name}: not a covariance: it is not symmetric or has a negative variance"
        )
    tolerance = 4 * len(sigma) * np.finfo(np.float64).eps * largest
    upper, pivots, rank, _ = linalg.lapack.dpstrf(sigma, tol=tolerance)
    factor = np.empty((len(sigma), rank))
    factor[pivots - 1] = np.triu(upper[:rank]).T
    return factor


def _sum_of_singular_values(product: np.ndarray) -> float:
    if not product.size:
        return 0.0
    # Roots of the eigenvalues of MMᵀ take a third of the time, and suffice unless many are small.
    smaller = product if product.shape[0] <= product.shape[1] else product.T
    squares = linalg.eigvalsh(smaller @ smaller.T).clip(min=np.finfo(np.float64).tiny)
    roots = np.sqrt(squares)
    error = np.finfo(np.float64).eps * squares.max() * np.sum(0.5 / roots)
    if error > _ROUNDING * roots.sum():
        roots = linalg.svdvals(product)
    return float(roots.sum())


def polynomial_mmd(real: np.ndarray, fake: np.ndarray) -> float:
    """Unbiased squared maximum mean discrepancy under the kernel (xᵀy/d + 1)³.

    Bińkowski et al., "Demystifying MMD GANs", 2018, section 4. Its expectation is 0 for samples of
    one distribution, so single values may be negative.

    >>> polynomial_mmd(np.zeros((3, 2)), np.ones((3, 2)))  # kernels 1 and 8 within, 1 between
    7.0

    Args:
      real, fake: features [n, d] and [m, d], at least 2 rows each.

    Raises:
      ValueError: for other shapes, too few rows, NaN or infinity.
    """
    real, fake = matrix_pair(real, fake, at_least=2)
    return (
        _mean_of_pairs(real)
        + _mean_of_pairs(fake)
        - 2 * float(polynomial_kernel(real, fake).mean())
    )


def checked(name: str, array: np.ndarray, at_least: int) -> np.ndarray:
    """`array` as float32 or float64 [n, d], without a copy if it is that already.

    Args:
      name: its name in error messages.
      array: numbers [n, d], d of at least 1.
      at_least: minimum number of rows.

    Raises:
      ValueError: for another shape, too few rows, NaN or infinity.
    """
    array = np.asarray(array)
    if array.dtype not in (np.float32, np.float64):
        array = array.astype(np.float64)
    if array.ndim != 2 or not array.shape[1]:
        raise ValueError(f"{name}: shape {list(array.shape)}, expected [n, d] with d of 1 or more")
    if len(array) < at_least:
        raise ValueError(f"{name}: {len(array)} rows, at least {at_least} are needed")
    starts = range(0, len(array), _BATCH_SIZE)
    if not all(np.isfinite(array[start : start + _BATCH_SIZE]).all() for start in starts):
        raise ValueError(f"{name}: holds NaN or infinity")
    return array


def checked_pair(
    real: np.ndarray, fake: np.ndarray, at_least: int
) -> tuple[np.ndarray, np.ndarray]:
    """Both as `checked`; also raises ValueError if their numbers of columns differ."""
    real, fake = checked("real", real, at_least), checked("fake", fake, at_least)
    if real.shape[1] != fake.shape[1]:
        raise ValueError(f"fake: {fake.shape[1]} features, expected {real.shape[1]} as in real")
    return real, fake


def matrix(name: str, array: np.ndarray, at_least: int) -> np.ndarray:
    """As `checked`, in float64."""
    return checked(name, array, at_least).astype(np.float64, copy=False)


def matrix_pair(real: np.ndarray, fake: np.ndarray, at_least: int) -> tuple[np.ndarray, np.ndarray]:
    """As `checked_pair`, in float64."""
    real, fake = checked_pair(real, fake, at_least)
    return real.astype(np.float64, copy=False), fake.astype(np.float64, copy=False)


def polynomial_kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(xᵀy/d + 1)³ for every pair of rows, float64 [n, m].

    Args:
      x, y: float64 [n, d] and [m, d].
    """
    linear = x @ y.T
    linear /= x.shape[1]
    linear += 1
    cube = linear * linear  # A power takes ten times as long.
    cube *= linear
    return cube


def _mean_of_pairs(x: np.ndarray) -> float:
    """The mean kernel value over pairs of different rows."""
    kernel = polynomial_kernel(x, x)
    return float((kernel.sum() - np.trace(kernel)) / (len(x) * (len(x) - 1)))
