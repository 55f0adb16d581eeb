"""Fakes beside real images, with what several metrics share, made once."""

import contextlib
import dataclasses
import functools
from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
from pydantic import Field

from components.common.config import Config
from components.evaluator.metrics import columns, neighbours, uncertainty
from components.evaluator.metrics.left_out import LeftOut, without_each_group
from components.evaluator.metrics.manifolds import Manifolds, manifolds
from components.features import Features

_FEWEST = 4

Need = Literal["images", "vectors", "pairs", "probabilities", "classes", "train"]


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
        """The distance of each real image to the nearest one of the train split, [n]."""
        return self.nearest_train(self.real, 1)[1][:, 0]

    def nearest_train(self, sample: Sample, count: int) -> tuple[np.ndarray, np.ndarray]:
        """As `neighbours.nearest_neighbours`, of a sample in the train split."""
        if self.train is None:
            raise ValueError("the train split is unknown")
        of_sample, train = sample.features.features, self.train.features.features
        return neighbours.nearest_neighbours(of_sample, train, min(count, len(train)))


class Comparison:
    """One set of fakes beside the real images, with what several metrics share.

    Args:
      reference: the real images.
      fake: the fakes.

    Raises:
      ValueError: for too few images.
    """

    def __init__(self, reference: Reference, fake: Sample) -> None:
        self.reference = reference
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
            "train": self.reference.train is not None,
        }[need]
