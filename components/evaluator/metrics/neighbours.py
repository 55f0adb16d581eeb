"""Which image is near which: nearest neighbours, and the manifolds of two sets of features.

Every matrix of distances is made once, a tile at a time, the symmetric ones by halves. float32
products propose; whatever rounding could have changed is decided in float64, from differences.
"""

import dataclasses
from collections.abc import Callable

import numpy as np

from components.evaluator.metrics import tiles
from components.evaluator.metrics.tiles import Points
from components.features.distances import checked, checked_pair

# Neighbours that are kept beyond those asked for, as float32 may have the order wrong.
_SPARE = 2
# A tile of which more than this share needs float64 is made in float64.
_FEW = 1 / 64


@dataclasses.dataclass(frozen=True)
class Manifolds:
    """How n real and m fake images lie to each other; means over images are the metrics.

    A ball is around each image and reaches to its k-th nearest other image of its own set.

    Attributes:
      in_real: bool [m], the fake lies in the ball (k, border included) of a real: precision.
      in_fake: bool [n], the real lies in the ball (k, border included) of a fake: recall.
      density: float64 [m], balls of reals (density_k, border excluded) that the fake lies in, over
        density_k.
      covered: bool [n], the nearest fake lies in the real's ball (density_k, border excluded).
      nearest_real: float64 [m], distance of the fake to the nearest real.
      nearest_fake: float64 [n], distance of the real to the nearest fake.
      real_spacing: float64 [n], distance of the real to the nearest other real.
      fake_spacing: float64 [m], distance of the fake to the nearest other fake.
      realism: float64 [m], the largest ratio of a real's radius (k) to its distance from the fake,
        over the reals whose radius is at most the median: 1 or more is realistic, and a copy of a
        real image has infinity.
    """

    in_real: np.ndarray
    in_fake: np.ndarray
    density: np.ndarray
    covered: np.ndarray
    nearest_real: np.ndarray
    nearest_fake: np.ndarray
    real_spacing: np.ndarray
    fake_spacing: np.ndarray
    realism: np.ndarray


def manifolds(
    real: np.ndarray,
    fake: np.ndarray,
    k: int = 3,
    density_k: int = 5,
    progress: Callable[[float], None] | None = None,
) -> Manifolds:
    """Improved precision and recall, density and coverage, and realism, image by image.

    Kynkäänniemi et al., "Improved Precision and Recall Metric for Assessing Generative Models",
    2019 (arXiv 1904.06991), sections 2 and 5; Naeem et al., "Reliable Fidelity and Diversity
    Metrics for Generative Models", 2020 (arXiv 2002.09797), section 3. Distances that are equal but
    for the rounding of float64 count as equal, so that borders do not depend on the machine.

    Needs memory for a float32 copy of the features and some tiles, never for a whole matrix.

    Args:
      real, fake: features [n, d] and [m, d], more than k and density_k rows each.
      k: neighbours that balls of precision, recall and realism reach to, 1 or more.
      density_k: the same for density and coverage.
      progress: gets the share of the work that is done, in (0, 1], after each tile.

    Raises:
      ValueError: for other shapes, too few rows, NaN or infinity.
    """
    for name, neighbours in {"k": k, "density_k": density_k}.items():
        if neighbours < 1:
            raise ValueError(f"{name}: {neighbours}, expected 1 or more")
    real, fake = checked_pair(real, fake, at_least=max(k, density_k) + 1)
    unit, (real, fake) = tiles.centred(real, fake)
    advance = _meter(
        tiles.half(len(real)) + tiles.half(len(fake)) + len(real) * len(fake), progress
    )
    own_real = _own_nearest(real, max(k, density_k), advance)[1]
    own_fake = _own_nearest(fake, k, advance)[1]
    dense = _Balls.around(real, own_real[:, density_k - 1], border_belongs=False)
    balls = [
        _Balls.around(real, own_real[:, k - 1], border_belongs=True).of_rows(),
        dense.of_rows(),
        _Balls.around(fake, own_fake[:, k - 1], border_belongs=True).of_columns(),
    ]
    radii = own_real[:, k - 1]
    trimmed = (radii > 0) & (radii <= np.median(radii))
    # The largest ratio of radius to distance is the smallest weighted distance.
    weights = np.divide(radii[trimmed].min(initial=np.inf), radii, where=trimmed, out=radii * 0)
    weights = weights.astype(np.float32)[:, np.newaxis]

    in_real, in_fake = np.zeros(len(fake), bool), np.zeros(len(real), bool)
    density = np.zeros(len(fake))
    to_real = _Nearest(len(fake), min(1 + _SPARE, len(real)))
    to_fake = _Nearest(len(real), min(1 + _SPARE, len(fake)))
    realistic = _Nearest(len(fake), min(1 + _SPARE, len(real)))
    for rows, columns, tile in tiles.between(real, fake):
        to_fake.see(tile, rows, columns.start)
        to_real.see(tile.T, columns, rows.start)
        in_ball, in_dense, in_fake_ball = _inside(tile, balls, real, fake, rows, columns)
        in_real[columns] |= in_ball.any(axis=0)
        density[columns] += np.count_nonzero(in_dense, axis=0)
        in_fake[rows] |= in_fake_ball.any(axis=1)
        tile *= weights[rows]
        tile[~trimmed[rows]] = np.inf
        realistic.see(tile.T, columns, rows.start)
        advance(tile.size)
    nearest_real = _settled(fake, real, to_real, 1)[1][:, 0]
    nearest_fake = _settled(real, fake, to_fake, 1)[1][:, 0]
    return Manifolds(
        in_real=in_real,
        in_fake=in_fake,
        density=density / density_k,
        covered=nearest_fake <= dense.border,
        nearest_real=unit * np.sqrt(nearest_real),
        nearest_fake=unit * np.sqrt(nearest_fake),
        real_spacing=unit * np.sqrt(own_real[:, 0]),
        fake_spacing=unit * np.sqrt(own_fake[:, 0]),
        realism=_realism(real, fake, realistic, radii, nearest_real == 0),
    )


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
    unit, (reference, queries) = tiles.centred(reference, queries)
    nearest = _Nearest(len(queries), min(count + _SPARE, len(reference)))
    for rows, columns, tile in tiles.between(queries, reference):
        nearest.see(tile, rows, columns.start)
    indices, squared = _settled(queries, reference, nearest, count)
    return indices, unit * np.sqrt(squared)


@dataclasses.dataclass(frozen=True)
class _Balls:
    """Balls around points, as squared distances.

    Attributes:
      border: float64, what lies within is at most this.
      reach: float64, what a tile's rounding is a share of, near the border.
      border_belongs: whether what is as far as the radius lies within.
    """

    border: np.ndarray
    reach: np.ndarray
    border_belongs: bool

    @classmethod
    def around(cls, points: Points, squared_radii: np.ndarray, *, border_belongs: bool) -> "_Balls":
        """[n], around all the points."""
        tie = 2 * tiles.rounding(points, np.float64) * squared_radii + np.finfo(np.float64).tiny
        border = squared_radii + tie if border_belongs else squared_radii - tie
        return cls(border, _reach(points.squares, squared_radii), border_belongs)

    def of_rows(self) -> "_Balls":
        """[n, 1], around what the rows of a matrix stand for."""
        return self[:, np.newaxis]

    def of_columns(self) -> "_Balls":
        """[1, n], around what its columns stand for."""
        return self[np.newaxis, :]

    def __getitem__(self, index: object) -> "_Balls":
        return _Balls(self.border[index], self.reach[index], self.border_belongs)

    def certain(self, tile: np.ndarray, rounding: float) -> np.ndarray:
        """bool, what lies within whatever the rounding of the tile."""
        return tile <= (self.border - rounding * self.reach).astype(tile.dtype)

    def possible(self, tile: np.ndarray, rounding: float) -> np.ndarray:
        """bool, what may lie within."""
        return tile <= (self.border + rounding * self.reach).astype(tile.dtype)


class _Nearest:
    """The `count` smallest values in each row of a matrix that is seen a tile at a time.

    Attributes:
      values: [rows, count], infinity where fewer have been seen.
      columns: int64 [rows, count], where they are.
    """

    def __init__(self, rows: int, count: int, dtype: type = np.float32) -> None:
        self.values = np.full((rows, count), np.inf, dtype)
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


def _own_nearest(
    points: Points, count: int, advance: Callable[[int], None]
) -> tuple[np.ndarray, np.ndarray]:
    """As `_settled`, of each point among the others."""
    nearest = _Nearest(len(points), min(count + _SPARE, len(points) - 1))
    for rows, columns, tile in tiles.between(points, points):
        if rows == columns:
            np.fill_diagonal(tile, np.inf)
        else:
            nearest.see(tile.T, columns, rows.start)
        nearest.see(tile, rows, columns.start)
        advance(tile.size)
    return _settled(points, points, nearest, count)


def _settled(x: Points, y: Points, nearest: _Nearest, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The `count` nearest of y to each of x, from what float32 found nearest.

    Where x is y, a point is no neighbour of its own.

    Returns:
      indices int64 [len(x), count] and squared distances float64 [len(x), count], by distance.
    """
    indices, squared = _sorted(x, y, np.arange(len(x)), nearest.columns)
    others = len(y) - (x is y)
    if indices.shape[1] < others:
        farthest = squared[:, count - 1]
        error = tiles.rounding(x, np.float32) * _reach(x.squares, farthest)
        unsure = np.flatnonzero(farthest > nearest.values.max(axis=1) - error)
        for part in tiles.parts(len(unsure)):
            rows = unsure[part]
            again = _Nearest(len(rows), indices.shape[1], np.float64)
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


def _inside(
    tile: np.ndarray, balls: list[_Balls], x: Points, y: Points, rows: slice, columns: slice
) -> list[np.ndarray]:
    """For each kind of balls, around rows or columns: bool [rows, columns], who is within."""
    whole = slice(None)
    here = [b[(rows, whole) if b.border.shape[1] == 1 else (whole, columns)] for b in balls]
    inside, unsure = _sure(tile, here, tiles.rounding(x, tile.dtype))
    if np.count_nonzero(unsure) > _FEW * tile.size:
        tile = tiles.precise(x, y, rows, columns)
        rounding = tiles.rounding(x, tile.dtype)
        inside, unsure = _sure(tile, here, rounding)
        if np.count_nonzero(unsure) > _FEW * tile.size:  # so many copies: what is left are ties
            return [
                b.possible(tile, rounding) if b.border_belongs else b.certain(tile, rounding)
                for b in here
            ]
    i, j = np.nonzero(unsure)
    squared = tiles.pairs(x, y, i + rows.start, j + columns.start)
    for ball, found in zip(here, inside, strict=True):
        found[i, j] = squared <= np.broadcast_to(ball.border, tile.shape)[i, j]
    return inside


def _sure(
    tile: np.ndarray, balls: list[_Balls], rounding: float
) -> tuple[list[np.ndarray], np.ndarray]:
    """Who lies within for certain, for each kind of balls; and who only may, of any."""
    inside = [ball.certain(tile, rounding) for ball in balls]
    unsure = np.zeros(tile.shape, bool)
    for ball, certain in zip(balls, inside, strict=True):
        unsure |= ball.possible(tile, rounding) != certain
    return inside, unsure


def _realism(
    real: Points, fake: Points, nearest: _Nearest, radii: np.ndarray, copies: np.ndarray
) -> np.ndarray:
    found = np.isfinite(nearest.values)
    rows, _ = np.nonzero(found)
    columns = nearest.columns[found]
    squared = tiles.pairs(fake, real, rows, columns)
    ratios = np.zeros(found.shape)
    ratios[found] = np.divide(radii[columns], squared, where=squared > 0, out=squared * 0)
    return np.where(copies, np.inf, np.sqrt(ratios.max(axis=1)))


def _reach(squares: np.ndarray, squared_radii: np.ndarray) -> np.ndarray:
    """The largest sum of the squared norms of a point and of another within the radius."""
    return squares + (np.sqrt(squares) + np.sqrt(squared_radii)) ** 2


def _meter(total: int, progress: Callable[[float], None] | None) -> Callable[[int], None]:
    """What tells `progress` the share of `total` when it is told of each part."""
    done = 0

    def advance(values: int) -> None:
        nonlocal done
        done += values
        if progress is not None:
            progress(done / total)

    return advance
