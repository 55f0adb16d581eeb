"""Samples, and the real ones that fakes are compared with."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from components.data.columns import Column
from components.evaluator.metrics import uncertainty
from components.evaluator.metrics.once import once
from components.evaluator.metrics.settings import MetricSettings
from components.evaluator.metrics.tables import columns
from components.features import Features
from components.features.neighbourhoods import neighbours
from components.features.neighbourhoods.neighbours import Others
from components.features.neighbourhoods.train_images import TrainImages

# Rows of the train split whose own spacing says what is near by chance.
_SPACED = 1000
# Of images whose nearest training images are looked for: 50 moved copies of each are compared with
# all of these.
_SEARCHED = 2500
# In microseconds.
_DAY = 86400e6


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
    _others: dict[int, Others] = dataclasses.field(default_factory=dict, repr=False, compare=False)

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

    def others(self, name: str, count: int) -> Others:
        """The nearest `count` others of each, made once; `name` is theirs in error messages."""
        if count not in self._others:
            self._others[count] = Others.of(name, self.features.features, count)
        return self._others[count]

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
      distances: `to_train` and `train_spacing`, where they are known.
    """

    def __init__(
        self,
        real: Sample,
        train: Sample | None,
        settings: MetricSettings,
        *,
        classes_are_labels: bool,
        columns: Sequence[Column] | None = None,
        distances: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        self.real = real
        self.train = train
        self.settings = settings
        self.classes_are_labels = classes_are_labels
        self.columns = columns or [
            Column(name=f"column {place}") for place in range(real.data.shape[-1])
        ]
        self.discrete = np.array([column.kind.discrete for column in self.columns])
        self._known_distances = distances or {}

    def groups(self, count: int) -> np.ndarray:
        """Of the real images, int64 [n]."""
        return uncertainty.assign(len(self.real), count, self.settings.seed)

    def moments(self, groups: int) -> uncertainty.MomentsWithoutEachGroup:
        """Of the real images."""
        return uncertainty.moments_without_each_group(
            self.real.features.features, self.groups(groups)
        )

    @once
    def units(self) -> np.ndarray:
        """What distances of columns are measured in, [d]: deviations; days, of a constant date."""
        found = columns.deviations(self.real.data)
        days = [column.type == "datetime" for column in self.columns]
        return np.where(np.array(days) & (found == 1), _DAY, found)

    @once
    def to_train(self) -> np.ndarray:
        """The distances of real ones to the nearest one of the train split, [searched]."""
        if "to_train" in self._known_distances:
            return self._known_distances["to_train"]
        return self.nearest_train(self.real[self.searched(self.real)], 1)[1][:, 0]

    @once
    def train_spacing(self) -> np.ndarray:
        """The distances of up to 1000 of the train split to their nearest others in it."""
        if "train_spacing" in self._known_distances:
            return self._known_distances["train_spacing"]
        order = np.random.default_rng(self.settings.seed).permutation(len(self._known_train))
        rows = order[:_SPACED]
        if self._train_images is not None:
            return self._train_images.spacing(rows)
        return neighbours.spacing(self._known_train.features.features, rows)

    def distances(self) -> dict[str, np.ndarray]:
        """Of real ones to the train split, by name; empty where that is unknown."""
        if self.train is None:
            return {}
        return {"to_train": self.to_train, "train_spacing": self.train_spacing}

    def searched(self, sample: Sample) -> np.ndarray:
        """Rows of a sample that are compared with the train split, int64: of images, at most 2500.

        As many of each group.
        """
        if sample.data.ndim != 4:
            return np.arange(len(sample))
        order = np.random.default_rng(self.settings.seed).permutation(len(sample))
        return np.flatnonzero(order < _SEARCHED)

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

    @once
    def _train_images(self) -> TrainImages | None:
        data = self._known_train.data
        return TrainImages(data) if data.ndim == 4 else None
