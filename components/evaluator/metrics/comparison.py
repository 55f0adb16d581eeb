"""Fakes beside real images, with what several metrics share, made once."""

import contextlib
import dataclasses
import functools
from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
from pydantic import Field

from components.common.config import Config
from components.evaluator.metrics import columns, uncertainty
from components.evaluator.neighbourhoods import neighbours
from components.evaluator.neighbourhoods.left_out import LeftOut, without_each_group
from components.evaluator.neighbourhoods.manifolds import Manifolds, manifolds
from components.evaluator.neighbourhoods.train_images import TrainImages
from components.features import Features

_FEWEST, _FEWEST_OF_A_CLASS = 4, 20
# Rows of the train split whose own spacing says what is near by chance.
_SPACED = 1000

Need = Literal[
    "images", "vectors", "pairs", "probabilities", "classes", "labels", "large classes", "train"
]


class MetricSettings(Config):
    """What the metrics can be told; scores under other settings are not comparable."""

    seed: int = Field(0, ge=0, lt=2**31, description="of fake images, noise and choices of rows")
    groups: int = Field(
        20, ge=4, le=1000, description="of images, left out in turn for the 95 % intervals"
    )
    kid_subsets: int = Field(100, ge=2, le=10_000, description="pairs of subsets that KID draws")
    kid_subset_size: int = Field(
        1000, ge=2, description="images of one subset; at most half of the smaller set is taken"
    )
    inception_splits: int = Field(10, ge=1, le=1000, description="parts of the Inception Score")
    neighbours: int = Field(
        3, ge=1, le=1000, description="k of precision's and recall's nearest neighbours"
    )
    density_neighbours: int = Field(
        5, ge=1, le=1000, description="k of density's and coverage's nearest neighbours"
    )
    wasserstein_patches: int = Field(
        16, ge=1, le=1024, description="patches an image for the sliced Wasserstein distance"
    )
    wasserstein_projections: int = Field(
        128, ge=1, le=10_000, description="directions of the sliced Wasserstein distance"
    )


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
      data: uint8 images [n, height, width, channels], or float vectors [n, d].
      features: of the same n.
    """

    data: np.ndarray
    features: Features

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, rows: np.ndarray) -> "Sample":
        probabilities, labels = (
            None if values is None else values[rows]
            for values in (self.features.probabilities, self.features.labels)
        )
        return Sample(
            self.data[rows], Features(self.features.features[rows], probabilities, labels)
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
      columns: names of the vectors' columns; "column 0", … if left out.
    """

    def __init__(
        self,
        real: Sample,
        train: Sample | None,
        settings: MetricSettings,
        *,
        classes_are_labels: bool,
        columns: Sequence[str] | None = None,
    ) -> None:
        self.real = real
        self.train = train
        self.settings = settings
        self.classes_are_labels = classes_are_labels
        self.columns = columns or [f"column {place}" for place in range(real.data.shape[-1])]

    def groups(self, count: int) -> np.ndarray:
        """Of the real images, int64 [n]."""
        return uncertainty.assign(len(self.real), count, self.settings.seed)

    def moments(self, groups: int) -> uncertainty.MomentsWithoutEachGroup:
        """Of the real images."""
        return uncertainty.moments_without_each_group(
            self.real.features.features, self.groups(groups)
        )

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

    @functools.cached_property
    def column_distances(self) -> np.ndarray:
        """Of the columns of all rows, and then of all rows without each group, [1 + groups, d]."""
        # The same for all, or a column that varies within one group only has no unit without it.
        units = columns.deviations(self.real.data)
        left_out = (
            columns.distances(
                self.real.data[self.real_groups != group],
                self.fake.data[self.fake_groups != group],
                units,
            )
            for group in range(self.groups)
        )
        return np.stack([columns.distances(self.real.data, self.fake.data, units), *left_out])

    def has(self, need: Need) -> bool:
        """Whether there is what a metric is computed from; `pairs`: of columns."""
        probabilities = self.real.features.probabilities is not None
        return {
            "images": self.fake.data.ndim == 4,
            "vectors": self.fake.data.ndim == 2,
            "pairs": self.fake.data.ndim == 2 and self.fake.data.shape[1] > 1,
            "probabilities": probabilities,
            "classes": probabilities and self.reference.classes_are_labels,
            "labels": probabilities
            and self.asked is not None
            and self.asked.features.labels is not None
            and self.real.features.labels is not None,
            "large classes": bool(len(self.large_classes)),
            "train": self.reference.train is not None,
        }[need]
