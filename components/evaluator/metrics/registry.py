"""The metrics by name, as the gate and the report use them: values with their intervals."""

import dataclasses
import math
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from components.common.registry import Registry
from components.evaluator.evaluation import Score
from components.evaluator.metrics import scores, standards, table_scores, uncertainty
from components.evaluator.metrics.comparison import Comparison, Need, errors_of
from components.evaluator.metrics.standards import Standard


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
      standard: the built-in rule, which a recipe's bound replaces; None: there is none.
      scale: what a change is a share of where the blessed model's score is smaller, such as 0.
    """

    title: str
    description: str
    compute: Callable[[Comparison], Score]
    higher_is_better: bool
    needs: tuple[Need, ...] = ()
    range: tuple[float, float] = (0.0, math.inf)
    standard: Standard | None = None
    scale: float = 0.0


METRICS: Registry[Metric] = Registry("metric")

# Some wait for what others compute too; more at once would need more memory.
_AT_ONCE = 4

for _name, _metric in {
    "fid": Metric(
        "FID",
        "Fréchet distance of the features' Gaussians: quality and variety in one number.",
        scores.fid,
        higher_is_better=False,
        standard=standards.far_from_untrained(0.25),
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
        standard=standards.at_least(0.5),
    ),
    "recall": Metric(
        "Recall",
        "Share of the real ones that the generator could have made.",
        lambda c: uncertainty.jackknife(
            float(c.manifolds.in_fake.mean()), c.manifolds_left_out.recall
        ),
        higher_is_better=True,
        range=(0.0, 1.0),
        standard=standards.at_least(0.25),
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
        # One class of ten has .1 to .2 of the .97 of real data. Recall lets it pass: few and
        # scattered fakes have large neighbourhoods.
        standard=standards.at_least(0.25),
    ),
    "sliced_wasserstein": Metric(
        "Sliced Wasserstein",
        "Distance of small patches at every scale, on the pixels: sharpness and texture.",
        scores.sliced_wasserstein,
        higher_is_better=False,
        needs=("images",),
        standard=standards.far_from_untrained(0.25),
    ),
    "modes": Metric(
        "Modes",
        "Share of the data's classes that the fakes have, beyond what the extractor confuses.",
        scores.modes,
        higher_is_better=True,
        needs=("classes",),
        range=(0.0, 1.0),
        standard=standards.constant(0.85),
    ),
    "mode_kl": Metric(
        "Class KL",
        "Kullback-Leibler divergence of the fakes' classes from the real ones', in nats.",
        scores.mode_kl,
        higher_is_better=False,
        needs=("classes",),
        standard=standards.at_most_if_significant(0.3, level=1e-3),
    ),
    "class_accuracy": Metric(
        "Class accuracy",
        "Share of a conditional generator's samples that the extractor puts into the class that "
        "was asked for.",
        scores.class_accuracy,
        higher_is_better=True,
        needs=("labels",),
        range=(0.0, 1.0),
        standard=standards.half_of_skill,
    ),
    "intra_class_fid": Metric(
        "Intra-class FID",
        "FID of the samples of one class against the real ones of that class; mean of the classes.",
        scores.intra_class_fid,
        higher_is_better=False,
        needs=("labels", "large classes"),
        standard=standards.far_from_untrained(0.25),
    ),
    "copies": Metric(
        "Copies",
        "Share of fakes that are as near to a training example, shifted and mirrored too, as "
        "only 1 % of the training examples are to another.",
        scores.copies,
        higher_is_better=False,
        needs=("train",),
        range=(0.0, 1.0),
        standard=standards.no_excess,
        scale=0.1,
    ),
    "nearer_to_train": Metric(
        "Nearer to train",
        "Probability that a fake is nearer to the train split than a held-out real one: .5 is "
        "no nearer.",
        scores.nearer_to_train,
        higher_is_better=False,
        needs=("train",),
        range=(0.0, 1.0),
        standard=standards.at_most_if_significant(0.65),
    ),
    "duplicates": Metric(
        "Duplicates",
        "Share of fakes with a twin: another at less than a tenth of the usual distance "
        "of real ones.",
        scores.duplicates,
        higher_is_better=False,
        range=(0.0, 1.0),
        standard=standards.no_excess,
        scale=0.1,
    ),
    "column_distance": Metric(
        "Column distance",
        "Wasserstein distance of single columns, in standard deviations of the real "
        "one, or the total variation distance of categories; their mean.",
        table_scores.column_distance,
        higher_is_better=False,
        needs=("vectors",),
        standard=standards.far_from_untrained(0.25),
    ),
    "column_shapes": Metric(
        "Column shapes",
        "How alike the distributions of single columns are: 1 minus the Kolmogorov-Smirnov "
        "statistic, or the total variation distance of categories; their mean.",
        table_scores.column_shapes,
        higher_is_better=True,
        needs=("vectors",),
        range=(0.0, 1.0),
    ),
    "pair_trends": Metric(
        "Pair trends",
        "How alike two columns hang together: by their correlation, or by the shares of their "
        "categories and bins; mean of the pairs.",
        table_scores.pair_trends,
        higher_is_better=True,
        needs=("pairs",),
        range=(0.0, 1.0),
    ),
    "correlation_difference": Metric(
        "Correlation difference",
        "How far the correlations of two columns with an order are from those of the real ones; "
        "mean of all pairs.",
        table_scores.correlation_difference,
        higher_is_better=False,
        needs=("ordered pairs",),
        range=(0.0, 2.0),
        standard=standards.far_from_untrained(0.75),
    ),
    "two_sample_accuracy": Metric(
        "Two-sample accuracy",
        "How often a classifier tells held-out fakes from real rows: .5 is a coin's, 1 is always.",
        table_scores.two_sample_accuracy,
        higher_is_better=False,
        needs=("vectors",),
        range=(0.0, 1.0),
        standard=standards.far_from_untrained(0.75),
    ),
    "utility": Metric(
        "Utility",
        "How well classifiers that learnt from fakes predict columns of real rows, as a share of "
        "how well those do that learnt from as many real ones.",
        table_scores.utility,
        higher_is_better=True,
        needs=("vectors", "targets"),
        range=(-math.inf, math.inf),
    ),
    "closest_record": Metric(
        "Closest record",
        "How far fakes are from the nearest row of the train split, as a multiple of how far "
        "held-out real rows are: below 1 is nearer.",
        table_scores.closest_record,
        higher_is_better=True,
        needs=("vectors", "distances to train"),
    ),
}.items():
    METRICS.register(_name)(_metric)


def score_all(comparison: Comparison, names: Iterable[str] | None = None) -> dict[str, Score]:
    """The scores by metric: of all registered ones, or `names`, that have what they need.

    Raises:
      ValueError: for features a metric cannot be computed from, naming the metric.
    """
    chosen = [
        name
        for name in (METRICS.names() if names is None else names)
        if all(comparison.has(need) for need in METRICS.get(name).needs)
    ]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        found = pool.map(lambda name: _score(comparison, name), chosen)
        return dict(zip(chosen, found, strict=True))


def _score(comparison: Comparison, name: str) -> Score:
    metric = METRICS.get(name)
    with errors_of(name):
        score = metric.compute(comparison)
    if metric.range == (0.0, 1.0):
        score = uncertainty.with_exact_ends(score, min(len(comparison.real), len(comparison.fake)))
    low, high = np.clip([score.low, score.high], *metric.range)
    return dataclasses.replace(score, low=float(low), high=float(high))
