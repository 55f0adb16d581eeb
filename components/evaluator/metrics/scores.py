"""The scores of a comparison with their intervals, by the names that `registry` gives them."""

import numpy as np
from scipy import stats

from components.evaluator.evaluation import Score
from components.evaluator.metrics import functions, uncertainty
from components.evaluator.metrics import sliced_wasserstein as patches
from components.evaluator.metrics.comparison import Comparison
from components.evaluator.metrics.reference import Sample
from components.features import distances

# What is too near to a training example: nearer than all but this share of them are to others.
_TAIL = 0.01
_SIGNIFICANT = 1e-3
# A class is made if the fakes have 1 in 4 of what the data have.
_MADE_FROM = 4
# An FID a class and a group: fewer groups than of the other metrics.
_GROUPS_OF_A_CLASS = 5
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

    whole, *left_out = (_distance(*pair) for pair in zip(real, fake, strict=True))
    return uncertainty.jackknife(whole, left_out)


def kid(comparison: Comparison) -> Score:
    """The mean over subsets, with the jackknife of the MMD of all pairs."""
    settings = comparison.settings
    real, fake = comparison.real.features.features, comparison.fake.features.features
    value, _ = functions.kid(
        real, fake, settings.kid_subsets, settings.kid_subset_size, settings.seed
    )
    few = [
        _random_rows(len(sample), _MOST_KERNEL_ROWS, settings.seed)
        for sample in (comparison.real, comparison.fake)
    ]
    left_out = functions.mmd_without_each_group(
        real[few[0]],
        fake[few[1]],
        comparison.real_groups[few[0]],
        comparison.fake_groups[few[1]],
    )
    return uncertainty.jackknife(value, left_out)


def inception_score(comparison: Comparison) -> Score:
    """Computed again without each group."""
    probabilities = comparison.fake.probabilities
    # Each needs an image, also without the largest group.
    fewest = len(probabilities) - np.bincount(comparison.fake_groups).max()
    splits = min(comparison.settings.inception_splits, fewest)

    def score(rows: np.ndarray) -> float:
        return functions.inception_score(probabilities[rows], splits)[0]

    return uncertainty.recomputed(score, comparison.fake_groups)


def sliced_wasserstein(comparison: Comparison) -> Score:
    """The mean over the levels of the pyramid; its interval is from disjoint parts."""
    settings = comparison.settings
    # The patches of as many of each are compared, and data may be in the order of their classes.
    count = min(len(comparison.real), len(comparison.fake))
    rows = [
        _random_rows(len(sample), count, settings.seed)
        for sample in (comparison.real, comparison.fake)
    ]
    real, fake = comparison.real.data[rows[0]], comparison.fake.data[rows[1]]

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
    groups = comparison.real_groups[rows[0]], comparison.fake_groups[rows[1]]
    in_part = [of_sample % parts for of_sample in groups]
    return uncertainty.subsets(
        distance(real, fake),
        [distance(real[in_part[0] == part], fake[in_part[1] == part]) for part in range(parts)],
    )


def modes(comparison: Comparison) -> Score:
    """Share of the real classes that the fakes have; `details` has both counts.

    A class is missing if the fakes have less than a quarter of its real share, the extractor's
    confusion taken off, and chance explains so few of them in less than one case of a thousand.
    The interval ends where the classes are that are missing or there for certain.
    """
    real, fake = (_classes(sample) for sample in (comparison.real, comparison.fake))
    classes = comparison.real.probabilities.shape[1]
    labels = comparison.real.features.labels
    labels = real if labels is None else labels
    expected = np.bincount(labels, minlength=classes) / len(labels)
    there = expected > 0

    def shares(rows: np.ndarray) -> np.ndarray:
        return functions.class_shares(labels, real, fake[rows], classes)

    whole = shares(np.ones(len(fake), bool))
    groups = comparison.groups
    left_out = np.stack([shares(comparison.fake_groups != group) for group in range(groups)])
    reach = stats.t.ppf(0.975, groups - 1) * np.sqrt(groups - 1) * left_out.std(axis=0)
    said, usual = (np.bincount(sample, minlength=classes) for sample in (fake, real))
    # Fisher's exact test: the shares of few real images are uncertain too.
    unlikely = (
        stats.hypergeom.cdf(said, len(real) + len(fake), said + usual, len(fake)) < _SIGNIFICANT
    )

    def made(shares: np.ndarray) -> float:
        return float(np.mean(~((shares < expected / _MADE_FROM) & unlikely)[there]))

    hit = made(whole)
    details = {"hit": round(hit * there.sum()), "there": int(there.sum())}
    return Score(
        hit,
        low=min(hit, made(whole - reach)),
        high=max(hit, made(whole + reach)),
        details=details,
        replicates=np.full(groups, hit),
    )


def mode_kl(comparison: Comparison) -> Score:
    """KL(fake ‖ real) of the shares of the classes.

    `p_value` is that of both having the same classes (Pearson's chi-square test).
    """
    real, fake = comparison.real.probabilities, comparison.fake.probabilities
    counts = np.stack(
        [
            np.bincount(_classes(sample), minlength=real.shape[1])
            for sample in (comparison.real, comparison.fake)
        ]
    )
    counts = counts[:, counts.any(axis=0)]
    p_value = stats.chi2_contingency(counts, correction=False)[1] if counts.shape[1] > 1 else 1.0
    left_out = [
        functions.mode_coverage(
            real[comparison.real_groups != group], fake[comparison.fake_groups != group]
        )[2]
        for group in range(comparison.groups)
    ]
    value = functions.mode_coverage(real, fake)[2]
    return uncertainty.jackknife(value, left_out, {"p_value": float(p_value)})


def class_accuracy(comparison: Comparison) -> Score:
    """Share of samples in the class that was asked for, as the extractor sees it.

    `real` is the same share of real data with their labels, `chance` that of samples which have
    nothing to do with what was asked for.
    """
    asked = comparison.asked_sample
    labels, predicted = asked.labels, _classes(asked)
    real, classes = comparison.real, asked.probabilities.shape[1]
    shares = [np.bincount(x, minlength=classes) / len(x) for x in (labels, predicted)]
    details = {
        "real": float(np.mean(_classes(real) == real.labels)),
        "chance": float(shares[0] @ shares[1]),
    }
    groups = uncertainty.assign(len(asked), comparison.groups, comparison.settings.seed)
    return uncertainty.mean(predicted == labels, groups, details)


def intra_class_fid(comparison: Comparison) -> Score:
    """The mean over the large classes; `details` names the worst.

    Miyato and Koyama, "cGANs with Projection Discriminator", 2018, section 4.
    """
    sets = [
        (sample.features.features, sample.labels)
        for sample in (comparison.real, comparison.asked_sample)
    ]
    classes = comparison.large_classes

    def of_class(label: int) -> list[float]:
        moments = [
            uncertainty.moments_without_each_group(
                features[labels == label],
                uncertainty.assign(
                    int(np.sum(labels == label)), _GROUPS_OF_A_CLASS, comparison.settings.seed
                ),
            )
            for features, labels in sets
        ]
        return [_distance(*pair) for pair in zip(*moments, strict=True)]

    distances_of = np.array([of_class(label) for label in classes])
    worst = distances_of[:, 0].argmax()
    whole, *left_out = distances_of.mean(axis=0)
    details = {f"worst: {classes[worst]}": float(distances_of[worst, 0])}
    return uncertainty.jackknife(whole, left_out, details)


def copies(comparison: Comparison) -> Score:
    """Share of fakes nearer to a training example than all but 1 % of these are to another.

    Of images, 2500 fakes are looked at.

    `real` is that share of the training examples themselves, which is larger where many coincide,
    as in tables of whole numbers; `excess_p` is the p-value of the fakes' share being no larger
    (Fisher's exact test).
    """
    fake, known = comparison.nearest_train[1][:, 0], comparison.reference.train_spacing
    limit = max(np.quantile(known, _TAIL), _ROUNDING * np.median(known))
    groups = comparison.fake_groups[comparison.searched]
    return _share_beside(fake <= limit, known <= limit, groups)


def nearer_to_train(comparison: Comparison) -> Score:
    """Meehan et al., "A Non-Parametric Test to Detect Data-Copying", 2020, section 3.

    `p_value` is that of fakes being no nearer to the train split than held-out real ones are
    (one-sided Mann-Whitney).
    """
    fake, real = comparison.nearest_train[1][:, 0], comparison.reference.to_train
    p_value = stats.mannwhitneyu(fake, real, alternative="less").pvalue
    ordered = np.sort(real)
    # Ties count half.
    further = len(real) - np.searchsorted(ordered, fake, "right")
    tied = len(real) - further - np.searchsorted(ordered, fake, "left")
    nearer = (further + tied / 2) / len(real)
    groups = comparison.fake_groups[comparison.searched]
    return uncertainty.mean(nearer, groups, {"p_value": float(p_value)})


def duplicates(comparison: Comparison) -> Score:
    """Share of fakes nearer to another than a tenth of the reals' median spacing.

    Details as those of `copies`, of the real ones among themselves.
    """
    real, fake = comparison.spacings
    limit = _SAME * np.median(real)
    groups = comparison.fake_groups[: len(fake)]
    return _share_beside(fake <= limit, real <= limit, groups)


def _distance(one: distances.Moments, other: distances.Moments) -> float:
    return distances.fid_from_statistics(one.mean, one.covariance, other.mean, other.covariance)


def _classes(sample: Sample) -> np.ndarray:
    """The most probable class of each, int64 [n]."""
    return sample.probabilities.argmax(axis=1)


def _random_rows(count: int, most: int, seed: int) -> np.ndarray:
    """At most `most` rows of `count`: data may be in the order of their classes."""
    return np.random.default_rng(seed).permutation(count)[:most]


def _share_beside(fake: np.ndarray, real: np.ndarray, groups: np.ndarray) -> Score:
    """The share of fakes for which `fake` is true, bool [m], beside that of real ones, bool [n]."""
    hits = [int(np.sum(x)) for x in (fake, real)]
    table = [[hits[0], len(fake) - hits[0]], [hits[1], len(real) - hits[1]]]
    details = {
        "real": float(np.mean(real)),
        "excess_p": float(stats.fisher_exact(table, alternative="greater")[1]),
    }
    # Of these samples, which may be fewer than all.
    return uncertainty.with_exact_ends(uncertainty.mean(fake, groups, details), len(fake))
