"""The metrics by name, as the gate and the report use them."""

import dataclasses
from collections.abc import Callable

import numpy as np
from pydantic import Field

from components.config import Config
from components.evaluator import metrics
from components.registry import Registry


class MetricSettings(Config):
    """What the metrics can be told; scores under other settings are not comparable."""

    seed: int = Field(0, ge=0, lt=2**31, description="of fake images, noise and choices of rows")
    kid_subsets: int = Field(100, ge=2, le=10_000, description="pairs of subsets that KID draws")
    kid_subset_size: int = Field(
        1000, ge=2, description="images of one subset; at most half of the smaller set is taken"
    )
    inception_splits: int = Field(10, ge=1, le=1000, description="parts of the Inception Score")
    neighbours: int = Field(
        3, ge=1, le=1000, description="k of precision's and recall's nearest neighbours"
    )


@dataclasses.dataclass(frozen=True)
class Features:
    """What the extractor makes of n images.

    Attributes:
      features: float32 [n, d].
      probabilities: float32 [n, classes], rows sum to 1.
    """

    features: np.ndarray
    probabilities: np.ndarray

    def __len__(self) -> int:
        return len(self.features)


@dataclasses.dataclass(frozen=True)
class Score:
    """A number and how far it can be trusted, None where the metric does not say."""

    value: float
    uncertainty: float | None = None


@dataclasses.dataclass(frozen=True)
class Metric:
    """One way to compare fake images with real ones.

    Attributes:
      title: the field's name for it.
      higher_is_better: the direction.
      compute: (real, fake, settings) to the score.
      uncertainty: what its score's uncertainty is, in words, or None.
    """

    title: str
    higher_is_better: bool
    compute: Callable[[Features, Features, MetricSettings], Score]
    uncertainty: str | None = None


METRICS: Registry[Metric] = Registry("metric")


def score_all(real: Features, fake: Features, settings: MetricSettings) -> dict[str, Score]:
    """The score of every registered metric, by name.

    Raises:
      ValueError: for features a metric cannot be computed from, naming the metric.
    """
    scores = {}
    for name in METRICS.names():
        try:
            scores[name] = METRICS.get(name).compute(real, fake, settings)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
    return scores


def _metric(
    name: str, title: str, *, higher_is_better: bool, uncertainty: str | None = None
) -> Callable[[Callable], Callable]:
    def enter(compute: Callable) -> Callable:
        METRICS.register(name)(Metric(title, higher_is_better, compute, uncertainty))
        return compute

    return enter


@_metric("fid", "FID", higher_is_better=False)
def _fid(real: Features, fake: Features, settings: MetricSettings) -> Score:
    return Score(metrics.fid(real.features, fake.features))


@_metric(
    "kid",
    "KID",
    higher_is_better=False,
    uncertainty="standard error over the drawn subsets; other images would vary it more",
)
def _kid(real: Features, fake: Features, settings: MetricSettings) -> Score:
    mean, standard_error = metrics.kid(
        real.features,
        fake.features,
        settings.kid_subsets,
        settings.kid_subset_size,
        settings.seed,
    )
    return Score(mean, standard_error)


@_metric(
    "inception_score",
    "Inception Score",
    higher_is_better=True,
    uncertainty="standard deviation over parts",
)
def _inception_score(real: Features, fake: Features, settings: MetricSettings) -> Score:
    return Score(*metrics.inception_score(fake.probabilities, settings.inception_splits))


@_metric("precision", "Precision", higher_is_better=True)
def _precision(real: Features, fake: Features, settings: MetricSettings) -> Score:
    return Score(metrics.precision(real.features, fake.features, settings.neighbours))


@_metric("recall", "Recall", higher_is_better=True)
def _recall(real: Features, fake: Features, settings: MetricSettings) -> Score:
    return Score(metrics.recall(real.features, fake.features, settings.neighbours))
