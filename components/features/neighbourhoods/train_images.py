"""How near samples come to the training data, even if they were moved.

A generator that has memorised images through augmentation returns them shifted, mirrored, lighter
or with more contrast: one pixel further, and both features and plain pixel distances take them for
new images. So images are compared in small and grey, by their correlation, which brightness and
contrast leave alone, at the best of some small shifts, mirrored and not. Grey images need no
extractor: a shift costs a product instead of a pass through a network.
"""

import itertools

import numpy as np

from components.features.neighbourhoods import neighbours, tiles

# The longest side of the images that are compared, and of those that propose candidates.
_SIDE, _COARSE_SIDE = 32, 8
# One pixel of shift for so many of a side: 2 pixels of 28 or 32.
_PIXELS_PER_SHIFT = 14
# Training images that are compared exactly, and the most that are asked for.
_CANDIDATES, _MOST = 8, 3
_BATCH = 128
# Images and known ones of a product: it stays in the cache while its largest values are looked for.
_PRODUCTS = (512, 2048)
# An image whose grey levels, in [0, 1], deviate by less is flat: it is like no other.
_FLAT = 1e-3


class TrainImages:
    """The training images, ready to be searched.

    Args:
      images: uint8 [n, height, width, channels], 4 or more.
    """

    def __init__(self, images: np.ndarray) -> None:
        self._greys = _shrunk(_grey(images), _SIDE)
        self._coarse = _coarse(self._greys)
        height, width = self._greys.shape[1:]
        self._reach = [
            max(1, side // _PIXELS_PER_SHIFT) if side > 4 else 0 for side in (height, width)
        ]

    def __len__(self) -> int:
        return len(self._greys)

    def nearest(self, images: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        """The training images that are most like each image, most alike first.

        Args:
          images: uint8 [m, height, width, channels], of the training images' shape.
          count: how many, 1 to 3, and no more than there are.

        Returns:
          Their rows, int64 [m, count], and distances, float64 [m, count]: √(2 - 2r) of the
          correlation r; 0 for the same image, √2 for one that is not alike at all.
        """
        return self._search(_shrunk(_grey(images), _SIDE), count, None)

    def spacing(self, rows: np.ndarray) -> np.ndarray:
        """The distances of some of the training images to their nearest others, float64 [rows]."""
        return self._search(self._greys[rows], 1, rows)[1][:, 0]

    def _search(
        self, greys: np.ndarray, count: int, own: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """As `nearest`; `own` are rows of the training images that are not their own neighbours."""
        rows, flipped = self._propose(greys, own)
        distances = np.empty(rows.shape)
        for start in range(0, len(greys), _BATCH):
            part = slice(start, start + _BATCH)
            distances[part] = self._at_best_shift(greys[part], rows[part], flipped[part])
        order = np.argsort(distances, axis=1, kind="stable")
        rows, distances = (np.take_along_axis(x, order, 1) for x in (rows, distances))
        first = _first_different(rows, count)
        return np.take_along_axis(rows, first, 1), np.take_along_axis(distances, first, 1)

    def _propose(self, greys: np.ndarray, own: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Candidates [m, candidates], and whether they are alike mirrored, by coarse likeness.

        Each shift, mirrored and not, proposes one; and without a shift three are proposed, for the
        shifts of a copy all propose the image that it is a copy of.
        """
        near, apart = neighbours.nearest_neighbours(
            _coarse(greys), self._coarse, min(_MOST + (own is not None), len(self))
        )
        rows, likeness = list(near.T), list(1 - np.square(apart.T) / 2)
        flipped = [np.zeros(len(greys), bool)] * len(rows)
        shifts = itertools.product(*(range(-reach, reach + 1) for reach in self._reach))
        for mirror, shift in itertools.product((False, True), shifts):
            turned = greys[:, :, ::-1] if mirror else greys
            found = _most_alike(_coarse(_shifted(turned, *shift)), self._coarse, own)
            rows.append(found[0])
            likeness.append(found[1])
            flipped.append(np.full(len(greys), mirror))
        # One of each training image and orientation, the most alike.
        keys = 2 * np.stack(rows, axis=1) + np.stack(flipped, axis=1)
        alike = np.stack(likeness, axis=1)
        if own is not None:
            alike[keys // 2 == own[:, np.newaxis]] = -np.inf
        order = np.argsort(-alike, axis=1, kind="stable")
        keys = np.take_along_axis(keys, order, 1)
        keys = np.take_along_axis(keys, _first_different(keys, _CANDIDATES), 1)
        return keys // 2, keys % 2 == 1

    def _at_best_shift(
        self, greys: np.ndarray, rows: np.ndarray, flipped: np.ndarray
    ) -> np.ndarray:
        """Exact distances of some images to their candidates, [m, candidates]."""
        down, right = self._reach
        height, width = greys.shape[1:]
        # Only what both show is compared, so that a shift's new border does not count.
        inner = _unit(greys[:, down : height - down, right : width - right])
        candidates = self._greys[rows]
        candidates[flipped] = candidates[flipped][:, :, ::-1]
        best = np.full(rows.shape, -1.0)
        for top, left in itertools.product(range(2 * down + 1), range(2 * right + 1)):
            window = candidates[:, :, top : top + inner.shape[1], left : left + inner.shape[2]]
            flat = window.reshape(*rows.shape, -1)
            correlation = np.matmul(flat, inner.reshape(len(inner), -1, 1))[..., 0]
            best = np.maximum(best, correlation / _lengths(flat))
        return np.sqrt(np.maximum(2 - 2 * best, 0))


def _grey(images: np.ndarray) -> np.ndarray:
    """float32 [n, height, width] in [0, 1]."""
    return images.mean(axis=-1, dtype=np.float32) / 255


def _shrunk(greys: np.ndarray, side: int) -> np.ndarray:
    """Of at most `side` pixels a side, by the means of areas."""
    for axis in (1, 2):
        length = greys.shape[axis]
        if length > side:
            # A pixel on the border of two areas counts for both, by its share.
            edges = np.linspace(0, length, side + 1)
            cells = np.arange(length)[:, np.newaxis]
            weights = np.clip(
                np.minimum(edges[1:], cells + 1) - np.maximum(edges[:-1], cells), 0, 1
            )
            weights = (weights / weights.sum(axis=0)).astype(np.float32)
            greys = np.moveaxis(np.tensordot(greys, weights, axes=(axis, 0)), -1, axis)
    return greys


def _coarse(greys: np.ndarray) -> np.ndarray:
    """What proposes candidates, [n, pixels]."""
    return _unit(_shrunk(greys, _COARSE_SIDE)).reshape(len(greys), -1)


def _shifted(greys: np.ndarray, down: int, right: int) -> np.ndarray:
    """With the border repeated where nothing is known."""
    height, width = greys.shape[1:]
    rows = np.clip(np.arange(height) - down, 0, height - 1)
    columns = np.clip(np.arange(width) - right, 0, width - 1)
    return greys[:, rows[:, np.newaxis], columns]


def _unit(greys: np.ndarray) -> np.ndarray:
    """Each image [n, h, w] about its mean, and of length 1; all 0 for a flat one."""
    centred = greys - greys.mean(axis=(1, 2), keepdims=True)
    flat = centred.reshape(len(centred), -1)
    return centred / _lengths(flat).reshape(-1, 1, 1)


def _lengths(flat: np.ndarray) -> np.ndarray:
    """About the mean of the last axis; infinity where it is flat."""
    variance = flat.var(axis=-1)
    return np.sqrt(np.where(variance < _FLAT**2, np.inf, variance * flat.shape[-1]))


def _most_alike(
    coarse: np.ndarray, known: np.ndarray, own: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """The known row most alike to each image, and its likeness; never its own."""
    best, likeness = np.zeros(len(coarse), np.int64), np.full(len(coarse), -np.inf, np.float32)

    def look(first: int) -> None:
        part = slice(first, first + _PRODUCTS[0])
        images = np.arange(len(coarse[part]))
        for start in range(0, len(known), _PRODUCTS[1]):
            products = coarse[part] @ known[start : start + _PRODUCTS[1]].T
            if own is not None:
                here = (own[part] >= start) & (own[part] < start + products.shape[1])
                products[images[here], own[part][here] - start] = -np.inf
            found = products.argmax(axis=1)
            alike = products[images, found]
            better = alike > likeness[part]
            best[part][better], likeness[part][better] = found[better] + start, alike[better]

    tiles.in_threads(look, range(0, len(coarse), _PRODUCTS[0]))
    return best, likeness


def _first_different(keys: np.ndarray, count: int) -> np.ndarray:
    """In each row, where the first `count` different keys are; repeated ones if there are fewer."""
    order = np.argsort(keys, axis=1, kind="stable")
    ordered = np.take_along_axis(keys, order, 1)
    again = np.zeros(keys.shape, bool)
    np.put_along_axis(again, order[:, 1:], ordered[:, 1:] == ordered[:, :-1], 1)
    return np.argsort(again, axis=1, kind="stable")[:, :count]
