"""Precision, recall, density, coverage and realism: k-nearest-neighbour manifolds, image by image.

The definitions are these lines, with which everything below agrees (Kynkäänniemi et al. 2019, arXiv
1904.06991; Naeem et al. 2020, arXiv 2002.09797, and its package prdc):

    distances = cdist(real, fake)                  # [n, m]
    real_radii = np.sort(cdist(real, real))[:, k]  # [n]; column 0 is the image itself
    fake_radii = np.sort(cdist(fake, fake))[:, k]  # [m]
    precision = (distances <= real_radii[:, np.newaxis]).any(axis=0).mean()
    recall = (distances <= fake_radii).any(axis=1).mean()
    density = (distances < real_radii[:, np.newaxis]).sum(axis=0).mean() / k
    coverage = (distances.min(axis=1) < real_radii).mean()

with one exception: a real image that has k copies among the others has the radius 0, and prdc's
strict `<` leaves nothing within it, not even another copy. Here a fake at distance 0 lies within,
or tables of whole numbers, whose rows are nearly all copies, could not be covered by their own
distribution: .10 instead of 1 for two columns of ten values.

The rest is speed and memory. One thread took, for those lines with SciPy's `cdist`, .09 s for 1000
images of 64 features, 2.57 s for 5000 and 4.24 s for 2000 of 1024 features, and takes .07, .79 and
.57 s here; 50 000 images, with matrices of 20 GB each, need some tiles of memory. Each matrix is
made once, a tile at a time, the symmetric ones by halves. float32 products propose; whatever
rounding could have changed is decided in float64, from differences.
"""

import dataclasses

import numpy as np

from components.features.distances import checked_pair
from components.features.neighbourhoods import neighbours, tiles
from components.features.neighbourhoods.neighbours import Others
from components.features.neighbourhoods.tiles import Points

# A tile of which more than this share needs float64 is made in float64.
_FEW = 1 / 64


@dataclasses.dataclass(frozen=True)
class Manifolds:
    """Where n real and m fake images lie in each other's manifolds; means are the metrics.

    The manifold of a set is a hypersphere around each of its images, with the distance to the k-th
    nearest other image of the set as its radius.

    Attributes:
      in_real: bool [m], the fake lies in the manifold (k) of the reals: precision.
      in_fake: bool [n], the real lies in the manifold (k) of the fakes: recall.
      density: float64 [m], reals' hyperspheres (density_k, border excluded) that the fake lies in,
        over density_k.
      covered: bool [n], the real's hypersphere (density_k, border excluded) holds a fake: coverage.
        A hypersphere of radius 0 holds copies of its centre.
      real_spacing, fake_spacing: float64 [n] and [m], distance to the nearest other of its own set.
      realism: float64 [m], the largest ratio of a real's radius (k) to its distance from the fake,
        over the reals whose radius is at most the median: 1 or more is realistic, and a copy of a
        real image has infinity.
    """

    in_real: np.ndarray
    in_fake: np.ndarray
    density: np.ndarray
    covered: np.ndarray
    real_spacing: np.ndarray
    fake_spacing: np.ndarray
    realism: np.ndarray


def manifolds(
    real: np.ndarray,
    fake: np.ndarray,
    k: int = 3,
    density_k: int = 5,
    others: tuple[Others, Others] | None = None,
) -> Manifolds:
    """Improved precision and recall, density and coverage, and realism, image by image.

    Kynkäänniemi et al., "Improved Precision and Recall Metric for Assessing Generative Models",
    2019, sections 2 and 5; Naeem et al., "Reliable Fidelity and Diversity Metrics for Generative
    Models", 2020, section 3. 1 is best for precision and recall; for two samples of one
    distribution density is around 1, coverage 1 - 2^-density_k for large equal counts. Distances
    that are equal but for the rounding of float64 count as equal, so that borders do not depend on
    the machine.

    >>> real, fake = np.eye(4), np.eye(4) * 1.1
    >>> found = manifolds(real, fake, k=1, density_k=1)
    >>> float(found.in_real.mean()), float(found.in_fake.mean())  # precision, recall
    (1.0, 1.0)
    >>> float(found.density.mean()), float(found.covered.mean())  # density, coverage
    (1.0, 1.0)

    Args:
      real, fake: features [n, d] and [m, d], more than k and density_k rows each.
      k: of the manifolds of precision, recall and realism, 1 or more.
      density_k: the same for density and coverage.
      others: the nearest others of the reals, max(k, density_k) or more, and of the fakes, k or
        more, where they are known.

    Raises:
      ValueError: for other shapes, too few rows, NaN or infinity.
    """
    for name, count in {"k": k, "density_k": density_k}.items():
        if count < 1:
            raise ValueError(f"{name}: {count}, expected 1 or more")
    pair = checked_pair(real, fake, at_least=max(k, density_k) + 1)
    unit, (reals, fakes) = tiles.centred(*pair)
    n, m = len(reals), len(fakes)
    advance = tiles.Progress("neighbourhoods", n * m)
    if others is None:
        others = Others.of("real", real, max(k, density_k)), Others.of("fake", fake, k)
    own_real, own_fake = (each.squared_in(unit) for each in others)
    by_density = Spheres.of(reals, own_real[:, density_k - 1], closed=False)
    kinds = [
        Spheres.of(reals, own_real[:, k - 1], closed=True),
        by_density,
        Spheres.of(fakes, own_fake[:, k - 1], closed=True).transposed(),
    ]
    radii = own_real[:, k - 1]
    trimmed = (radii > 0) & (radii <= np.median(radii))
    # The largest ratio of radius to distance is the smallest weighted distance.
    weights = np.divide(radii[trimmed].min(initial=np.inf), radii, where=trimmed, out=radii * 0)
    weights = weights.astype(np.float32)[:, np.newaxis]

    in_real, in_fake, density = np.zeros(m, bool), np.zeros(n, bool), np.zeros(m)
    to_real = neighbours.Nearest(m, min(1 + neighbours.SPARE, n))
    to_fake = neighbours.Nearest(n, min(1 + neighbours.SPARE, m))
    realistic = neighbours.Nearest(m, min(1 + neighbours.SPARE, n))
    for rows, columns, tile in tiles.between(reals, fakes):
        to_fake.see(tile, rows, columns.start)
        to_real.see(tile.T, columns, rows.start)
        of_real, of_dense, of_fake = _inside(tile, kinds, reals, fakes, rows, columns)
        in_real[columns] |= of_real.any(axis=0)
        density[columns] += np.count_nonzero(of_dense, axis=0)
        in_fake[rows] |= of_fake.any(axis=1)
        tile *= weights[rows]
        tile[~trimmed[rows]] = np.inf
        realistic.see(tile.T, columns, rows.start)
        advance(tile.size)
    copies = neighbours.settled(fakes, reals, to_real, 1)[1][:, 0] == 0
    return Manifolds(
        in_real=in_real,
        in_fake=in_fake,
        density=density / density_k,
        covered=neighbours.settled(reals, fakes, to_fake, 1)[1][:, 0] <= by_density.border[:, 0],
        real_spacing=unit * np.sqrt(own_real[:, 0]),
        fake_spacing=unit * np.sqrt(own_fake[:, 0]),
        realism=_realism(reals, fakes, realistic, radii, copies),
    )


@dataclasses.dataclass(frozen=True)
class Spheres:
    """The hyperspheres around a set of points, as squared distances.

    Attributes:
      border: float64 [n, 1], or [1, n] for points that are the columns of a matrix of distances:
        what lies within is at most this.
      reach: as `border`, what a tile's rounding is a share of, near the border.
      closed: as `border`, bool, whether the border itself lies within.
    """

    border: np.ndarray
    reach: np.ndarray
    closed: np.ndarray

    @classmethod
    def of(cls, points: Points, squared_radii: np.ndarray, *, closed: bool) -> "Spheres":
        """Around all the points, which are rows; copies of a centre are within in any case."""
        tie = 2 * tiles.rounding(points, np.float64) * squared_radii + np.finfo(np.float64).tiny
        is_closed = (squared_radii == 0) | closed
        border = squared_radii + np.where(is_closed, tie, -tie)
        reach = neighbours.reach(points.squares, squared_radii)
        return cls(border[:, np.newaxis], reach[:, np.newaxis], is_closed[:, np.newaxis])

    def transposed(self) -> "Spheres":
        """Around the same points as columns."""
        return Spheres(self.border.T, self.reach.T, self.closed.T)

    def of_tile(self, rows: slice, columns: slice) -> "Spheres":
        """Those hyperspheres that a tile is about."""
        index = (rows, slice(None)) if self.border.shape[1] == 1 else (slice(None), columns)
        return Spheres(self.border[index], self.reach[index], self.closed[index])

    def certain(self, tile: np.ndarray, rounding: float) -> np.ndarray:
        """bool, what lies within whatever the rounding of the tile."""
        return tile <= (self.border - rounding * self.reach).astype(tile.dtype)

    def possible(self, tile: np.ndarray, rounding: float) -> np.ndarray:
        """bool, what may lie within."""
        return tile <= (self.border + rounding * self.reach).astype(tile.dtype)

    def likely(self, tile: np.ndarray, rounding: float) -> np.ndarray:
        """bool, what lies within if all that is as near to a border as rounding lies on it."""
        margin = np.where(self.closed, rounding, -rounding) * self.reach
        return tile <= (self.border + margin).astype(tile.dtype)


def _inside(
    tile: np.ndarray, kinds: list[Spheres], x: Points, y: Points, rows: slice, columns: slice
) -> list[np.ndarray]:
    """For each kind of manifold: bool [rows, columns], who is within which hypersphere."""
    here = [manifold.of_tile(rows, columns) for manifold in kinds]
    inside, unsure = _sure(tile, here, tiles.rounding(x, tile.dtype))
    if np.count_nonzero(unsure) > _FEW * tile.size:
        tile = tiles.precise(x, y, rows, columns)
        rounding = tiles.rounding(x, tile.dtype)
        inside, unsure = _sure(tile, here, rounding)
        if np.count_nonzero(unsure) > _FEW * tile.size:  # so many copies: what is left are ties
            return [h.likely(tile, rounding) for h in here]
    i, j = np.nonzero(unsure)
    squared = tiles.pairs(x, y, i + rows.start, j + columns.start)
    for manifold, found in zip(here, inside, strict=True):
        found[i, j] = squared <= np.broadcast_to(manifold.border, tile.shape)[i, j]
    return inside


def _sure(
    tile: np.ndarray, kinds: list[Spheres], rounding: float
) -> tuple[list[np.ndarray], np.ndarray]:
    """Who lies within for certain, for each kind of manifold; and who only may, of any."""
    inside = [manifold.certain(tile, rounding) for manifold in kinds]
    unsure = np.zeros(tile.shape, bool)
    for manifold, certain in zip(kinds, inside, strict=True):
        unsure |= manifold.possible(tile, rounding) != certain
    return inside, unsure


def _realism(
    real: Points, fake: Points, nearest: neighbours.Nearest, radii: np.ndarray, copies: np.ndarray
) -> np.ndarray:
    found = np.isfinite(nearest.values)
    rows, _ = np.nonzero(found)
    columns = nearest.columns[found]
    squared = tiles.pairs(fake, real, rows, columns)
    ratios = np.zeros(found.shape)
    ratios[found] = np.divide(radii[columns], squared, where=squared > 0, out=squared * 0)
    return np.where(copies, np.inf, np.sqrt(ratios.max(axis=1)))
