"""The metrics by name, as the gate and the report use them: values with their intervals."""

import dataclasses
import math
from collections.abc import Callable, Iterable

import numpy as np
from scipy import stats

from components.common.registry import Registry
from components.evaluator.evaluation import Score
from components.evaluator.metrics import columns, functions, uncertainty
from components.evaluator.metrics.comparison import Comparison, Need, moments_without_each_group
from components.features import distances

# How near to a training image is suspicious: nearer than all but this share of real images are.
_TAIL = 0.01
# What is the same image for the extractor, and for rounding: as shares of the usual distance.
_SAME = 0.1
_ROUNDING = 1e-6
# Its interval needs all pairs of images; that of fewer is wider, never narrower.
_MOST_KERNEL_ROWS = 5000
# Karras et al. 2018; smaller on images that are smaller.
_PATCH_SIZE = 7
# Disjoint parts of the images have so many of the jackknife's groups.
_GROUPS_OF_A_PART = 2


@dataclasses.dataclass(frozen=True)
class Metric:
    """One way to compare fake images with real ones.

    Attributes:
      title: the field's name for it.
      description: what it says, in a sentence.
      higher_is_better: the direction.
      compute: comparison to score.
      needs: what it is computed from beside features.
      range: smallest and largest value there is; intervals end there.
      bound: (least, most) that a generator must keep unless the recipe says otherwise, None for no
        limit: a generator beyond it is broken, whatever it is for.
    """

    title: str
    description: str
    higher_is_better: bool
    compute: Callable[[Comparison], Score]
    needs: tuple[Need, ...] = ()
    range: tuple[float, float] = (0.0, math.inf)
    bound: tuple[float | None, float | None] = (None, None)


METRICS: Registry[Metric] = Registry("metric")


def score_all(comparison: Comparison, names: Iterable[str] | None = None) -> dict[str, Score]:
    """The scores by metric: of all registered ones, or `names`, that have what they need.

    Raises:
      ValueError: for features a metric cannot be computed from, naming the metric.
    """
    scores = {}
    for name in METRICS.names() if names is None else names:
        metric = METRICS.get(name)
        if not all(comparison.has(need) for need in metric.needs):
            continue
        try:
            score = metric.compute(comparison)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
        low, high = np.clip([score.low, score.high], *metric.range)
        scores[name] = dataclasses.replace(score, low=float(low), high=float(high))
    return scores


def _metric(
    name: str,
    title: str,
    description: str,
    *,
    higher_is_better: bool,
    needs: tuple[Need, ...] = (),
    range: tuple[float, float] = (0.0, math.inf),  # noqa: A002
    bound: tuple[float | None, float | None] = (None, None),
) -> Callable[[Callable], Callable]:
    def enter(compute: Callable) -> Callable:
        entry = Metric(title, description, higher_is_better, compute, needs, range, bound)
        METRICS.register(name)(entry)
        return compute

    return enter


@_metric(
    "fid",
    "FID",
    "Fréchet distance of the features' Gaussians: quality and variety in one number.",
    higher_is_better=False,
)
def _fid(comparison: Comparison) -> Score:
    real = comparison.reference.moments(comparison.groups)
    fake = moments_without_each_group(comparison.fake.features.features, comparison.fake_groups)

    def distance(one: distances.Moments, other: distances.Moments) -> float:
        return functions.fid_from_statistics(one.mean, one.covariance, other.mean, other.covariance)

    whole, *left_out = (distance(*pair) for pair in zip(real, fake, strict=True))
    return uncertainty.jackknife(whole, left_out)


@_metric(
    "kid",
    "KID",
    "Squared maximum mean discrepancy of the features, unbiased at any number of samples.",
    higher_is_better=False,
    range=(-math.inf, math.inf),
)
def _kid(comparison: Comparison) -> Score:
    settings = comparison.settings
    real, fake = comparison.real.features.features, comparison.fake.features.features
    value, _ = functions.kid(
        real, fake, settings.kid_subsets, settings.kid_subset_size, settings.seed
    )
    few = slice(_MOST_KERNEL_ROWS)
    left_out = _mmd_without_each_group(
        real[few], fake[few], comparison.real_groups[few], comparison.fake_groups[few]
    )
    return uncertainty.jackknife(value, left_out)


@_metric(
    "inception_score",
    "Inception Score",
    "How sure the classes of single fakes are, and how many classes they make.",
    higher_is_better=True,
    needs=("probabilities",),
    range=(1.0, math.inf),
)
def _inception_score(comparison: Comparison) -> Score:
    probabilities = comparison.fake.features.probabilities
    splits = comparison.settings.inception_splits

    def score(rows: np.ndarray) -> float:
        return functions.inception_score(probabilities[rows], splits)[0]

    return uncertainty.recomputed(score, comparison.fake_groups)


@_metric(
    "precision",
    "Precision",
    "Share of fakes that look like a real one.",
    higher_is_better=True,
    range=(0.0, 1.0),
)
def _precision(comparison: Comparison) -> Score:
    return uncertainty.mean(comparison.manifolds.in_real, comparison.fake_groups)


@_metric(
    "recall",
    "Recall",
    "Share of the real ones that the generator could have made.",
    higher_is_better=True,
    range=(0.0, 1.0),
    bound=(0.1, None),
)
def _recall(comparison: Comparison) -> Score:
    return uncertainty.mean(comparison.manifolds.in_fake, comparison.real_groups)


@_metric(
    "density",
    "Density",
    "How many real neighbourhoods a fake lies in, 1 for real ones.",
    higher_is_better=True,
)
def _density(comparison: Comparison) -> Score:
    return uncertainty.mean(comparison.manifolds.density, comparison.fake_groups)


@_metric(
    "coverage",
    "Coverage",
    "Share of the real ones that have a fake in their neighbourhood.",
    higher_is_better=True,
    range=(0.0, 1.0),
    # One class of ten has .1 to .2. Recall lets it pass: few and scattered fakes have large
    # neighbourhoods.
    bound=(0.2, None),
)
def _coverage(comparison: Comparison) -> Score:
    return uncertainty.mean(comparison.manifolds.covered, comparison.real_groups)


@_metric(
    "sliced_wasserstein",
    "Sliced Wasserstein",
    "Distance of small patches at every scale, on the pixels: sharpness and texture.",
    higher_is_better=False,
    needs=("images",),
)
def _sliced_wasserstein(comparison: Comparison) -> Score:
    settings = comparison.settings
    real, fake = comparison.real.data, comparison.fake.data

    def distance(real: np.ndarray, fake: np.ndarray) -> float:
        levels = functions.sliced_wasserstein(
            real,
            fake,
            patches_per_image=settings.wasserstein_patches,
            patch_size=min(_PATCH_SIZE, *real.shape[1:3]),
            projections=settings.wasserstein_projections,
            seed=settings.seed,
        )
        return float(np.mean(levels))

    # Too slow to be repeated for every group that is left out.
    parts = max(2, comparison.groups // _GROUPS_OF_A_PART)
    in_part = [groups % parts for groups in (comparison.real_groups, comparison.fake_groups)]
    return uncertainty.subsets(
        distance(real, fake),
        [distance(real[in_part[0] == part], fake[in_part[1] == part]) for part in range(parts)],
    )


@_metric(
    "modes",
    "Modes",
    "Share of the data's classes that the fakes have at all.",
    higher_is_better=True,
    needs=("classes",),
    range=(0.0, 1.0),
    bound=(0.5, None),
)
def _modes(comparison: Comparison) -> Score:
    real, fake = comparison.real.features.probabilities, comparison.fake.features.probabilities
    hit, there, _ = functions.mode_coverage(real, fake)

    def share(rows: np.ndarray) -> float:
        return functions.mode_coverage(real, fake[rows])[0] / there

    score = uncertainty.recomputed(share, comparison.fake_groups, hit / there)
    return dataclasses.replace(score, details={"hit": hit, "there": there})


@_metric(
    "mode_kl",
    "Class KL",
    "Kullback-Leibler divergence of the fakes' classes from the real ones', in nats.",
    higher_is_better=False,
    needs=("classes",),
)
def _mode_kl(comparison: Comparison) -> Score:
    real, fake = comparison.real.features.probabilities, comparison.fake.features.probabilities
    return uncertainty.recomputed(
        lambda rows: functions.mode_coverage(real, fake[rows])[2], comparison.fake_groups
    )


@_metric(
    "copies",
    "Copies",
    "Share of fakes that are as near to a training example as only 1 % of held-out real ones are.",
    higher_is_better=False,
    needs=("train",),
    range=(0.0, 1.0),
    bound=(None, 0.1),
)
def _copies(comparison: Comparison) -> Score:
    """Meehan et al., "A Non-Parametric Test to Detect Data-Copying", 2020, for the p-value.

    `p_value` is that of fakes being no nearer to the train split than held-out real images are
    (one-sided Mann-Whitney), `nearer` the probability that a fake is nearer than a real image.
    """
    fake, real = comparison.nearest_train[1][:, 0], comparison.reference.to_train
    test = stats.mannwhitneyu(fake, real, alternative="less")
    details = {
        "p_value": float(test.pvalue),
        "nearer": float(1 - test.statistic / (len(fake) * len(real))),
    }
    limit = max(np.quantile(real, _TAIL), _ROUNDING * np.median(real))
    return uncertainty.mean(fake <= limit, comparison.fake_groups, details)


@_metric(
    "duplicates",
    "Duplicates",
    "Share of fakes with a twin: another at less than a tenth of the usual distance of real ones.",
    higher_is_better=False,
    range=(0.0, 1.0),
    bound=(None, 0.1),
)
def _duplicates(comparison: Comparison) -> Score:
    limit = _SAME * np.median(comparison.manifolds.real_spacing)
    return uncertainty.mean(comparison.manifolds.fake_spacing <= limit, comparison.fake_groups)


@_metric(
    "column_distance",
    "Column distance",
    "Wasserstein distance of single columns, in standard deviations of the real one; their mean.",
    higher_is_better=False,
    needs=("vectors",),
)
def _column_distance(comparison: Comparison) -> Score:
    of_columns = comparison.column_distances[0]
    worst = of_columns.argmax()
    details = {f"worst: {comparison.reference.columns[worst]}": float(of_columns[worst])}
    whole, *left_out = comparison.column_distances.mean(axis=1)
    return uncertainty.jackknife(whole, left_out, details)


@_metric(
    "correlation_difference",
    "Correlation difference",
    "How far the correlations of two columns are from those of the real ones; mean of all pairs.",
    higher_is_better=False,
    needs=("pairs",),
    range=(0.0, 2.0),
)
def _correlation_difference(comparison: Comparison) -> Score:
    one, other = np.triu_indices(comparison.real.data.shape[1], 1)

    def of_pairs(data: np.ndarray, groups: np.ndarray) -> np.ndarray:
        moments = moments_without_each_group(data, groups)
        return np.stack([columns.correlations(each)[one, other] for each in moments])

    real = of_pairs(comparison.real.data, comparison.real_groups)
    fake = of_pairs(comparison.fake.data, comparison.fake_groups)
    apart = np.abs(real - fake)
    worst = apart[0].argmax()
    names = (comparison.reference.columns[place] for place in (one[worst], other[worst]))
    whole, *left_out = apart.mean(axis=1)
    details = {f"worst: {', '.join(names)}": float(apart[0, worst])}
    return uncertainty.jackknife(whole, left_out, details)


@_metric(
    "two_sample_accuracy",
    "Two-sample accuracy",
    "How often a classifier tells held-out fakes from real rows: .5 is a coin's, 1 is always.",
    higher_is_better=False,
    needs=("vectors",),
    range=(0.0, 1.0),
)
def _two_sample_accuracy(comparison: Comparison) -> Score:
    real, fake = comparison.real.data, comparison.fake.data
    rows, right = columns.told_apart(real, fake, comparison.settings.seed)
    groups = [comparison.real_groups[rows[0]], comparison.fake_groups[rows[1]]]
    return uncertainty.mean(right.reshape(-1), np.concatenate(groups))


def _mmd_without_each_group(
    real: np.ndarray, fake: np.ndarray, real_groups: np.ndarray, fake_groups: np.ndarray
) -> np.ndarray:
    """`polynomial_mmd` without each group, [groups], from one look at every pair."""
    real, fake = distances.matrix_pair(real, fake, at_least=4)

    def mean_without(
        x: np.ndarray, of_x: np.ndarray, y: np.ndarray, of_y: np.ndarray
    ) -> np.ndarray:
        kernel = distances.polynomial_kernel(x, y)
        ones = np.ones_like(kernel)
        if x is y:
            np.fill_diagonal(kernel, 0)
            np.fill_diagonal(ones, 0)
        in_x, in_y = (np.eye(groups)[of] for of in (of_x, of_y))
        sums, pairs = (in_x.T @ matrix @ in_y for matrix in (kernel, ones))

        def without(matrix: np.ndarray) -> np.ndarray:
            return matrix.sum() - matrix.sum(axis=0) - matrix.sum(axis=1) + np.diag(matrix)

        return without(sums) / without(pairs)

    groups = 1 + max(real_groups.max(), fake_groups.max())
    of_real, of_fake = (real, real_groups), (fake, fake_groups)
    return (
        mean_without(*of_real, *of_real)
        + mean_without(*of_fake, *of_fake)
        - 2 * mean_without(*of_real, *of_fake)
    )
