import math

import numpy as np
import pytest
from scipy import stats

from components.tuner.search import difference


@pytest.mark.parametrize(
    ("start", "other", "better"),
    [
        ([300, 310, 305], [40, 42, 38], True),
        ([40, 42, 38], [300, 310, 305], False),
        ([40, 42, 38], [39, 41, 37], False),
        # One seed that failed is no average.
        ([math.inf, 40, 42], [39, 41, 37], True),
        ([40, 42, 38], [math.inf, 1, 1], False),
        ([math.inf] * 3, [math.inf] * 3, False),
        ([40, 40], [39, 39], True),
    ],
)
def test_a_finalist_is_better_only_beyond_the_interval(start, other, better):
    low, high = difference(start, other)

    assert (low > 0) == better
    assert low <= high


def test_the_interval_is_welchs_with_bonferronis_level():
    rng = np.random.default_rng(0)
    start, other = rng.normal(50, 5, 4), rng.normal(40, 1, 3)
    variances = start.var(ddof=1) / 4, other.var(ddof=1) / 3
    freedom = sum(variances) ** 2 / (variances[0] ** 2 / 3 + variances[1] ** 2 / 2)
    half = stats.t.ppf(1 - 0.05 / 3 / 2, freedom) * sum(variances) ** 0.5
    gap = start.mean() - other.mean()

    assert difference(start, other, among=3) == pytest.approx((gap - half, gap + half))


def test_a_right_start_is_rarely_beaten_by_the_best_of_three():
    rng = np.random.default_rng(1)
    beaten = 0
    for _ in range(400):
        start, *others = rng.normal(50, 5, (4, 3))
        best = min(others, key=np.mean)
        beaten += difference(start, best, among=3)[0] > 0

    # 5 % at most, of which one side counts; with three standard deviations of chance.
    assert beaten / 400 < 0.05 + 3 * (0.05 * 0.95 / 400) ** 0.5
