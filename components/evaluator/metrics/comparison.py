"""Fakes beside real images, with what several metrics share, made once."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Literal

import numpy as np

from components.evaluator.metrics import uncertainty
from components.evaluator.metrics.once import once
from components.evaluator.metrics.reference import Reference, Sample
from components.evaluator.metrics.tables import columns, utility
from components.features.neighbourhoods import neighbours
from components.features.neighbourhoods.left_out import LeftOut, enough, without_each_group
from components.features.neighbourhoods.manifolds import Manifolds, manifolds
from components.features.neighbourhoods.neighbours import Others

_FEWEST, _FEWEST_OF_A_CLASS = 4, 20

Need = Literal[
    "images",
    "vectors",
    "pairs",
    "ordered pairs",
    "probabilities",
    "classes",
    "labels",
    "large classes",
    "train",
    "distances to train",
    "targets",
]


@contextlib.contextmanager
def errors_of(name: str) -> Iterator[None]:
    """Puts `name` before the message of a ValueError."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


class Comparison:
    """One set of fakes beside the real images, with what several metrics share.

    Args:
      reference: the real images.
      fake: the fakes.
      asked: fakes of a conditional generator whose features have the labels that it was asked for;
        None for other generators.

    Raises:
      ValueError: for too few images.
    """

    def __init__(self, reference: Reference, fake: Sample, asked: Sample | None = None) -> None:
        self.reference = reference
        self.asked = asked
        self.real = reference.real
        self.fake = fake
        self.settings = reference.settings
        smaller = min(len(self.real), len(fake))
        if smaller < _FEWEST:
            raise ValueError(f"{smaller} samples, at least {_FEWEST} are needed")
        # Two images to a group at least, or the rest is no sample any more.
        self.groups = max(2, min(self.settings.groups, smaller // 2))
        self.real_groups = reference.groups(self.groups)
        self.fake_groups = uncertainty.assign(len(fake), self.groups, self.settings.seed)

    @once
    def manifolds(self) -> Manifolds:
        """Who lies in whose neighbourhood."""
        return manifolds(
            self.real.features.features,
            self.fake.features.features,
            self.settings.neighbours,
            self.settings.density_neighbours,
            self._others,
        )

    @once
    def _others(self) -> tuple[Others, Others]:
        """The nearest others of real ones and of fakes, for `manifolds` without groups too."""
        most = max(self.settings.neighbours, self.settings.density_neighbours)
        return (
            self.real.others("real", enough(most, self.real_groups)),
            self.fake.others("fake", enough(self.settings.neighbours, self.fake_groups)),
        )

    @property
    def asked_sample(self) -> Sample:
        """`asked`; raises ValueError for a generator that is not conditional."""
        if self.asked is None:
            raise ValueError("the generator is not conditional")
        return self.asked

    @once
    def large_classes(self) -> np.ndarray:
        """The labels of which there are 20 real ones and 20 asked for, int64."""
        labels = self.real.features.labels
        if self.asked is None or self.asked.features.labels is None or labels is None:
            return np.empty(0, np.int64)
        asked = self.asked.features.labels
        length = 1 + max(labels.max(), asked.max())
        fewest = np.minimum(*(np.bincount(x, minlength=length) for x in (labels, asked)))
        return np.flatnonzero(fewest >= _FEWEST_OF_A_CLASS)

    @once
    def spacings(self) -> tuple[np.ndarray, np.ndarray]:
        """Distances of real ones and of fakes to the nearest other of their own, as many of each.

        The more there are, the nearer they are to each other.
        """
        count = min(len(self.real), len(self.fake))
        if len(self.real) == len(self.fake):
            return self.manifolds.real_spacing, self.manifolds.fake_spacing

        def among_as_many(sample: Sample) -> np.ndarray:
            order = np.random.default_rng(self.settings.seed).permutation(len(sample))
            few = sample.features.features[np.sort(order[:count])]
            return neighbours.spacing(few, np.arange(count))

        return among_as_many(self.real), among_as_many(self.fake)

    @once
    def manifolds_left_out(self) -> LeftOut:
        """The means of `manifolds` without each group, with neighbourhoods made anew."""
        return without_each_group(
            self.real.features.features,
            self.fake.features.features,
            self.real_groups,
            self.fake_groups,
            self.settings.neighbours,
            self.settings.density_neighbours,
            self._others,
        )

    @once
    def searched(self) -> np.ndarray:
        """The fakes whose nearest training examples are looked for, rows, int64."""
        return self.reference.searched(self.fake)

    @once
    def nearest_train(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows of the train split and distances, [searched, 3] each, of fakes' nearest ones."""
        return self.reference.nearest_train(self.fake[self.searched], 3)

    def each_without_a_group(
        self, measure: Callable[[np.ndarray, np.ndarray], np.ndarray]
    ) -> np.ndarray:
        """`measure` of real data and fakes, and then of those without each group.

        Its arrays, stacked along a new first axis of 1 + groups.
        """
        left_out = (
            measure(
                self.real.data[self.real_groups != group],
                self.fake.data[self.fake_groups != group],
            )
            for group in range(self.groups)
        )
        return np.stack([measure(self.real.data, self.fake.data), *left_out])

    @once
    def column_distances(self) -> np.ndarray:
        """Of the columns of all rows, and then of all rows without each group, [1 + groups, d]."""
        # The same for all, or a column that varies within one group only has no unit without it.
        units, discrete = self.reference.units, self.reference.discrete
        return self.each_without_a_group(
            lambda real, fake: columns.distances(real, fake, units, discrete)
        )

    @once
    def utility(self) -> utility.Worth | None:
        """What classifiers learn from the fakes and from the train split; None for nothing."""
        train = self.reference.train
        if train is None or self.real.data.ndim != 2:
            return None
        fake = self.fake if self.asked is None else self.asked
        return utility.measure(
            utility.Rows(fake.data, fake.targets),
            utility.Rows(train.data, train.targets),
            utility.Rows(self.real.data, self.real.targets, self.real_groups),
            tuple(column.name for column in self.reference.columns),
            self.reference.discrete,
            self.settings.seed,
        )

    def has(self, need: Need) -> bool:
        """Whether there is what a metric is computed from; `pairs`: of columns."""
        reference = self.reference
        probabilities = self.real.features.probabilities is not None
        vectors = self.fake.data.ndim == 2
        there: dict[Need, Callable[[], bool]] = {
            "images": lambda: not vectors,
            "vectors": lambda: vectors,
            "pairs": lambda: vectors and len(reference.columns) > 1,
            "ordered pairs": lambda: vectors and int(np.sum(~reference.discrete)) > 1,
            "probabilities": lambda: probabilities,
            "classes": lambda: probabilities and reference.classes_are_labels,
            "labels": lambda: (
                probabilities
                and self.asked is not None
                and self.asked.features.labels is not None
                and self.real.features.labels is not None
            ),
            "large classes": lambda: bool(len(self.large_classes)),
            "train": lambda: reference.train is not None,
            "distances to train": lambda: (
                reference.train is not None and bool(reference.to_train.any())
            ),
            "targets": lambda: self.utility is not None,
        }
        return there[need]()
