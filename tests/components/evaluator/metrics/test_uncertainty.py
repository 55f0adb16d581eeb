"""The intervals: against what is known of the mean, and against what other samples would say."""

import numpy as np
import pytest
from scipy import stats

from components.evaluator.evaluation import Score
from components.evaluator.metrics import uncertainty
from components.features.distances import Moments


def test_groups_are_random_and_of_one_size():
    groups = uncertainty.assign(103, 10, seed=0)

    assert sorted(np.bincount(groups)) == [10] * 7 + [11] * 3
    assert (groups == uncertainty.assign(103, 10, seed=0)).all()
    assert (groups != uncertainty.assign(103, 10, seed=1)).any()


def test_with_a_group_for_each_image_the_mean_has_its_textbook_interval():
    values = np.random.default_rng(0).gamma(2.0, size=50)

    score = uncertainty.mean(values, np.arange(50))

    reach = stats.t.ppf(0.975, 49) * values.std(ddof=1) / np.sqrt(50)
    assert score.value == pytest.approx(values.mean())
    assert (score.low, score.high) == pytest.approx((values.mean() - reach, values.mean() + reach))


@pytest.mark.parametrize(
    ("statistic", "truth"),
    [
        pytest.param(np.mean, 1.0, id="mean"),
        pytest.param(np.std, 1.0, id="standard deviation"),
        pytest.param(lambda x: np.mean(x) ** 2, 1.0, id="square of the mean"),
    ],
)
def test_about_95_of_100_intervals_hold_the_truth(statistic, truth):
    rng = np.random.default_rng(0)
    groups = uncertainty.assign(200, 20, seed=0)
    held = 0
    for _ in range(400):
        values = rng.normal(1.0, 1.0, 200)
        score = uncertainty.recomputed(lambda rows, x=values: float(statistic(x[rows])), groups)
        held += score.low <= truth <= score.high

    assert 0.91 < held / 400 < 0.98


def test_values_of_disjoint_parts_give_an_interval_too():
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(400):
        values = rng.normal(1.0, 1.0, (10, 20))
        score = uncertainty.subsets(values.mean(), values.mean(axis=1))
        held += score.low <= 1.0 <= score.high

    assert 0.91 < held / 400 < 0.98


def test_what_two_scores_share_cancels_in_their_difference():
    rng = np.random.default_rng(0)
    shared = rng.normal(0.0, 10.0, 300)
    groups = uncertainty.assign(300, 20, seed=0)
    one, other = (uncertainty.mean(shared + rng.normal(d, 0.1, 300), groups) for d in (0.5, 0.0))

    change = uncertainty.difference(one, other)

    assert one.low < other.value < one.high, "each is far too uncertain to tell them apart"
    assert 0.4 < change.low < 0.5 < change.high < 0.6
    assert uncertainty.difference(one, one).low == 0


@pytest.mark.parametrize("count", [2, 3, 7, 20])
def test_moments_without_each_group_are_those_of_the_other_rows(count):
    # One group's rows are so large that subtracting them would leave nothing of the others.
    features = np.random.default_rng(0).normal(size=(100, 4))
    groups = uncertainty.assign(100, count, seed=0)
    features[groups == 1] *= 1e9

    found = uncertainty.moments_without_each_group(features, groups)

    for _ in range(2):
        whole, *left_out = found
        assert len(left_out) == count
        for moments, rows in zip(
            [whole, *left_out],
            [groups >= 0, *(groups != group for group in range(count))],
            strict=True,
        ):
            expected = Moments.of(features[rows])
            assert moments.count == expected.count
            np.testing.assert_allclose(moments.mean, expected.mean, rtol=1e-9)
            np.testing.assert_allclose(
                moments.covariance,
                expected.covariance,
                rtol=1e-9,
                atol=1e-12 * expected.covariance.max(),
            )


@pytest.mark.parametrize(
    ("value", "count", "low", "high"),
    [
        (0.0, 100, 0.0, 0.0362),
        (1.0, 100, 0.9638, 1.0),
        (0.5, 100, 0.4, 0.6),
        (0.0, 10, 0.0, 0.3085),
    ],
)
def test_a_share_of_none_or_all_has_clopper_pearsons_end(value, count, low, high):
    given = Score(value, *((0.4, 0.6) if value == 0.5 else (value, value)))

    found = uncertainty.with_exact_ends(given, count)

    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-4)
