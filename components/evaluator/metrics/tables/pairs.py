"""How pairs of columns hang together: codes in, numbers out. Conventions: docs/metrics.md."""

from collections.abc import Iterator

import numpy as np
from scipy.stats.contingency import association

from components.evaluator.metrics import uncertainty
from components.features.distances import Moments

# So many bins have the values of a column with an order beside a discrete one, as in SDMetrics.
_BINS = 10
# Of a column's mean: as much deviation may float64's rounding give to a constant. That of float32
# data is larger where there is any.
_ROUNDING = 1e-12
# Tables of groups and cells up to here are counted whole.
_MOST_CELLS = 2**20


def choose(columns: int, most: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The pairs of columns, as int64 [pairs] each: all, or `most` of them at random."""
    one, other = np.triu_indices(columns, 1)
    if len(one) > most:
        chosen = np.sort(np.random.default_rng(seed).permutation(len(one))[:most])
        return one[chosen], other[chosen]
    return one, other


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


def correlations_without_each_group(data: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Pearson's of all rows, and then without each group, [1 + groups, columns, columns].

    A pair is correlated on the rows that have both values, and 0 where they do not vary.

    Args:
      data: [n, columns], NaN where a value is missing.
      groups: of the rows, int [n], from 0, none of them empty.
    """
    if not np.isnan(data).any():
        moments = uncertainty.moments_without_each_group(data, groups)
        return np.stack([correlations(each) for each in moments])
    return np.stack([_of_complete_pairs(rows) for rows in _without_each_group(data, groups)])


def _without_each_group(data: np.ndarray, groups: np.ndarray) -> Iterator[np.ndarray]:
    yield data
    for group in range(int(groups.max()) + 1):
        yield data[groups != group]


def _of_complete_pairs(data: np.ndarray) -> np.ndarray:
    there = ~np.isnan(data)
    counts = np.maximum(there.sum(axis=0), 1)
    values = np.where(there, data, 0.0)
    # Centred and scaled first, so that the subtractions below lose nothing.
    values = np.where(there, data - values.sum(axis=0) / counts, 0.0)
    spread = np.sqrt(np.square(values).sum(axis=0) / counts)
    values = np.divide(values, spread, out=np.zeros_like(values), where=spread > 0)
    weights = there.astype(np.float64)
    common = np.maximum(weights.T @ weights, 1)
    means = values.T @ weights / common
    variances = np.square(values).T @ weights / common - np.square(means)
    covariances = values.T @ values / common - means * means.T
    varies = variances > _ROUNDING * (1 + np.square(means))
    scale = np.sqrt(np.maximum(variances * variances.T, 0))
    found = np.divide(covariances, scale, out=np.zeros_like(scale), where=varies & varies.T)
    np.fill_diagonal(found, 1)
    return np.clip(found, -1, 1)


def binned(real: np.ndarray, fake: np.ndarray, discrete: np.ndarray) -> list[np.ndarray]:
    """Both, [n, columns] and [m, columns], as int64 from 0: categories, or bins; 0 is missing.

    Values with an order are put into ten bins that hold equally many real ones, or into fewer where
    many real ones are equal.
    """
    made = [np.zeros(data.shape, np.int64) for data in (real, fake)]
    for place, names in enumerate(discrete):
        values = real[:, place]
        values = values[~np.isnan(values)]
        edges = np.empty(0)
        if values.size and not names:
            edges = np.unique(np.quantile(values, np.arange(1, _BINS) / _BINS))
        for codes, data in zip(made, (real, fake), strict=True):
            there = ~np.isnan(data[:, place])
            column = data[there, place]
            found = column if names else np.searchsorted(edges, column, "left")
            codes[there, place] = 1 + found.astype(np.int64)
    return made


def contingency_similarities(
    real: np.ndarray, fake: np.ndarray, real_groups: np.ndarray, fake_groups: np.ndarray
) -> np.ndarray:
    """1 minus the total variation distance of two columns' cells, in [0, 1].

    Of all rows, and then without each group, [1 + groups].

    Args:
      real, fake: int64 [n, 2] and [m, 2], from 0, as `binned` makes them.
      real_groups, fake_groups: of the rows, int [n] and [m], the same groups from 0.
    """
    together = np.concatenate([real, fake])
    cells = together[:, 0] * (1 + together[:, 1].max()) + together[:, 1]
    groups = int(real_groups.max()) + 1
    if groups * (1 + cells.max()) > _MOST_CELLS:
        cells = np.unique(cells, return_inverse=True)[1]
    size = int(cells.max()) + 1

    def shares(cells: np.ndarray, of_rows: np.ndarray) -> np.ndarray:
        counts = np.bincount(of_rows * size + cells, minlength=groups * size)
        counts = counts.reshape(groups, size)
        whole = counts.sum(axis=0)
        left = np.concatenate([whole[np.newaxis], whole - counts])
        return left / left.sum(axis=1, keepdims=True)

    ours, theirs = np.split(cells, [len(real)])
    return 1 - np.abs(shares(ours, real_groups) - shares(theirs, fake_groups)).sum(axis=1) / 2


def associations(codes: np.ndarray, discrete: np.ndarray) -> np.ndarray:
    """How much every two columns have to do with each other, [columns, columns].

    Pearson's correlation, in [-1, 1], of two that have an order; Cramér's V, in [0, 1], of two
    discrete ones; the correlation ratio, in [0, 1], of one of each. Rows without one of both values
    do not count.

    Args:
      codes: [n, columns], NaN where a value is missing.
      discrete: bool [columns].
    """
    found = np.eye(codes.shape[1])
    ordered = np.flatnonzero(~discrete)
    if len(ordered):
        found[np.ix_(ordered, ordered)] = _of_complete_pairs(codes[:, ordered])
    for one, other in zip(*np.triu_indices(codes.shape[1], 1), strict=True):
        if discrete[one] or discrete[other]:
            # The discrete one first.
            pair = codes[:, [one, other] if discrete[one] else [other, one]]
            pair = pair[~np.isnan(pair).any(axis=1)]
            measure = _cramers_v if discrete[one] and discrete[other] else _correlation_ratio
            found[one, other] = found[other, one] = measure(*pair.T)
    return found


def _cramers_v(one: np.ndarray, other: np.ndarray) -> float:
    sides = [np.unique(column, return_inverse=True)[1] for column in (one, other)]
    shape = [1 + side.max(initial=-1) for side in sides]
    if min(shape) < 2:
        return 0.0
    table = np.zeros(shape, np.int64)
    np.add.at(table, tuple(sides), 1)
    return float(association(table, method="cramer"))


def _correlation_ratio(names: np.ndarray, values: np.ndarray) -> float:
    """The share of the variance that lies between the categories, its root."""
    if not values.size or not np.ptp(values):
        return 0.0
    centred = values - values.mean()
    inverse, counts = np.unique(names, return_inverse=True, return_counts=True)[1:]
    means = np.bincount(inverse, centred) / counts
    between = float(counts @ np.square(means) / np.square(centred).sum())
    return float(np.sqrt(min(between, 1.0)))
