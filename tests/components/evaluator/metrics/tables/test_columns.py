"""The metrics of vectors against hand-made values, NumPy and SciPy."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import wasserstein_distance

from components.data.columns import Column
from components.evaluator.metrics import uncertainty
from components.evaluator.metrics.comparison import Comparison
from components.evaluator.metrics.reference import Reference, Sample
from components.evaluator.metrics.registry import score_all
from components.evaluator.metrics.settings import MetricSettings
from components.evaluator.metrics.tables import columns, trees
from components.features import Features

ORDERED = np.zeros(3, bool)
NAMES = ("column_distance", "correlation_difference", "two_sample_accuracy")


def rows(count, seed=0, width=3):
    """Correlated, skewed and whole numbers in very different units."""
    rng = np.random.default_rng(seed)
    normal = rng.normal(size=(count, 3))
    skewed = np.exp(normal[:, 0] + 0.5 * normal[:, 1])
    made = np.stack([1e4 + 1e3 * normal[:, 0], skewed, np.floor(5 * normal[:, 2] ** 2)], axis=1)
    return made[:, :width].astype(np.float32)


def compare(real, fake, names=None):
    real, fake = (Sample(data, Features(data, None)) for data in (real, fake))
    named = names and [Column(name=name) for name in names]
    reference = Reference(real, None, MetricSettings(), classes_are_labels=False, columns=named)
    return Comparison(reference, fake)


@pytest.mark.parametrize(
    ("real", "fake", "distance"),
    [
        pytest.param([0, 2], [1, 3], 1, id="shifted by one deviation"),
        pytest.param([0, 2], [2, 0, 0, 2], 0, id="the same in another order and number"),
        pytest.param([-3, 3], [0, 0, 0], 1, id="collapsed to the mean"),
        pytest.param([5, 5], [7, 7, 7], 2, id="of a constant, in its own unit"),
        pytest.param([5, 5], [5], 0, id="constant"),
        pytest.param([0.1] * 7, [0.1] * 3, 0, id="constant with rounding"),
    ],
)
def test_distances_are_those_of_hand(real, fake, distance):
    real, fake = (np.array(values, np.float32)[:, np.newaxis] for values in (real, fake))

    found = columns.distances(real, fake, columns.deviations(real), ORDERED[: real.shape[1]])

    assert found == pytest.approx([distance])


@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 30),
    st.integers(1, 30),
    st.floats(1e-3, 1e3),
    st.floats(-1e3, 1e3),
)
@settings(max_examples=50, deadline=None)
def test_distances_have_no_units(seed, count, other, scale, offset):
    real, fake = rows(count, seed).astype(np.float64), rows(other, seed + 1).astype(np.float64)
    real[0] += 1

    found = columns.distances(real, fake, columns.deviations(real), ORDERED[: real.shape[1]])
    moved = [data * scale + offset for data in (real, fake)]

    for place, distance in enumerate(found):
        oracle = wasserstein_distance(real[:, place], fake[:, place])
        if np.ptp(real[:, place]):
            oracle /= real[:, place].std()
        assert distance == pytest.approx(oracle)
    if count > 1:
        scaled = columns.distances(*moved, columns.deviations(moved[0]), ORDERED)
        varies = np.ptp(real, axis=0) > 1e-3
        assert scaled[varies] == pytest.approx(found[varies], rel=1e-3)


# What SDMetrics 0.32 finds of the weather, Seattle real and New York fake: KSComplement,
# TVComplement (which leave missing values out).
SHAPES = {
    "date": 1.0,
    "day": 1.0,
    "precipitation": 0.8952772073921971,
    "temp_max": 0.8740588637919233,
    "temp_min": 0.7433264887063655,
    "wind": 0.5761890767057574,
    "weather": 0.8257130163363928,
    "frost": 0.8685831622176591,
}


def test_shapes_are_those_of_sdmetrics_but_for_missing_values(weather):
    splits, known = weather
    real, fake = splits["Seattle"].data, splits["New York"].data
    discrete = np.array([column.kind.discrete for column in known])

    found = columns.shapes(real, fake, discrete)

    missing = [np.isnan(data).mean(axis=0) for data in (real, fake)]
    for place, column in enumerate(known):
        apart = 1 - SHAPES[column.name]
        if column.name == "wind":
            common = 1 - max(each[place] for each in missing)
            apart = common * apart + abs(missing[0][place] - missing[1][place])
        if column.name != "weather":
            assert found[place] == pytest.approx(1 - apart, abs=1e-12)
    frames = [pd.Series(data[:, discrete.argmax()]) for data in (real, fake)]
    shares = [frame.value_counts(normalize=True, dropna=False) for frame in frames]
    apart = shares[0].sub(shares[1], fill_value=0).abs().sum() / 2
    assert found[discrete.argmax()] == pytest.approx(1 - apart)
    there = [frame.dropna().value_counts(normalize=True) for frame in frames]
    apart = there[0].sub(there[1], fill_value=0).abs().sum() / 2
    assert 1 - apart == pytest.approx(SHAPES["weather"], abs=1e-12)


@pytest.mark.parametrize(
    ("real", "fake", "distance", "shape"),
    [
        pytest.param("aab", "abb", 1 / 3, 2 / 3, id="another share"),
        pytest.param("aa", "bb", 1, 0, id="nothing in common"),
        pytest.param("ab", "c", 1, 0, id="a category that is not real"),
        pytest.param("aa.", "a", 1 / 3, 2 / 3, id="missing is a category"),
        pytest.param("..", ".", 0, 1, id="all missing"),
    ],
)
def test_categories_are_compared_by_their_shares(real, fake, distance, shape):
    real, fake = (
        np.array([[np.nan if name == "." else ord(name)] for name in names])
        for names in (real, fake)
    )
    discrete = np.array([True])

    assert columns.distances(real, fake, np.ones(1), discrete) == pytest.approx([distance])
    assert columns.shapes(real, fake, discrete) == pytest.approx([shape])


@pytest.mark.parametrize(
    ("real", "fake", "distance", "shape"),
    [
        pytest.param([0, 2], [1, 3, np.nan, np.nan], 0.5 * 1 + 0.5, 0.25, id="half is missing"),
        pytest.param([0, np.nan], [np.nan, 0], 0, 1, id="missing as often"),
        pytest.param([0, 2], [np.nan], 1, 0, id="all is missing"),
        pytest.param([np.nan], [5], 1, 0, id="all real ones are missing"),
        pytest.param([np.nan], [np.nan] * 2, 0, 1, id="all are missing"),
    ],
)
def test_a_missing_number_is_as_far_as_a_deviation(real, fake, distance, shape):
    real, fake = (np.array(values, np.float64)[:, np.newaxis] for values in (real, fake))
    discrete = np.array([False])

    found = columns.distances(real, fake, columns.deviations(real), discrete)

    assert found == pytest.approx([distance])
    assert columns.shapes(real, fake, discrete) == pytest.approx([shape])


@pytest.mark.parametrize(
    ("real", "fake", "least", "most"),
    [
        pytest.param(rows(400), rows(400, 1), 0.4, 0.6, id="one distribution"),
        pytest.param(rows(400), rows(2000, 1), 0.4, 0.6, id="more fakes"),
        pytest.param(rows(400), rows(400, 1) + [0, 100, 0], 0.99, 1, id="apart"),
        pytest.param(rows(400), rows(400, 1)[::-1] * [1, 0, 1], 0.99, 1, id="collapsed"),
        pytest.param(rows(2), rows(2, 1), 0, 1, id="few"),
        pytest.param(np.ones((50, 1)), np.ones((50, 1)), 0.5, 0.5, id="all the same"),
    ],
)
def test_a_classifier_tells_what_there_is_to_tell(real, fake, least, most):
    taken, right = columns.two_sample_test(real, fake, ORDERED[: real.shape[1]], seed=0)

    assert least <= right.mean() <= most
    assert taken.shape == right.shape == (2, min(len(real), len(fake)))
    assert all(len(set(of_set)) == len(of_set) for of_set in taken)
    again = columns.two_sample_test(real, fake, ORDERED[: real.shape[1]], seed=0)
    assert (again[0] == taken).all()
    assert (again[1] == right).all()


def test_categories_are_told_by_their_names_and_not_by_their_order():
    """Even codes are real and odd ones fake: one split by name tells them."""
    rng = np.random.default_rng(0)
    real, fake = (2.0 * rng.integers(0, 8, (300, 1)) + place for place in (0, 1))

    _, right = columns.two_sample_test(real, fake, np.array([True]), 0)

    assert right.all()


@pytest.mark.parametrize("missing", [np.nan, 0.0])
def test_missing_values_are_told_from_others_and_not_from_themselves(missing):
    data = np.random.default_rng(0).normal(size=(600, 1))
    data[::3] = np.nan
    fake = data[300:].copy()
    fake[np.isnan(fake)] = missing

    _, right = columns.two_sample_test(data[:300], fake, np.array([False]), 0)

    assert right.mean() < 0.56 if np.isnan(missing) else right.mean() > 0.6


def test_the_scores_name_the_worst():
    real, fake = rows(300), rows(300, 1)
    fake[:, 2] += 1000
    fake[:, 0] = fake[::-1, 0]

    scores = score_all(compare(real, fake, ["height", "a_weight", "age"]), NAMES)

    assert list(scores["column_distance"].details) == ["worst: age"]
    of_columns = columns.distances(real, fake, columns.deviations(real), ORDERED[: real.shape[1]])
    assert scores["column_distance"].value == pytest.approx(of_columns.mean())
    assert scores["column_distance"].details["worst: age"] == pytest.approx(of_columns[2])
    correlations = [np.corrcoef(data.T.astype(np.float64)) for data in (real, fake)]
    apart = np.abs(correlations[0] - correlations[1])
    found = scores["correlation_difference"]
    assert found.value == pytest.approx(apart[np.triu_indices(3, 1)].mean())
    assert found.details == pytest.approx({"worst: height, a_weight": apart[0, 1]})
    assert list(score_all(compare(real, fake), NAMES)["column_distance"].details) == [
        "worst: column 2"
    ]


def test_one_column_has_no_correlations():
    scores = score_all(compare(rows(50, width=1), rows(50, 1, width=1)), NAMES)

    assert set(scores) == {"column_distance", "two_sample_accuracy"}


def test_the_scores_move_with_other_rows_as_much_as_their_intervals_say():
    found = [
        score_all(compare(rows(300, seed), rows(300, 100 + seed) * [1, 1.2, 1]), NAMES)
        for seed in range(12)
    ]
    for name in NAMES:
        errors = [np.std(scores[name].replicates, ddof=1) for scores in found]
        ratio = np.mean(errors) / np.std([scores[name].value for scores in found], ddof=1)
        assert 0.4 < ratio < 2.5, (name, ratio)


def test_a_change_is_seen_that_is_smaller_than_the_scores_are_sure():
    real, fake = rows(300), rows(300, 1)
    one, other = (
        score_all(compare(real, data), NAMES[:1])["column_distance"]
        for data in (fake + [0, 0, 8], fake + [0, 0, 9])
    )

    change = uncertainty.difference(other, one)

    assert one.low < other.value < one.high
    assert change.low > 0


def test_more_than_trees_can_split_by_are_the_rarest_categories_together():
    codes = np.concatenate([np.repeat(np.arange(300.0), 2), np.arange(250.0), [np.nan]])[:, None]

    made = trees.inputs(codes, np.array([True]))[:, 0]

    assert np.isnan(made[-1])
    assert len(set(made[:-1])) == 255
    assert len(set(made[:500:2]) | set(made[600:-1])) == 250
    assert set(made[520:600]) == {254}
