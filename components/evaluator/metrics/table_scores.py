"""The scores of rows with their intervals, by the names that `registry` gives them."""

import numpy as np

from components.evaluator.evaluation import Score
from components.evaluator.metrics import uncertainty
from components.evaluator.metrics.comparison import Comparison
from components.evaluator.metrics.tables import columns, pairs

# Pairs of columns that are compared, at most, so that time does not grow with their square.
_MOST_PAIRS = 300


def column_distance(comparison: Comparison) -> Score:
    """The mean over the columns; `details` names the worst."""
    return _of_columns(comparison, comparison.column_distances, comparison.column_distances[0])


def column_shapes(comparison: Comparison) -> Score:
    """The mean over the columns; `details` names the worst."""
    found = comparison.each_without_a_group(
        lambda real, fake: columns.shapes(real, fake, comparison.reference.discrete)
    )
    return _of_columns(comparison, found, -found[0])


def pair_trends(comparison: Comparison) -> Score:
    """The mean over the pairs of columns, or over 300 at random; `details` names the worst pair."""
    discrete = comparison.reference.discrete
    real, fake = comparison.real.data, comparison.fake.data
    groups = comparison.real_groups, comparison.fake_groups
    one, other = pairs.choose(len(discrete), _MOST_PAIRS, comparison.settings.seed)
    found = np.empty((1 + comparison.groups, len(one)))
    ordered = ~(discrete[one] | discrete[other])
    if ordered.any():
        # Of the columns that are in a chosen pair only.
        used = np.unique(np.concatenate([one[ordered], other[ordered]]))
        at = np.searchsorted(used, one[ordered]), np.searchsorted(used, other[ordered])
        ours, theirs = (
            pairs.correlations_without_each_group(data[:, used], of_rows)[:, at[0], at[1]]
            for data, of_rows in zip((real, fake), groups, strict=True)
        )
        found[:, ordered] = 1 - np.abs(ours - theirs) / 2
    if not ordered.all():
        binned = pairs.binned(real, fake, discrete)
        for place in np.flatnonzero(~ordered):
            both = [one[place], other[place]]
            ours, theirs = (codes[:, both] for codes in binned)
            found[:, place] = pairs.contingency_similarities(ours, theirs, *groups)
    return _of_pairs(comparison, found, -found[0], (one, other))


def correlation_difference(comparison: Comparison) -> Score:
    """The mean over the pairs of columns with an order; `details` names the worst pair."""
    ordered = np.flatnonzero(~comparison.reference.discrete)
    one, other = np.triu_indices(len(ordered), 1)
    real, fake = (
        pairs.correlations_without_each_group(sample.data[:, ordered], groups)[:, one, other]
        for sample, groups in (
            (comparison.real, comparison.real_groups),
            (comparison.fake, comparison.fake_groups),
        )
    )
    apart = np.abs(real - fake)
    return _of_pairs(comparison, apart, apart[0], (ordered[one], ordered[other]))


def two_sample_accuracy(comparison: Comparison) -> Score:
    """Share of held-out rows that the classifier tells right."""
    rows, right = columns.two_sample_test(
        comparison.real.data,
        comparison.fake.data,
        comparison.reference.discrete,
        comparison.settings.seed,
    )
    groups = [comparison.real_groups[rows[0]], comparison.fake_groups[rows[1]]]
    return uncertainty.mean(right.reshape(-1), np.concatenate(groups))


def utility(comparison: Comparison) -> Score:
    """The ratio of the means over the targets; `details` has each target's two coefficients.

    The interval is that of other real rows; what is learnt from stays the same.
    """
    worth = comparison.utility
    assert worth is not None  # The metric needs `targets`.
    details = {}
    for place, name in enumerate(worth.targets):
        details[f"{name}, from fakes"] = float(worth.from_fake[0, place])
        details[f"{name}, from real rows"] = float(worth.from_train[0, place])
    whole, *left_out = worth.ratios
    return uncertainty.jackknife(whole, left_out, details)


def closest_record(comparison: Comparison) -> Score:
    """The ratio of the medians, or of the means where half of the real rows are in the train split.

    `exact` is the share of fakes that equal a row of the train split, `real exact` that of real
    rows.
    """
    reference = comparison.reference
    assert reference.train is not None  # The metric needs `distances to train`.
    fake, real = comparison.nearest_train[1][:, 0], reference.to_train
    middle = np.median if np.median(real) > 0 else np.mean

    def ratio(group: int) -> float:
        ours = real[comparison.real_groups != group]
        theirs = fake[comparison.fake_groups != group]
        # A group may hold all real rows that are not in the train split.
        return float(middle(theirs) / (middle(ours) or middle(real)))

    known = {row.tobytes() for row in np.ascontiguousarray(reference.train.data)}
    details = {
        name: float(np.mean([row.tobytes() in known for row in np.ascontiguousarray(sample.data)]))
        for name, sample in {"exact": comparison.fake, "real exact": comparison.real}.items()
    }
    left_out = [ratio(group) for group in range(comparison.groups)]
    return uncertainty.jackknife(float(middle(fake) / middle(real)), left_out, details)


def _of_columns(comparison: Comparison, found: np.ndarray, badness: np.ndarray) -> Score:
    worst = int(badness.argmax())
    name = comparison.reference.columns[worst].name
    whole, *left_out = found.mean(axis=1)
    return uncertainty.jackknife(whole, left_out, {f"worst: {name}": float(found[0, worst])})


def _of_pairs(
    comparison: Comparison,
    found: np.ndarray,
    badness: np.ndarray,
    places: tuple[np.ndarray, np.ndarray],
) -> Score:
    worst = int(badness.argmax())
    names = (comparison.reference.columns[each[worst]].name for each in places)
    whole, *left_out = found.mean(axis=1)
    details = {f"worst: {', '.join(names)}": float(found[0, worst])}
    return uncertainty.jackknife(whole, left_out, details)
