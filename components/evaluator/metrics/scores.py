"""The scores of a comparison with their intervals, by the names that `registry` gives them."""

import dataclasses

import numpy as np
from scipy import stats

from components.evaluator.evaluation import Score
from components.evaluator.metrics import columns, functions, uncertainty
from components.evaluator.metrics import sliced_wasserstein as patches
from components.evaluator.metrics.comparison import Comparison
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


def fid(comparison: Comparison) -> Score:
    """Jackknifed by merging the groups' moments, so that every row is read once."""
    real = comparison.reference.moments(comparison.groups)
    fake = uncertainty.moments_without_each_group(
        comparison.fake.features.features, comparison.fake_groups
    )

    def distance(one: distances.Moments, other: distances.Moments) -> float:
        return distances.fid_from_statistics(one.mean, one.covariance, other.mean, other.covariance)

    whole, *left_out = (distance(*pair) for pair in zip(real, fake, strict=True))
    return uncertainty.jackknife(whole, left_out)


def kid(comparison: Comparison) -> Score:
    """The mean over subsets, with the jackknife of the MMD of all pairs."""
    settings = comparison.settings
    real, fake = comparison.real.features.features, comparison.fake.features.features
    value, _ = functions.kid(
        real, fake, settings.kid_subsets, settings.kid_subset_size, settings.seed
    )
    few = slice(_MOST_KERNEL_ROWS)
    left_out = functions.mmd_without_each_group(
        real[few], fake[few], comparison.real_groups[few], comparison.fake_groups[few]
    )
    return uncertainty.jackknife(value, left_out)


def inception_score(comparison: Comparison) -> Score:
    """Computed again without each group."""
    probabilities = comparison.fake.probabilities
    splits = comparison.settings.inception_splits

    def score(rows: np.ndarray) -> float:
        return functions.inception_score(probabilities[rows], splits)[0]

    return uncertainty.recomputed(score, comparison.fake_groups)


def sliced_wasserstein(comparison: Comparison) -> Score:
    """The mean over the levels of the pyramid; its interval is from disjoint parts."""
    settings = comparison.settings
    real, fake = comparison.real.data, comparison.fake.data

    def distance(real: np.ndarray, fake: np.ndarray) -> float:
        levels = patches.sliced_wasserstein(
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


def modes(comparison: Comparison) -> Score:
    """Share of the real classes that have a fake; `details` has both counts."""
    real, fake = comparison.real.probabilities, comparison.fake.probabilities
    hit, there, _ = functions.mode_coverage(real, fake)

    def share(rows: np.ndarray) -> float:
        return functions.mode_coverage(real, fake[rows])[0] / there

    score = uncertainty.recomputed(share, comparison.fake_groups, hit / there)
    return dataclasses.replace(score, details={"hit": hit, "there": there})


def mode_kl(comparison: Comparison) -> Score:
    """KL(fake ‖ real) of the shares of the classes."""
    real, fake = comparison.real.probabilities, comparison.fake.probabilities
    return uncertainty.recomputed(
        lambda rows: functions.mode_coverage(real, fake[rows])[2], comparison.fake_groups
    )


def copies(comparison: Comparison) -> Score:
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


def duplicates(comparison: Comparison) -> Score:
    """Share of fakes nearer to another than a tenth of the reals' median spacing."""
    limit = _SAME * np.median(comparison.manifolds.real_spacing)
    return uncertainty.mean(comparison.manifolds.fake_spacing <= limit, comparison.fake_groups)


def column_distance(comparison: Comparison) -> Score:
    """The mean over the columns; `details` names the worst."""
    of_columns = comparison.column_distances[0]
    worst = of_columns.argmax()
    details = {f"worst: {comparison.reference.columns[worst]}": float(of_columns[worst])}
    whole, *left_out = comparison.column_distances.mean(axis=1)
    return uncertainty.jackknife(whole, left_out, details)


def correlation_difference(comparison: Comparison) -> Score:
    """The mean over the pairs of columns; `details` names the worst pair."""
    one, other = np.triu_indices(comparison.real.data.shape[1], 1)

    def of_pairs(data: np.ndarray, groups: np.ndarray) -> np.ndarray:
        moments = uncertainty.moments_without_each_group(data, groups)
        return np.stack([columns.correlations(each)[one, other] for each in moments])

    real = of_pairs(comparison.real.data, comparison.real_groups)
    fake = of_pairs(comparison.fake.data, comparison.fake_groups)
    apart = np.abs(real - fake)
    worst = apart[0].argmax()
    names = (comparison.reference.columns[place] for place in (one[worst], other[worst]))
    whole, *left_out = apart.mean(axis=1)
    details = {f"worst: {', '.join(names)}": float(apart[0, worst])}
    return uncertainty.jackknife(whole, left_out, details)


def two_sample_accuracy(comparison: Comparison) -> Score:
    """Share of held-out rows that the classifier tells right."""
    real, fake = comparison.real.data, comparison.fake.data
    rows, right = columns.two_sample_test(real, fake, comparison.settings.seed)
    groups = [comparison.real_groups[rows[0]], comparison.fake_groups[rows[1]]]
    return uncertainty.mean(right.reshape(-1), np.concatenate(groups))
