"""The nearest neighbours of features, exact: float32 proposes, float64 decides."""

import dataclasses
from collections.abc import Callable

import numpy as np

from components.features.distances import checked
from components.features.neighbourhoods import tiles
from components.features.neighbourhoods.tiles import Points

# Neighbours that are kept beyond those asked for, as float32 may have the order wrong.
SPARE = 2


def nearest_neighbours(
    queries: np.ndarray, reference: np.ndarray, count: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """The `count` nearest rows of `reference` to each query, nearest first.

    Args:
      queries, reference: features [q, d] and [n, d], at least 1 and `count` rows.
      count: 1 or more.

    Returns:
      Their indices, int64 [q, count], and Euclidean distances, float64 [q, count]; 0 for copies.

    Raises:
      ValueError: for other shapes, too few rows, NaN or infinity.
    """
    if count < 1:
        raise ValueError(f"count: {count}, expected 1 or more")
    queries = checked("queries", queries, at_least=1)
    reference = checked("reference", reference, at_least=count)
    if queries.shape[1] != reference.shape[1]:
        raise ValueError(
            f"queries: {queries.shape[1]} features, expected {reference.shape[1]} as in reference"
        )
    unit, (y, x) = tiles.centred(reference, queries)
    nearest = Nearest(len(x), min(count + SPARE, len(y)))
    for rows, columns, tile in tiles.between(x, y):
        nearest.see(tile, rows, columns.start)
    indices, squared = settled(x, y, nearest, count)
    return indices, unit * np.sqrt(squared)


def spacing(features: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The distances of some rows of `features` to their nearest other rows, float64 [rows].

    Args:
      features: [n, d], 2 rows or more.
      rows: int [rows].
    """
    nearest, distances = nearest_neighbours(features[rows], features, 2)
    # The first is the row itself, or a twin of it at the same distance of 0.
    return np.where(nearest[:, 0] == rows, distances[:, 1], distances[:, 0])


class Nearest:
    """The `count` smallest values in each row of a matrix that is seen a tile at a time.

    Attributes:
      values: [rows, count], infinity where fewer have been seen.
      columns: int64 [rows, count], where they are.
    """

    def __init__(self, rows: int, count: int, dtype: type = np.float32) -> None:
        self.values: np.ndarray = np.full((rows, count), np.inf, dtype)
        self.columns = np.zeros((rows, count), np.int64)

    def see(self, tile: np.ndarray, rows: slice, first_column: int) -> None:
        """Takes in a tile of the matrix's `rows`, from `first_column` on."""
        values, columns = self.values[rows], self.columns[rows]
        count = values.shape[1]
        # The largest is last: partitions and sorts leave it there.
        if np.isinf(values[:, -1]).any():
            start = max(count, tile.shape[1] // 4)
            both = np.concatenate([values, tile[:, :start]], axis=1)
            chosen = np.argpartition(both, count - 1, axis=1)[:, :count]
            known = np.take_along_axis(columns, np.minimum(chosen, count - 1), axis=1)
            columns[:] = np.where(chosen < count, known, chosen - count + first_column)
            values[:] = np.take_along_axis(both, chosen, axis=1)
            tile, first_column = tile[:, start:], first_column + start
        # Of what follows, few are nearer.
        nearer = tile < values[:, -1:]
        if nearer.flags.c_contiguous:
            row, column = np.nonzero(nearer)
        else:  # nonzero is slow across the order in memory
            column, row = np.nonzero(nearer.T)
        if not len(row):
            return
        all_rows = np.concatenate([np.repeat(np.arange(len(values)), count), row])
        all_values = np.concatenate([values.ravel(), tile[row, column]])
        all_columns = np.concatenate([columns.ravel(), column + first_column])
        order = np.lexsort((all_values, all_rows))
        starts = np.searchsorted(all_rows[order], np.arange(len(values)))
        chosen = order[starts[:, np.newaxis] + np.arange(count)]
        values[:], columns[:] = all_values[chosen], all_columns[chosen]


@dataclasses.dataclass(frozen=True)
class Others:
    """The nearest others of each row of a set, nearest first, as several metrics need them.

    Attributes:
      indices: int64 [n, count].
      squared: float64 [n, count], squared distances over the unit's square.
      unit: a power of two.
    """

    indices: np.ndarray
    squared: np.ndarray
    unit: float

    @classmethod
    def of(cls, name: str, features: np.ndarray, count: int) -> "Others":
        """Of features [n, d], more than `count` rows; `name` is theirs in error messages."""
        unit, (points,) = tiles.centred(checked(name, features, at_least=count + 1))
        advance = tiles.Progress(f"neighbours of {name}", tiles.half(len(points)))
        return cls(*_nearest_others(points, count, advance), unit)

    def squared_in(self, unit: float) -> np.ndarray:
        """The squared distances over another unit's square, itself a power of two."""
        return self.squared * (self.unit / unit) ** 2


def _nearest_others(
    points: Points, count: int, advance: Callable[[int], None]
) -> tuple[np.ndarray, np.ndarray]:
    """The `count` nearest others of each point, as `settled`."""
    nearest = Nearest(len(points), min(count + SPARE, len(points) - 1))
    for rows, columns, tile in tiles.between(points, points):
        if rows == columns:
            np.fill_diagonal(tile, np.inf)
        else:
            nearest.see(tile.T, columns, rows.start)
        nearest.see(tile, rows, columns.start)
        advance(tile.size)
    return settled(points, points, nearest, count)


def settled(x: Points, y: Points, nearest: Nearest, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The `count` nearest of y to each of x, from what float32 found nearest.

    Where x is y, a point is no neighbour of its own.

    Returns:
      indices int64 [len(x), count] and squared distances float64 [len(x), count], by distance.
    """
    indices, squared = _sorted(x, y, np.arange(len(x)), nearest.columns)
    others = len(y) - (x is y)
    if indices.shape[1] < others:
        farthest = squared[:, count - 1]
        error = tiles.rounding(x, np.float32) * reach(x.squares, farthest)
        unsure = np.flatnonzero(farthest > nearest.values.max(axis=1) - error)
        for part in tiles.parts(len(unsure)):
            rows = unsure[part]
            again = Nearest(len(rows), indices.shape[1], np.float64)
            for columns in tiles.parts(len(y)):
                tile = tiles.precise(x, y, rows, columns)
                if x is y:
                    own = np.flatnonzero((rows >= columns.start) & (rows < columns.stop))
                    tile[own, rows[own] - columns.start] = np.inf
                again.see(tile, slice(0, len(rows)), columns.start)
            indices[rows], squared[rows] = _sorted(x, y, rows, again.columns)
    return indices[:, :count], squared[:, :count]


def _sorted(
    x: Points, y: Points, rows: np.ndarray, columns: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    squared = tiles.pairs(x, y, np.repeat(rows, columns.shape[1]), columns.ravel())
    squared = squared.reshape(columns.shape)
    order = np.lexsort((columns, squared), axis=1)
    return np.take_along_axis(columns, order, 1), np.take_along_axis(squared, order, 1)


def reach(squares: np.ndarray, squared_radii: np.ndarray) -> np.ndarray:
    """The largest sum of the squared norms of a point and of another within the radius."""
    return squares + (np.sqrt(squares) + np.sqrt(squared_radii)) ** 2
