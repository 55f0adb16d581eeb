"""Precision, recall, density and coverage without each group of images, neighbourhoods made anew.

How much a share of images moves while the other set's neighbourhoods are held is half to three
quarters of how much it would move with other images: precision varies mostly with the reals,
recall with the fakes. So a group of both sets is left out at a time, and the radii are those of the
images that remain.

That takes one more pass over the distances, not one a group. A radius only grows where images are
left out, and only for the few groups that have one of the k nearest neighbours; the other groups'
spheres are those of all images. Pairs within the sphere of all images count for every group, and
only pairs between that and the largest sphere are looked at one by one.
"""

import dataclasses
from collections.abc import Iterator

import numpy as np

from components.features.distances import checked_pair
from components.features.neighbourhoods import tiles
from components.features.neighbourhoods.manifolds import Spheres, manifolds
from components.features.neighbourhoods.neighbours import Others
from components.features.neighbourhoods.tiles import Points

# Standard deviations of the number of a group's images among the nearest that are allowed for.
_DEVIATIONS = 4.0
# If a tile has more than this share of pairs to look at, a float64 product comes first.
_FEW = 1 / 64
_PAIRS = 1_000_000


@dataclasses.dataclass(frozen=True)
class LeftOut:
    """The metrics without each group of reals and fakes, float64 [groups] each."""

    precision: np.ndarray
    recall: np.ndarray
    density: np.ndarray
    coverage: np.ndarray


def without_each_group(
    real: np.ndarray,
    fake: np.ndarray,
    real_groups: np.ndarray,
    fake_groups: np.ndarray,
    k: int = 3,
    density_k: int = 5,
    others: tuple[Others, Others] | None = None,
) -> LeftOut:
    """The means of `manifolds.manifolds`, of the rows outside each group.

    Where a group leaves too few rows for k or density_k neighbours, those are as many as there are.

    Args:
      real, fake: features [n, d] and [m, d], more than k and density_k rows each.
      real_groups, fake_groups: int [n] and [m], the group of each row, from 0; the rows of one
        group of both are left out together. 2 rows of each must remain.
      k, density_k: as for `manifolds`.
      others: the nearest others of reals and fakes, best of all `enough`, where they are known.

    Raises:
      ValueError: for other shapes, too few rows, NaN or infinity.
    """
    real, fake = checked_pair(real, fake, at_least=max(k, density_k) + 1)
    groups = int(max(real_groups.max(), fake_groups.max())) + 1
    counts = [np.bincount(of, minlength=groups) for of in (real_groups, fake_groups)]
    remaining = min(int(count.sum() - count.max()) for count in counts)
    if remaining <= max(k, density_k):
        return _one_by_one(real, fake, real_groups, fake_groups, groups, k, density_k)

    unit, (reals, fakes) = tiles.centred(real, fake)
    n, m = len(reals), len(fakes)
    advance = tiles.Progress("neighbourhoods without groups", n * m)
    if others is None:
        others = (
            Others.of("real", real, enough(max(k, density_k), real_groups)),
            Others.of("fake", fake, enough(k, fake_groups)),
        )
    of_real, of_fake = ((each.indices, each.squared_in(unit)) for each in others)
    by_k, by_density = _Balls.around(
        reals, real_groups, [(k, True), (density_k, False)], *of_real, of_columns=False
    )
    (by_fake,) = _Balls.around(fakes, fake_groups, [(k, True)], *of_fake, of_columns=True)

    precision, recall = _Tally(m, groups), _Tally(n, groups)
    density, coverage = _Tally(m, groups), _Tally(n, groups)
    for rows, columns, tile in tiles.between(reals, fakes):
        of_rows, of_columns = real_groups[rows], fake_groups[columns]
        for balls, of_reals, of_fakes in (
            (by_k, None, precision),
            (by_density, coverage, density),
            (by_fake, recall, None),
        ):
            for i, j, group in balls.pairs(tile, reals, fakes, rows, columns):
                if of_reals:
                    of_reals.add(rows, i, of_columns[j], group)
                if of_fakes:
                    of_fakes.add(columns, j, of_rows[i], group)
        advance(tile.size)
    return LeftOut(
        precision=_mean(precision.hits() > 0, fake_groups),
        recall=_mean(recall.hits() > 0, real_groups),
        density=_mean(density.hits(), fake_groups) / density_k,
        coverage=_mean(coverage.hits() > 0, real_groups),
    )


@dataclasses.dataclass(frozen=True)
class _Balls:
    """The hyperspheres around a set of points, and what they are without each group.

    Attributes:
      whole: of all points.
      largest: the largest that each becomes.
      borders: float64 [n, w], the squared borders without the groups that make a difference;
        -infinity where there are fewer than w such groups.
      groups: int64 [n, w], those groups.
      of_columns: whether the points are the columns of a matrix of distances.
    """

    whole: Spheres
    largest: Spheres
    borders: np.ndarray
    groups: np.ndarray
    of_columns: bool

    @classmethod
    def around(
        cls,
        points: Points,
        groups: np.ndarray,
        kinds: list[tuple[int, bool]],
        indices: np.ndarray,
        squared: np.ndarray,
        *,
        of_columns: bool,
    ) -> "list[_Balls]":
        """For each kind: with the k-th nearest other as radius, closed or not.

        Args:
          points: the centres.
          groups: of the points.
          kinds: k, and whether the border lies within.
          indices, squared: the nearest others, and their squared distances in the points' unit.
          of_columns: whether the points are the columns of a matrix of distances.
        """
        result = []
        for k, closed in kinds:
            radii, of = _larger_radii(points, groups, indices, squared, k)
            whole, largest, *larger = (
                Spheres.of(points, radii, closed=closed)
                for radii in (squared[:, k - 1], radii.max(axis=1), *radii.T)
            )
            borders = np.concatenate([spheres.border for spheres in larger], axis=1)
            borders[of < 0] = -np.inf
            if of_columns:
                whole, largest = whole.transposed(), largest.transposed()
            result.append(cls(whole, largest, borders, of, of_columns))
        return result

    def pairs(
        self, tile: np.ndarray, x: Points, y: Points, rows: slice, columns: slice
    ) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray | None]]:
        """Who is within which hypersphere, without which group.

        Yields:
          Rows and columns of the tile, int64 [pairs]; and None for pairs within whatever the group,
          or int64 [pairs], the group without which they are and with which they are not.
        """
        rounding = tiles.rounding(x, tile.dtype)
        within = self.whole.of_tile(rows, columns).certain(tile, rounding)
        i, j = np.nonzero(within)
        yield i, j, None
        unsure = self.largest.of_tile(rows, columns).possible(tile, rounding)
        i, j = np.nonzero(unsure & ~within)
        exact = None
        if len(i) > _FEW * tile.size:
            exact = tiles.precise(x, y, rows, columns)
        for start in range(0, len(i), _PAIRS):
            some = slice(start, start + _PAIRS)
            yield from self._decided(x, y, i[some], j[some], rows, columns, exact)

    def _decided(
        self,
        x: Points,
        y: Points,
        i: np.ndarray,
        j: np.ndarray,
        rows: slice,
        columns: slice,
        precise: np.ndarray | None,
    ) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray | None]]:
        """As `pairs`, of those that float32 leaves open."""
        of_x, of_y = i + rows.start, j + columns.start
        centres = of_y if self.of_columns else of_x
        whole, borders = self.whole.border.ravel()[centres], self.borders[centres]
        if precise is None:
            squared = tiles.pairs(x, y, of_x, of_y)
        else:
            squared = precise[i, j]
            error = tiles.rounding(x, np.float64) * (x.squares[of_x] + y.squares[of_y])
            near = np.abs(squared - whole) <= error
            near |= (np.abs(squared[:, np.newaxis] - borders) <= error[:, np.newaxis]).any(axis=1)
            squared[near] = tiles.pairs(x, y, of_x[near], of_y[near])
        within = squared <= whole
        yield i[within], j[within], None
        for place, border in enumerate(borders.T):
            larger = ~within & (squared <= border)
            yield i[larger], j[larger], self.groups[centres[larger], place]


class _Tally:
    """For each of `rows` images: in or around how many others it is, without each group."""

    def __init__(self, rows: int, groups: int) -> None:
        self._all = np.zeros(rows, np.int64)
        # What the groups change: by their own images, less; by spheres that grow, more.
        self._change = np.zeros((rows, groups), np.int32)

    def add(
        self, part: slice, image: np.ndarray, others: np.ndarray, group: np.ndarray | None
    ) -> None:
        """Takes in pairs.

        Args:
          part: the images that `image` counts from.
          image: of the part, int64 [pairs].
          others: the groups of the others, int64 [pairs].
          group: as `_Balls.pairs` yields it.
        """
        change = self._change[part]
        if group is None:
            self._all[part] += np.bincount(image, minlength=len(change))
            change -= self._histogram(change.shape, image, others)
        else:
            there = group != others
            change += self._histogram(change.shape, image[there], group[there])

    def hits(self) -> np.ndarray:
        """int64 [rows, groups]; of no meaning without an image's own group."""
        return self._all[:, np.newaxis] + self._change

    @staticmethod
    def _histogram(shape: tuple[int, ...], row: np.ndarray, column: np.ndarray) -> np.ndarray:
        counts = np.bincount(row * shape[1] + column, minlength=shape[0] * shape[1])
        return counts.reshape(shape).astype(np.int32)


def enough(k: int, groups: np.ndarray) -> int:
    """How many neighbours nearly always have k without any one group among them."""
    share = np.bincount(groups).max() / len(groups)
    count = k
    while count < len(groups) - 1:
        expected = share * count
        if count - k >= expected + _DEVIATIONS * np.sqrt(expected):
            break
        count += 1
    return count


def _larger_radii(
    points: Points, groups: np.ndarray, indices: np.ndarray, squared: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """The squared distances to the k-th nearest others without the groups that change them.

    Args:
      points: n of them.
      groups: of the points, int64 [n].
      indices, squared: nearest others and squared distances, [n, k or more], by distance.
      k: 1 or more.

    Returns:
      float64 [n, w] and the groups, int64 [n, w]; -1 and the radius of all points where fewer than
      w groups change it. Not a point's own group: without it, there is no hypersphere.
    """
    near = groups[indices]
    kinds = int(groups.max()) + 1
    width = min(k, kinds)
    radii = np.repeat(squared[:, k - 1 : k], width, axis=1)
    of = np.full(radii.shape, -1, np.int64)
    filled = np.zeros(len(points), np.int64)
    for group in range(kinds):
        rows = np.flatnonzero((near[:, :k] == group).any(axis=1) & (groups != group))
        rank = np.cumsum(near[rows] != group, axis=1)
        found = squared[rows, (rank == k).argmax(axis=1)]
        others = np.flatnonzero(groups != group)
        for place in np.flatnonzero(rank[:, -1] < k):
            found[place] = _radius(points, int(rows[place]), others, k)
        radii[rows, filled[rows]] = found
        of[rows, filled[rows]] = group
        filled[rows] += 1
    return radii, of


def _radius(points: Points, row: int, others: np.ndarray, k: int) -> float:
    """Squared distance of a point to the k-th nearest of `others`, itself not among them."""
    others = others[others != row]
    squared = tiles.pairs(points, points, np.full(len(others), row), others)
    return float(np.partition(squared, k - 1)[k - 1])


def _mean(values: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Of [rows, groups], over the rows that are not in the column's group."""
    there = groups[:, np.newaxis] != np.arange(values.shape[1])
    return np.sum(values, axis=0, where=there, dtype=np.float64) / there.sum(axis=0)


def _one_by_one(
    real: np.ndarray,
    fake: np.ndarray,
    real_groups: np.ndarray,
    fake_groups: np.ndarray,
    groups: int,
    k: int,
    density_k: int,
) -> LeftOut:
    """For so few rows that those without a group may not have k neighbours."""
    means = []
    for group in range(groups):
        reals, fakes = real[real_groups != group], fake[fake_groups != group]
        most = min(len(reals), len(fakes)) - 1
        if most < 1:
            raise ValueError(
                f"groups: {most + 1} rows without group {group}, at least 2 are needed"
            )
        found = manifolds(reals, fakes, min(k, most), min(density_k, most))
        of = (found.in_real, found.in_fake, found.density, found.covered)
        means.append([values.mean() for values in of])
    return LeftOut(*np.array(means).T)
