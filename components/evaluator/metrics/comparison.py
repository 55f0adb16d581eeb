"""Fakes beside real images, with what several metrics share, made once."""

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Literal

import numpy as np

from components.data.columns import Column
from components.evaluator.metrics import uncertainty
from components.evaluator.metrics.settings import MetricSettings
from components.evaluator.metrics.tables import columns, utility
from components.evaluator.neighbourhoods import neighbours
from components.evaluator.neighbourhoods.left_out import LeftOut, without_each_group
from components.evaluator.neighbourhoods.manifolds import Manifolds, manifolds
from components.evaluator.neighbourhoods.train_images import TrainImages
from components.features import Features

_FEWEST, _FEWEST_OF_A_CLASS = 4, 20
# Rows of the train split whose own spacing says what is near by chance.
_SPACED = 1000
# In microseconds.
_DAY = 86400e6

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


@dataclasses.dataclass(frozen=True)
class Sample:
    """Images of one source and what the extractor makes of them.

    Attributes:
      data: uint8 images [n, height, width, channels], or codes of rows, float64 [n, d].
      features: of the same n.
      targets: int64 [n], the labels of rows, known without an extractor; None for other data.
      categories: of rows, as `Split` has them; those of real data come first.
    """

    data: np.ndarray
    features: Features
    targets: np.ndarray | None = None
    categories: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, rows: np.ndarray) -> "Sample":
        probabilities, labels = (
            None if values is None else values[rows]
            for values in (self.features.probabilities, self.features.labels)
        )
        return Sample(
            self.data[rows],
            Features(self.features.features[rows], probabilities, labels),
            None if self.targets is None else self.targets[rows],
            self.categories,
        )

    def of_class(self, label: int) -> "Sample":
        """Those with a label."""
        return self[self.labels == label]

    @property
    def labels(self) -> np.ndarray:
        """int64 [n]; raises ValueError where the classes of the data are unknown."""
        if self.features.labels is None:
            raise ValueError("the samples have no labels")
        return self.features.labels

    @property
    def probabilities(self) -> np.ndarray:
        """float32 [n, classes]; raises ValueError for an extractor without classes."""
        if self.features.probabilities is None:
            raise ValueError("the extractor has no classes")
        return self.features.probabilities


class Reference:
    """The real images, with what does not depend on the fakes.

    Args:
      real: what fakes are compared with.
      train: what the generator has learnt from, for what it may have copied; None where unknown.
      settings: of the metrics.
      classes_are_labels: whether the extractor's classes are the data's own.
      columns: of rows; numbers called "column 0", … if left out.
    """

    def __init__(
        self,
        real: Sample,
        train: Sample | None,
        settings: MetricSettings,
        *,
        classes_are_labels: bool,
        columns: Sequence[Column] | None = None,
    ) -> None:
        self.real = real
        self.train = train
        self.settings = settings
        self.classes_are_labels = classes_are_labels
        self.columns = columns or [
            Column(name=f"column {place}") for place in range(real.data.shape[-1])
        ]
        self.discrete = np.array([column.kind.discrete for column in self.columns])

    def groups(self, count: int) -> np.ndarray:
        """Of the real images, int64 [n]."""
        return uncertainty.assign(len(self.real), count, self.settings.seed)

    def moments(self, groups: int) -> uncertainty.MomentsWithoutEachGroup:
        """Of the real images."""
        return uncertainty.moments_without_each_group(
            self.real.features.features, self.groups(groups)
        )

    @functools.cached_property
    def units(self) -> np.ndarray:
        """What distances of columns are measured in, [d]: deviations; days, of a constant date."""
        found = columns.deviations(self.real.data)
        days = [column.type == "datetime" for column in self.columns]
        return np.where(np.array(days) & (found == 1), _DAY, found)

    @functools.cached_property
    def to_train(self) -> np.ndarray:
        """The distance of each real one to the nearest one of the train split, [n]."""
        return self.nearest_train(self.real, 1)[1][:, 0]

    @functools.cached_property
    def train_spacing(self) -> np.ndarray:
        """The distances of up to 1000 of the train split to their nearest others in it."""
        order = np.random.default_rng(self.settings.seed).permutation(len(self._known_train))
        rows = order[:_SPACED]
        if self._train_images is not None:
            return self._train_images.spacing(rows)
        return neighbours.spacing(self._known_train.features.features, rows)

    def nearest_train(self, sample: Sample, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows of the train split nearest to each of a sample and their distances, [m, count] each.

        Images are compared as `TrainImages` does, vectors by their features.
        """
        count = min(count, len(self._known_train))
        if self._train_images is not None:
            return self._train_images.nearest(sample.data, count)
        train = self._known_train.features.features
        return neighbours.nearest_neighbours(sample.features.features, train, count)

    @property
    def _known_train(self) -> Sample:
        if self.train is None:
            raise ValueError("the train split is unknown")
        return self.train

    @functools.cached_property
    def _train_images(self) -> TrainImages | None:
        data = self._known_train.data
        return TrainImages(data) if data.ndim == 4 else None


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

    @functools.cached_property
    def manifolds(self) -> Manifolds:
        """Who lies in whose neighbourhood."""
        return manifolds(
            self.real.features.features,
            self.fake.features.features,
            self.settings.neighbours,
            self.settings.density_neighbours,
        )

    @property
    def asked_sample(self) -> Sample:
        """`asked`; raises ValueError for a generator that is not conditional."""
        if self.asked is None:
            raise ValueError("the generator is not conditional")
        return self.asked

    @functools.cached_property
    def large_classes(self) -> np.ndarray:
        """The labels of which there are 20 real ones and 20 asked for, int64."""
        labels = self.real.features.labels
        if self.asked is None or self.asked.features.labels is None or labels is None:
            return np.empty(0, np.int64)
        asked = self.asked.features.labels
        length = 1 + max(labels.max(), asked.max())
        fewest = np.minimum(*(np.bincount(x, minlength=length) for x in (labels, asked)))
        return np.flatnonzero(fewest >= _FEWEST_OF_A_CLASS)

    @functools.cached_property
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

    @functools.cached_property
    def manifolds_left_out(self) -> LeftOut:
        """The means of `manifolds` without each group, with neighbourhoods made anew."""
        return without_each_group(
            self.real.features.features,
            self.fake.features.features,
            self.real_groups,
            self.fake_groups,
            self.settings.neighbours,
            self.settings.density_neighbours,
        )

    @functools.cached_property
    def nearest_train(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows of the train split and distances, [m, 3] each, of every fake's nearest ones."""
        return self.reference.nearest_train(self.fake, 3)

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

    @functools.cached_property
    def column_distances(self) -> np.ndarray:
        """Of the columns of all rows, and then of all rows without each group, [1 + groups, d]."""
        # The same for all, or a column that varies within one group only has no unit without it.
        units, discrete = self.reference.units, self.reference.discrete
        return self.each_without_a_group(
            lambda real, fake: columns.distances(real, fake, units, discrete)
        )

    @functools.cached_property
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
