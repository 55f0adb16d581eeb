"""Squared distances of two sets of features, a tile at a time, and bounds of their rounding."""

import dataclasses
import itertools
import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

# Rows and columns of a tile: 16 MB of float32, and large enough for products at full speed.
_TILE = 2048
_PAIR_VALUES = 1_000_000
# Work that is done sooner is not worth a line in the log.
_SILENT_SECONDS = 20.0

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Points:
    """Features as given, and centred, in a unit that keeps float32 from overflow.

    Attributes:
      given: float32 or float64 [n, d].
      centre: float64 [d].
      unit: a power of two.
      small: float32 [n, d], (given - centre) / unit.
      squares: float64 [n], their squared norms.
    """

    given: np.ndarray
    centre: np.ndarray
    unit: float
    small: np.ndarray
    squares: np.ndarray

    def __len__(self) -> int:
        return len(self.given)

    def precise(self, rows: slice | np.ndarray) -> np.ndarray:
        """float64 rows of `small`, without its rounding."""
        block = self.given[rows].astype(np.float64)
        block -= self.centre
        block /= self.unit
        return block


def centred(*sets: np.ndarray) -> tuple[float, list[Points]]:
    """The unit, and the sets of features [n, d], all about the mean of the first."""
    # Squared distances are differences of squared norms: the smaller the norms, the better.
    centre = sets[0].mean(axis=0, dtype=np.float64)
    largest = max(max(abs(float(x.max())), abs(float(x.min()))) for x in sets)
    unit = float(2.0 ** np.ceil(np.log2(2 * largest))) if largest else 1.0
    result = []
    for given in sets:
        small, squares = np.empty(given.shape, np.float32), np.empty(len(given))
        points = Points(given, centre, unit, small, squares)
        for rows in parts(len(given)):
            block = points.precise(rows)
            small[rows], squares[rows] = block, _squares(block)
        result.append(points)
    return unit, result


def between(x: Points, y: Points) -> Iterator[tuple[slice, slice, np.ndarray]]:
    """All of the matrix of squared distances, or its upper half where x is y, a tile at a time.

    Yields:
      The rows and the columns of a tile, and their squared distances, float32 [rows, columns].
    """
    if x is y:
        places = list(itertools.combinations_with_replacement(parts(len(x)), 2))
    else:
        places = list(itertools.product(parts(len(x)), parts(len(y))))
    # The next one is made while the caller looks at this one.
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(_tile, x, y, *places[0])
        for place, following in itertools.zip_longest(places, places[1:]):
            tile = coming.result()
            if following is not None:
                coming = pool.submit(_tile, x, y, *following)
            yield *place, tile


def precise(x: Points, y: Points, rows: slice | np.ndarray, columns: slice) -> np.ndarray:
    """Squared distances of one tile, float64 [rows, columns]."""
    left, right = x.precise(rows), y.precise(columns)
    tile = left @ right.T
    tile *= -2
    tile += _squares(right)
    tile += _squares(left)[:, np.newaxis]
    return tile


def pairs(x: Points, y: Points, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """Squared distances of x[i] to y[j], float64 [n], by differences: exactly 0 for copies."""
    squared = np.empty(len(i))
    step = max(1, _PAIR_VALUES // x.given.shape[1])

    def fill(start: int) -> None:
        part = slice(start, start + step)
        apart = np.subtract(x.given[i[part]], y.given[j[part]], dtype=np.float64)
        apart /= x.unit
        squared[part] = _squares(apart)

    in_threads(fill, range(0, len(i), step))
    return squared


def rounding(points: Points, dtype: type) -> float:
    """Bound of a tile's error, as a share of the two squared norms' sum.

    d roundings in the product (Higham, "Accuracy and Stability of Numerical Algorithms", section
    3.1), 9 in the rest of the formula, rounded up.
    """
    return (points.given.shape[1] + 16) * float(np.finfo(dtype).eps) / 2


def parts(rows: int) -> list[slice]:
    """All the rows, in order, at most a tile's at a time."""
    return [slice(start, min(start + _TILE, rows)) for start in range(0, rows, _TILE)]


def half(rows: int) -> int:
    """Values in the tiles of one half of a symmetric matrix, the diagonal's tiles whole."""
    return (rows**2 + sum((part.stop - part.start) ** 2 for part in parts(rows))) // 2


class Progress:
    """Logs how much of some work of `total` values is done, and the time left, every 20 s."""

    def __init__(self, work: str, total: int) -> None:
        self._work, self._total, self._done = work, total, 0
        self._started = self._logged = time.monotonic()

    def __call__(self, values: int) -> None:
        self._done += values
        now, share = time.monotonic(), self._done / self._total
        if now - self._logged > _SILENT_SECONDS:
            self._logged = now
            left = (now - self._started) * (1 - share) / share
            _log.info("%s: %.0f %%, %.0f s left", self._work, 100 * share, left)


def _tile(x: Points, y: Points, rows: slice, columns: slice) -> np.ndarray:
    """Squared distances, float32 [rows, columns]."""
    tile = x.small[rows] @ y.small[columns].T
    tile *= -2
    tile += y.squares[columns].astype(np.float32)
    tile += x.squares[rows, np.newaxis].astype(np.float32)
    return tile


def in_threads(function: Callable[[int], None], arguments: Iterable[int]) -> None:
    """Calls a function of NumPy's, which other threads do not wait for."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for _ in pool.map(function, arguments):
            pass


def _squares(rows: np.ndarray) -> np.ndarray:
    return np.einsum("nd,nd->n", rows, rows)
