"""How far single columns of rows are from real ones: codes in, numbers out.

Codes are [n, columns] arrays of `components.data.columns`, NaN where a value is missing; what is
computed from them needs no extractor, and says which column is at fault. A column is discrete or
has an order. Conventions: docs/metrics.md.
"""

from collections.abc import Callable

import numpy as np
from scipy.stats import wasserstein_distance
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from threadpoolctl import threadpool_limits

from components.evaluator.metrics.tables import trees

_FOLDS = 5


def distances(
    real: np.ndarray, fake: np.ndarray, units: np.ndarray, discrete: np.ndarray
) -> np.ndarray:
    """Distances of the columns, [columns], each in [0, ∞).

    Of a column with an order, the Wasserstein-1 distance of the values that are there, in its unit;
    of a discrete one, the total variation distance, where a missing value is a value too.

    Args:
      real, fake: [n, columns] and [m, columns], 1 row or more.
      units: of each column, above 0, such as `deviations(real)`.
      discrete: bool [columns].
    """

    def of(place: int) -> float:
        pair = real[:, place], fake[:, place]
        if discrete[place]:
            return total_variation(*pair)
        return _beside_missing(*pair, lambda *v: wasserstein_distance(*v) / units[place])

    return np.array([of(place) for place in range(len(units))], np.float64)


def shapes(real: np.ndarray, fake: np.ndarray, discrete: np.ndarray) -> np.ndarray:
    """How alike the distributions of the columns are, [columns], in [0, 1], 1 where they are equal.

    Of a column with an order, 1 minus the Kolmogorov-Smirnov statistic; of a discrete one, 1 minus
    the total variation distance: KSComplement and TVComplement of SDMetrics, except that missing
    values count. Arguments as of `distances`.
    """
    apart = [
        total_variation(ours, theirs)
        if names
        else _beside_missing(ours, theirs, _kolmogorov_smirnov)
        for ours, theirs, names in zip(real.T, fake.T, discrete, strict=True)
    ]
    return 1 - np.array(apart, np.float64)


def deviations(data: np.ndarray) -> np.ndarray:
    """The columns' standard deviations, [columns]; 1 for a constant column, which has no unit.

    Args:
      data: [n, columns], 1 row or more; missing values do not count.
    """

    def of(values: np.ndarray) -> float:
        there = _present(values).astype(np.float64)
        return float(there.std()) if there.size and np.ptp(there) else 1.0

    return np.array([of(values) for values in data.T], np.float64)


def total_variation(real: np.ndarray, fake: np.ndarray) -> float:
    """Half the sum of the differences of the values' shares, in [0, 1]; NaN is one value."""
    # NumPy sorts NaN last and, asked so, counts all of them as one.
    values, inverse = np.unique(np.concatenate([real, fake]), return_inverse=True)
    shares = [
        np.bincount(part, minlength=len(values)) / len(part)
        for part in np.split(inverse, [len(real)])
    ]
    return float(np.abs(shares[0] - shares[1]).sum() / 2)


def two_sample_test(
    real: np.ndarray, fake: np.ndarray, discrete: np.ndarray, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Which held-out rows a classifier rightly tells for real or fake.

    The classifier two-sample test of Lopez-Paz and Oquab, "Revisiting Classifier Two-Sample Tests",
    2017, arXiv 1610.06545, section 3, cross-validated so that every row is held out once, with
    gradient-boosted trees, which no scale of a column misleads.

    Args:
      real, fake: [n, columns] and [m, columns], 2 rows or more; as many of each are taken.
      discrete: bool [columns].
      seed: of the choice of rows, the folds and the classifier.

    Returns:
      rows: int64 [2, count], those taken of the real and of the fake ones.
      right: bool [2, count], whether each was told right.
    """
    count = min(len(real), len(fake))
    rng = np.random.default_rng(seed)
    rows = np.stack([rng.permutation(len(data))[:count] for data in (real, fake)])
    labels = np.repeat([0, 1], count)
    # Its threads wait for each other without rest: where other work runs, they take ten times as
    # long as one alone.
    with threadpool_limits(1, "openmp"):
        told = cross_val_predict(
            trees.classifier(discrete, seed),
            trees.inputs(np.concatenate([real[rows[0]], fake[rows[1]]]), discrete),
            labels,
            cv=StratifiedKFold(min(_FOLDS, count), shuffle=True, random_state=seed),
        )
    return rows, (told == labels).reshape(2, count)


def _beside_missing(
    real: np.ndarray, fake: np.ndarray, distance: Callable[[np.ndarray, np.ndarray], float]
) -> float:
    """The distance of what is there, for the share that is there in both; the rest counts 1.

    So much has to be moved among the values, and so much from them to the missing ones.
    """
    present = [_present(values) for values in (real, fake)]
    shares = [len(there) / len(of) for there, of in zip(present, (real, fake), strict=True)]
    common = min(shares)
    moved = common * distance(*present) if common else 0.0
    return float(moved + abs(shares[0] - shares[1]))


def _kolmogorov_smirnov(real: np.ndarray, fake: np.ndarray) -> float:
    """The largest difference of the empirical distribution functions, in [0, 1]."""
    places = np.unique(np.concatenate([real, fake]))
    ours, theirs = (
        np.searchsorted(np.sort(values), places, "right") / len(values) for values in (real, fake)
    )
    return float(np.abs(ours - theirs).max())


def _present(values: np.ndarray) -> np.ndarray:
    return values[~np.isnan(values)]
