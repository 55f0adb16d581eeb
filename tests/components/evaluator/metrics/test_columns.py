"""The metrics of vectors against hand-made values, NumPy and SciPy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import wasserstein_distance

from components.evaluator.metrics import columns, uncertainty
from components.evaluator.metrics.comparison import Comparison, MetricSettings, Reference, Sample
from components.evaluator.metrics.registry import score_all
from components.features import Features
from components.features.distances import Moments

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
    reference = Reference(real, None, MetricSettings(), classes_are_labels=False, columns=names)
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

    found = columns.distances(real, fake, columns.deviations(real))

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

    found = columns.distances(real, fake, columns.deviations(real))
    moved = [data * scale + offset for data in (real, fake)]

    for place, distance in enumerate(found):
        oracle = wasserstein_distance(real[:, place], fake[:, place])
        if np.ptp(real[:, place]):
            oracle /= real[:, place].std()
        assert distance == pytest.approx(oracle)
    if count > 1:
        scaled = columns.distances(*moved, columns.deviations(moved[0]))
        varies = np.ptp(real, axis=0) > 1e-3
        assert scaled[varies] == pytest.approx(found[varies], rel=1e-3)


@given(st.integers(0, 2**32 - 1), st.integers(4, 60))
@settings(max_examples=50, deadline=None)
def test_correlations_are_numpys(seed, count):
    data = rows(count, seed)
    data[:2] = [[0, 1, 2], [1e4, 3, 1]]

    found = columns.correlations(Moments.of(data))

    np.testing.assert_allclose(found, np.corrcoef(data.T.astype(np.float64)), atol=1e-9)


@pytest.mark.parametrize("constant", [0, 0.1, 1e7 + 1])
def test_a_constant_column_correlates_with_nothing(constant):
    data = rows(97)
    data[:, 1] = constant
    parts = np.array_split(data, 7)
    moments = Moments.of(parts[0])
    for part in parts[1:]:
        moments = moments.merge(Moments.of(part))

    found = columns.correlations(moments)

    assert found[1].tolist() == found[:, 1].tolist() == [0, 1, 0]
    assert np.isfinite(found).all()


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
    taken, right = columns.two_sample_test(real, fake, seed=0)

    assert least <= right.mean() <= most
    assert taken.shape == right.shape == (2, min(len(real), len(fake)))
    assert all(len(set(of_set)) == len(of_set) for of_set in taken)
    again = columns.two_sample_test(real, fake, seed=0)
    assert (again[0] == taken).all()
    assert (again[1] == right).all()


def test_the_scores_name_the_worst():
    real, fake = rows(300), rows(300, 1)
    fake[:, 2] += 1000
    fake[:, 0] = fake[::-1, 0]

    scores = score_all(compare(real, fake, ["height", "a_weight", "age"]), NAMES)

    assert list(scores["column_distance"].details) == ["worst: age"]
    of_columns = columns.distances(real, fake, columns.deviations(real))
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
