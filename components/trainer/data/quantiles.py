"""Quantile functions of columns of numbers, learnt from data, and evaluated in graphs."""

import dataclasses
from typing import Literal

import numpy as np
import tensorflow as tf

from components.data.columns import Column

# How numbers become components of vectors.
Numbers = Literal["ranks", "min_max"]

_MOST_DECIMALS = 6
# Of a column's quantile function; a value with this share of the rows keeps it exactly.
_KNOTS = 512
# Microseconds that datetimes may be whole multiples of: days, hours, minutes, …
_UNITS = (86_400_000_000, 3_600_000_000, 60_000_000, 1_000_000, 1_000)
_FEWEST_MICROSECONDS = 1.0
# Beside each other, so that a constant column is 0 in the middle.
_MIDDLE = 0.5


@dataclasses.dataclass(frozen=True)
class Quantiles:
    """The quantile function of a column of numbers, linear between its knots.

    Two knots are min-max scaling. With more, numbers become their ranks, uniformly distributed
    whatever the column's distribution is; a value that many rows have gets their whole share, over
    which its ranks are spread at random, so that a generator need not hit a point to make it.

    Attributes:
      shares: of the knots, from 0 to 1, not falling; equal ones are a gap between two values.
      values: of the knots, not falling; equal ones are a value that many rows have.
      decimals: of the values, 0 for whole numbers; None if more than 6.
      unit: that all values are multiples of; 1 unless they are datetimes.
    """

    shares: tuple[float, ...]
    values: tuple[float, ...]
    decimals: int | None
    unit: float = 1.0

    @classmethod
    def learn(cls, column: Column, numbers: np.ndarray, how: Numbers) -> "Quantiles":
        """Those of the column's numbers [n], finite, n of 1 or more."""
        found, counts = np.unique(numbers, return_counts=True)
        if len(found) == 1:
            knots = np.array([[0.0, found[0]], [1.0, found[0]]])
        elif how == "min_max":
            knots = np.array([[0.0, found[0]], [1.0, found[-1]]])
        else:
            knots = _knots(found, counts)
        unit = 1.0
        if column.type == "datetime":
            unit = next((float(u) for u in _UNITS if not (found % u).any()), _FEWEST_MICROSECONDS)
        decimals = 0 if column.kind.feature.is_integer else _decimals(found.astype(np.float32))
        shares, values = (tuple(each.tolist()) for each in knots.T)
        return cls(shares, values, decimals, unit)

    def ranks(self, numbers: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Numbers [n] in [0, 1]; those beyond the ends become the ends."""
        shares, values = np.array(self.shares), np.array(self.values)
        if values[0] == values[-1]:
            return np.full(len(numbers), _MIDDLE)
        numbers = numbers.clip(values[0], values[-1])
        first = np.searchsorted(values, numbers, side="left")
        last = np.searchsorted(values, numbers, side="right") - 1
        # The number lies on the knots from `first` to `last`, or between `last` and `first`.
        known = first <= last
        before = np.minimum(first, last)
        after = np.where(known, before, before + 1)
        width = np.where(known, 1.0, values[after] - values[before])
        between = (numbers - values[before]) / width
        low = shares[before] + between * (shares[after] - shares[before])
        high = np.where(known, shares[np.maximum(first, last)], low)
        if len(shares) == 2:
            # The ends of min-max scaling are no shares of rows.
            return low
        return low + rng.random(len(numbers)) * (high - low)

    def numbers(self, ranks: tf.Tensor) -> tf.Tensor:
        """The numbers of ranks in [0, 1], both float64 [n]; in a graph."""
        shares, values = (tf.constant(each, tf.float64) for each in (self.shares, self.values))
        # By comparing with all, for which every runtime has an operation.
        reached = tf.reduce_sum(tf.cast(ranks[:, tf.newaxis] >= shares, tf.int32), axis=1)
        before = tf.clip_by_value(reached - 1, 0, len(self.shares) - 2)
        low, high = tf.gather(shares, before), tf.gather(shares, before + 1)
        least, most = tf.gather(values, before), tf.gather(values, before + 1)
        between = (ranks - low) / (high - low)
        return least * (1.0 - between) + most * between


def _knots(found: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Knots [k, 2] of shares and values, from all values, in order, and how often they occur."""
    total = counts.sum()
    ends = np.cumsum(counts)
    starts = ends - counts
    frequent = counts * _KNOTS >= total
    # Of the others some in equal steps of ranks, and near both ends, where a long tail would
    # otherwise be a straight line, in growing ones.
    steps = np.linspace(0, total, _KNOTS)
    growing = 2.0 ** np.arange(0, np.log2(_KNOTS), 0.5)
    ranks = np.concatenate([steps, growing, total - growing])
    kept = np.zeros(len(found), bool)
    kept[np.searchsorted(ends, ranks.clip(0, total - 1), side="right")] = True
    kept[[0, -1]] = True
    middle = (starts + ends) / 2
    knots = [
        point
        for place in np.flatnonzero(frequent | kept)
        for point in (
            [(starts[place], found[place]), (ends[place], found[place])]
            if frequent[place]
            else [(middle[place], found[place])]
        )
    ]
    table = np.array(knots, np.float64)
    table[:, 0] /= total
    table[0, 0], table[-1, 0] = 0.0, 1.0
    return table


def _decimals(column: np.ndarray) -> int | None:
    exact = column.astype(np.float64)
    for places in range(_MOST_DECIMALS + 1):
        if (exact.round(places).astype(column.dtype) == column).all():
            return places
    return None
