"""How far rows of numbers are from real ones: vectors in, numbers out.

Vectors are [n, columns] arrays in the units of the data; what is computed from them needs no
extractor, and says which column is at fault. Conventions: docs/metrics.md.
"""

import numpy as np
from scipy.stats import wasserstein_distance
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from threadpoolctl import threadpool_limits

from components.features.distances import Moments

# Of a column's mean: as much deviation may float64's rounding give to a constant. That of float32
# data is larger where there is any.
_ROUNDING = 1e-12
_FOLDS = 5
# Enough to tell what can be told at some thousand rows, at half the time of scikit-learn's default.
_TREES = 50


def distances(real: np.ndarray, fake: np.ndarray, units: np.ndarray) -> np.ndarray:
    """Wasserstein-1 distances of the columns, [columns], over `units`, [columns].

    Args:
      real, fake: [n, columns] and [m, columns], 1 row or more, finite.
      units: of each column, above 0, such as `deviations(real)`.
    """
    apart = map(wasserstein_distance, real.T, fake.T)
    return np.fromiter(apart, np.float64, len(units)) / units


def deviations(data: np.ndarray) -> np.ndarray:
    """The columns' standard deviations, [columns]; 1 for a constant column, which has no unit.

    Args:
      data: [n, columns], 1 row or more, finite.
    """
    return np.where(np.ptp(data, axis=0) == 0, 1.0, data.std(axis=0, dtype=np.float64))


def correlations(moments: Moments) -> np.ndarray:
    """Pearson's, [columns, columns]; 0 for a constant column beside others.

    Args:
      moments: of the vectors, 2 rows or more.
    """
    covariance = moments.covariance
    spread = np.sqrt(np.diag(covariance))
    varies = spread > _ROUNDING * np.abs(moments.mean)
    per_unit = np.divide(1, spread, out=np.zeros_like(spread), where=varies)
    found = np.clip(covariance * per_unit * per_unit[:, np.newaxis], -1, 1)
    np.fill_diagonal(found, 1)
    return found


def two_sample_test(real: np.ndarray, fake: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Which held-out rows a classifier rightly tells for real or fake.

    The classifier two-sample test of Lopez-Paz and Oquab, "Revisiting Classifier Two-Sample Tests",
    2017, arXiv 1610.06545, section 3, cross-validated so that every row is held out once, with
    gradient-boosted trees, which no scale of a column misleads.

    Args:
      real, fake: [n, columns] and [m, columns], 2 rows or more; as many of each are taken.
      seed: of the choice of rows, the folds and the classifier.

    Returns:
      rows: int64 [2, count], those taken of the real and of the fake ones.
      right: bool [2, count], whether each was told right.
    """
    count = min(len(real), len(fake))
    rng = np.random.default_rng(seed)
    rows = np.stack([rng.permutation(len(data))[:count] for data in (real, fake)])
    labels = np.repeat([0, 1], count)
    classifier = HistGradientBoostingClassifier(
        max_iter=_TREES, early_stopping=False, random_state=seed
    )
    # Its threads wait for each other without rest: where other work runs, they take ten times as
    # long as one alone.
    with threadpool_limits(1, "openmp"):
        told = cross_val_predict(
            classifier,
            np.concatenate([real[rows[0]], fake[rows[1]]]),
            labels,
            cv=StratifiedKFold(min(_FOLDS, count), shuffle=True, random_state=seed),
        )
    return rows, (told == labels).reshape(2, count)
