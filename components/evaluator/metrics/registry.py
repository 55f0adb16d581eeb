"""The metrics by name, as the gate and the report use them: values with their intervals."""

import dataclasses
import math
from collections.abc import Callable, Iterable

import numpy as np

from components.common.registry import Registry
from components.evaluator.evaluation import Score
from components.evaluator.metrics import scores, uncertainty
from components.evaluator.metrics.comparison import Comparison, Need, errors_of


@dataclasses.dataclass(frozen=True)
class Metric:
    """One way to compare fake images with real ones.

    Attributes:
      title: the field's name for it.
      description: what it says, in a sentence.
      compute: comparison to score.
      higher_is_better: the direction.
      needs: what it is computed from beside features.
      range: smallest and largest value there is; intervals end there.
      bound: (least, most) that a generator must keep unless the recipe says otherwise, None for no
        limit: a generator beyond it is broken, whatever it is for.
    """

    title: str
    description: str
    compute: Callable[[Comparison], Score]
    higher_is_better: bool
    needs: tuple[Need, ...] = ()
    range: tuple[float, float] = (0.0, math.inf)
    bound: tuple[float | None, float | None] = (None, None)


METRICS: Registry[Metric] = Registry("metric")

for _name, _metric in {
    "fid": Metric(
        "FID",
        "Fréchet distance of the features' Gaussians: quality and variety in one number.",
        scores.fid,
        higher_is_better=False,
    ),
    "kid": Metric(
        "KID",
        "Squared maximum mean discrepancy of the features, unbiased at any number of samples.",
        scores.kid,
        higher_is_better=False,
        range=(-math.inf, math.inf),
    ),
    "inception_score": Metric(
        "Inception Score",
        "How sure the classes of single fakes are, and how many classes they make.",
        scores.inception_score,
        higher_is_better=True,
        needs=("probabilities",),
        range=(1.0, math.inf),
    ),
    "precision": Metric(
        "Precision",
        "Share of fakes that look like a real one.",
        lambda c: uncertainty.jackknife(
            float(c.manifolds.in_real.mean()), c.manifolds_left_out.precision
        ),
        higher_is_better=True,
        range=(0.0, 1.0),
    ),
    "recall": Metric(
        "Recall",
        "Share of the real ones that the generator could have made.",
        lambda c: uncertainty.jackknife(
            float(c.manifolds.in_fake.mean()), c.manifolds_left_out.recall
        ),
        higher_is_better=True,
        range=(0.0, 1.0),
        bound=(0.1, None),
    ),
    "density": Metric(
        "Density",
        "How many real neighbourhoods a fake lies in, 1 for real ones.",
        lambda c: uncertainty.jackknife(
            float(c.manifolds.density.mean()), c.manifolds_left_out.density
        ),
        higher_is_better=True,
    ),
    "coverage": Metric(
        "Coverage",
        "Share of the real ones that have a fake in their neighbourhood.",
        lambda c: uncertainty.jackknife(
            float(c.manifolds.covered.mean()), c.manifolds_left_out.coverage
        ),
        higher_is_better=True,
        range=(0.0, 1.0),
        # One class of ten has .1 to .2. Recall lets it pass: few and scattered fakes have large
        # neighbourhoods.
        bound=(0.2, None),
    ),
    "sliced_wasserstein": Metric(
        "Sliced Wasserstein",
        "Distance of small patches at every scale, on the pixels: sharpness and texture.",
        scores.sliced_wasserstein,
        higher_is_better=False,
        needs=("images",),
    ),
    "modes": Metric(
        "Modes",
        "Share of the data's classes that the fakes have at all.",
        scores.modes,
        higher_is_better=True,
        needs=("classes",),
        range=(0.0, 1.0),
        bound=(0.5, None),
    ),
    "mode_kl": Metric(
        "Class KL",
        "Kullback-Leibler divergence of the fakes' classes from the real ones', in nats.",
        scores.mode_kl,
        higher_is_better=False,
        needs=("classes",),
    ),
    "copies": Metric(
        "Copies",
        "Share of fakes that are as near to a training example as only 1 % of held-out "
        "real ones are.",
        scores.copies,
        higher_is_better=False,
        needs=("train",),
        range=(0.0, 1.0),
        bound=(None, 0.1),
    ),
    "duplicates": Metric(
        "Duplicates",
        "Share of fakes with a twin: another at less than a tenth of the usual distance "
        "of real ones.",
        scores.duplicates,
        higher_is_better=False,
        range=(0.0, 1.0),
        bound=(None, 0.1),
    ),
    "column_distance": Metric(
        "Column distance",
        "Wasserstein distance of single columns, in standard deviations of the real "
        "one; their mean.",
        scores.column_distance,
        higher_is_better=False,
        needs=("vectors",),
    ),
    "correlation_difference": Metric(
        "Correlation difference",
        "How far the correlations of two columns are from those of the real ones; mean "
        "of all pairs.",
        scores.correlation_difference,
        higher_is_better=False,
        needs=("pairs",),
        range=(0.0, 2.0),
    ),
    "two_sample_accuracy": Metric(
        "Two-sample accuracy",
        "How often a classifier tells held-out fakes from real rows: .5 is a coin's, 1 is always.",
        scores.two_sample_accuracy,
        higher_is_better=False,
        needs=("vectors",),
        range=(0.0, 1.0),
    ),
}.items():
    METRICS.register(_name)(_metric)


def score_all(comparison: Comparison, names: Iterable[str] | None = None) -> dict[str, Score]:
    """The scores by metric: of all registered ones, or `names`, that have what they need.

    Raises:
      ValueError: for features a metric cannot be computed from, naming the metric.
    """
    found = {}
    for name in METRICS.names() if names is None else names:
        metric = METRICS.get(name)
        if not all(comparison.has(need) for need in metric.needs):
            continue
        with errors_of(name):
            score = metric.compute(comparison)
        low, high = np.clip([score.low, score.high], *metric.range)
        found[name] = dataclasses.replace(score, low=float(low), high=float(high))
    return found
