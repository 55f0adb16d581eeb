"""Real data with a fault planted into them, and real data alone: the subjects of `planted.py`."""

import dataclasses
from collections.abc import Callable, Iterable

import numpy as np
from scipy import ndimage

from components.data.examples import Split
from components.evaluator.protocol import noise


@dataclasses.dataclass(frozen=True)
class Draw:
    """One draw of the data, from which a subject is made.

    Attributes:
      train: what a generator has learnt from.
      good: as many as the eval split has, from neither of the others: what a perfect one makes.
      more: all that are from neither, `good` among them.
      rng: for what is random in a fault.
    """

    train: Split
    good: Split
    more: Split
    rng: np.random.Generator


@dataclasses.dataclass(frozen=True)
class Subject:
    """A generator with a fault, or a good one.

    Attributes:
      make: its samples, with the labels asked for if it is conditional.
      reasons: metrics of which at least one must refuse it; empty for a good one.
      fewest: samples from which on the fault can be told from chance.
    """

    make: Callable[[Draw], Split]
    reasons: frozenset[str] = frozenset()
    fewest: int = 0


def _bad(*reasons: str, fewest: int = 0) -> Callable[[Callable[[Draw], np.ndarray]], Subject]:
    def planted(fault: Callable[[Draw], np.ndarray]) -> Subject:
        return Subject(lambda draw: Split(fault(draw), None), frozenset(reasons), fewest)

    return planted


def _mixed(share: float, fault: np.ndarray, good: np.ndarray) -> np.ndarray:
    """The fault in a share of the samples."""
    count = round(share * len(good))
    return np.concatenate([fault[:count], good[count:]])


def _known(draw: Draw) -> np.ndarray:
    """Some of the training data, as many as are wanted."""
    return draw.rng.permutation(draw.train.data)[: len(draw.good)]


def _noisy(images: np.ndarray, sigma: float, rng: np.random.Generator) -> np.ndarray:
    return (images + rng.normal(0, sigma, images.shape)).clip(0, 255).astype(np.uint8)


def _of_classes(classes: Iterable[int]) -> Callable[[Draw], np.ndarray]:
    def some(draw: Draw) -> np.ndarray:
        return draw.more.data[np.isin(draw.more.labels, list(classes))][: len(draw.good)]

    return some


def _relabelled(change: Callable[[Draw], np.ndarray]) -> Callable[[Draw], Split]:
    return lambda draw: Split(draw.good.data, change(draw))


_COPIES = ("copies", "nearer_to_train")
IMAGES = {
    "other real images": Subject(lambda draw: Split(draw.good.data, None)),
    "other real images, with their labels": Subject(lambda draw: draw.good),
    "a quarter real, the rest noise": _bad("precision", "fid", "sliced_wasserstein")(
        lambda draw: _mixed(0.75, noise(len(draw.good), 7, draw.good.data), draw.good.data)
    ),
    "noise": _bad("precision", "fid")(lambda draw: noise(len(draw.good), 7, draw.good.data)),
    "black images": _bad("duplicates")(lambda draw: np.zeros_like(draw.good.data)),
    "a tenth of the images, ten times each": _bad("duplicates")(
        lambda draw: np.resize(draw.good.data[: len(draw.good) // 10], draw.good.data.shape)
    ),
    "blurred, sigma 1.5": _bad("sliced_wasserstein", "fid", "precision", fewest=300)(
        lambda draw: ndimage.gaussian_filter(draw.good.data, (0, 1.5, 1.5, 0))
    ),
    "training images": _bad("copies")(_known),
    "training images, 30 %": _bad("copies")(lambda draw: _mixed(0.3, _known(draw), draw.good.data)),
    "training images, shifted by 1 pixel": _bad("copies")(
        lambda draw: np.roll(_known(draw), 1, axis=2)
    ),
    "training images, shifted by 2 pixels both ways": _bad("copies")(
        lambda draw: np.roll(_known(draw), (2, -2), axis=(1, 2))
    ),
    "training images, mirrored": _bad("copies")(lambda draw: _known(draw)[:, :, ::-1]),
    "training images, mirrored, shifted, times .9": _bad("copies")(
        lambda draw: (np.roll(_known(draw)[:, :, ::-1], (1, 1), (1, 2)) * 0.9).astype(np.uint8)
    ),
    "training images, times .8": _bad("copies")(lambda draw: (_known(draw) * 0.8).astype(np.uint8)),
    "training images, noise of sigma 8": _bad(*_COPIES)(
        lambda draw: _noisy(_known(draw), 8, draw.rng)
    ),
    "training images, noise of sigma 16": _bad(*_COPIES)(
        lambda draw: _noisy(_known(draw), 16, draw.rng)
    ),
    "one class of ten": _bad("mode_kl", "modes", "coverage")(_of_classes([1])),
    "five classes of ten": _bad("mode_kl", "modes", fewest=300)(_of_classes(range(5))),
    "eight classes of ten": _bad("modes", fewest=300)(_of_classes(range(8))),
    "labels ignored": Subject(
        _relabelled(lambda draw: draw.rng.permutation(draw.good.labels)),
        frozenset({"class_accuracy"}),
    ),
    "labels permuted": Subject(
        _relabelled(lambda draw: (draw.good.labels + 1) % 10), frozenset({"class_accuracy"})
    ),
}


def _shifted(draw: Draw) -> np.ndarray:
    rows = draw.good.data.copy()
    rows[:, 1] += 3 * rows[:, 1].std()
    return rows


ROWS = {
    "other real rows": Subject(lambda draw: Split(draw.good.data, None)),
    "training rows": _bad(*_COPIES)(_known),
    "training rows, 30 %": _bad(*_COPIES)(lambda draw: _mixed(0.3, _known(draw), draw.good.data)),
    "one row": _bad("duplicates")(lambda draw: np.resize(draw.good.data[:1], draw.good.data.shape)),
    "one column three deviations higher": _bad(
        "column_distance", "two_sample_accuracy", "precision"
    )(_shifted),
    "every column shuffled": _bad(
        "correlation_difference", "two_sample_accuracy", "precision", "fid"
    )(lambda draw: draw.rng.permuted(draw.good.data, axis=0)),
}
TABLE_TRUTHS = {
    "2 columns of 10 whole numbers": lambda rng, n: rng.integers(0, 10, (n, 2)),
    "3 columns of 10": lambda rng, n: rng.integers(0, 10, (n, 3)),
    "5 columns of 5": lambda rng, n: rng.integers(0, 5, (n, 5)),
    "60 % zeros in two amounts, 3 categories": lambda rng, n: np.stack(
        [
            *(rng.exponential(1, (2, n)) * (rng.random((2, n)) > 0.6)).round(1),
            rng.integers(0, 3, n),
        ],
        axis=1,
    ),
}
TABLES = {name: Subject(lambda draw: Split(draw.good.data, None)) for name in TABLE_TRUTHS}
