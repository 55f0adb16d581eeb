"""Pairs of columns against NumPy, pandas, SciPy and SDMetrics."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from components.evaluator.metrics.tables import pairs
from components.features.distances import Moments


def rows(count, seed=0):
    """Correlated, skewed and whole numbers in very different units."""
    rng = np.random.default_rng(seed)
    normal = rng.normal(size=(count, 3))
    skewed = np.exp(normal[:, 0] + 0.5 * normal[:, 1])
    made = np.stack([1e4 + 1e3 * normal[:, 0], skewed, np.floor(5 * normal[:, 2] ** 2)], axis=1)
    return made.astype(np.float32)


@given(st.integers(0, 2**32 - 1), st.integers(4, 60))
@settings(max_examples=50, deadline=None)
def test_correlations_are_numpys(seed, count):
    data = rows(count, seed)
    data[:2] = [[0, 1, 2], [1e4, 3, 1]]

    found = pairs.correlations(Moments.of(data))

    np.testing.assert_allclose(found, np.corrcoef(data.T.astype(np.float64)), atol=1e-9)


@pytest.mark.parametrize("constant", [0, 0.1, 1e7 + 1])
def test_a_constant_column_correlates_with_nothing(constant):
    data = rows(97)
    data[:, 1] = constant
    parts = np.array_split(data, 7)
    moments = Moments.of(parts[0])
    for part in parts[1:]:
        moments = moments.merge(Moments.of(part))

    found = pairs.correlations(moments)

    assert found[1].tolist() == found[:, 1].tolist() == [0, 1, 0]
    assert np.isfinite(found).all()


@given(st.integers(0, 2**32 - 1), st.integers(6, 60), st.floats(0, 0.9))
@settings(max_examples=50, deadline=None)
def test_correlations_of_incomplete_rows_are_those_of_pandas(seed, count, share):
    data = rows(count, seed).astype(np.float64)
    rng = np.random.default_rng(seed)
    data[rng.random(data.shape) < share] = np.nan
    data[0] = np.nan
    groups = np.arange(count) % 3

    found = pairs.correlations_without_each_group(data, groups)

    for left_out, each in enumerate(found, start=-1):
        expected = pd.DataFrame(data[groups != left_out]).corr().to_numpy()
        known = ~np.isnan(expected)
        np.testing.assert_allclose(each[known], expected[known], atol=1e-6)
        assert (each[~known & ~np.eye(3, dtype=bool)] == 0).all()


# What SDMetrics 0.32 finds of the weather, Seattle real and New York fake: CorrelationSimilarity.
TRENDS = {
    ("temp_max", "temp_min"): 0.9570496656012186,
    ("precipitation", "wind"): 0.9004762003975655,
    ("day", "temp_max"): 0.9127802709297818,
    ("date", "wind"): 0.999760266474849,
}


def test_trends_are_those_of_sdmetrics(weather):
    splits, known = weather
    names = [column.name for column in known]
    for pair, expected in TRENDS.items():
        places = [names.index(name) for name in pair]
        ours, theirs = (
            pairs.correlations_without_each_group(
                splits[city].data[:, places], np.arange(1461) % 2
            )[0, 0, 1]
            for city in ("Seattle", "New York")
        )
        assert 1 - abs(ours - theirs) / 2 == pytest.approx(expected, abs=1e-9)


def test_contingency_is_that_of_sdmetrics(weather):
    splits, known = weather
    discrete = np.array([column.kind.discrete for column in known])
    binned = pairs.binned(splits["Seattle"].data, splits["New York"].data, discrete)
    groups = np.arange(1461) % 5

    ours, theirs = (codes[:, discrete] for codes in binned)

    found = pairs.contingency_similarities(ours, theirs, groups, groups)

    # SDMetrics 0.32, ContingencySimilarity of weather and frost.
    assert found[0] == pytest.approx(0.784394250513347, abs=1e-12)
    for group in range(5):
        kept = groups != group
        two = groups[kept] % 2
        again = pairs.contingency_similarities(ours[kept], theirs[kept], two, two)
        assert found[1 + group] == pytest.approx(again[0])


def test_contingency_of_many_categories_is_that_of_few(monkeypatch):
    rng = np.random.default_rng(0)
    real, fake = (rng.integers(0, 50, (400, 2)) for _ in range(2))
    groups = np.arange(400) % 4
    expected = pairs.contingency_similarities(real, fake, groups, groups)

    monkeypatch.setattr(pairs, "_MOST_CELLS", 10)

    found = pairs.contingency_similarities(real, fake, groups, groups)
    np.testing.assert_allclose(found, expected)


def test_bins_hold_equally_many_and_equal_values_stay_together():
    real = np.array([[value] for value in [*range(100), *[np.nan] * 5]], np.float64)
    dry = np.array([[value] for value in [0] * 60 + list(range(1, 41))], np.float64)

    made, fake = pairs.binned(real, np.array([[-7.0], [1e9], [np.nan]]), np.array([False]))
    of_dry, _ = pairs.binned(dry, dry, np.array([False]))

    assert np.bincount(made[:, 0]).tolist() == [5, *[10] * 10]
    assert fake[:, 0].tolist() == [1, 10, 0]
    assert np.bincount(of_dry[:, 0])[1] == 60


def test_associations_are_those_of_scipy(weather):
    splits, known = weather
    codes = splits["New York"].data
    discrete = np.array([column.kind.discrete for column in known])

    found = pairs.associations(codes, discrete)

    frame = pd.DataFrame(codes, columns=[column.name for column in known])
    ordered = frame.loc[:, ~discrete].corr().to_numpy()
    np.testing.assert_allclose(found[np.ix_(~discrete, ~discrete)], ordered, atol=1e-9)
    both = frame[["weather", "frost"]].dropna()
    cramer = stats.contingency.association(
        pd.crosstab(both["weather"], both["frost"]).to_numpy(np.int64), method="cramer"
    )
    assert found[6, 7] == found[7, 6] == pytest.approx(cramer)
    both = frame[["weather", "temp_max"]].dropna()
    # The correlation ratio is the root of the F test's share of explained variance.
    groups = [of["temp_max"] for _, of in both.groupby("weather")]
    f = stats.f_oneway(*groups).statistic
    between, within = len(groups) - 1, len(both) - len(groups)
    assert found[6, 3] == pytest.approx(np.sqrt(f * between / (f * between + within)))
    assert (np.diag(found) == 1).all()


@pytest.mark.parametrize("discrete", [[True, True], [True, False], [False, True], [False, False]])
@pytest.mark.parametrize(
    "column", [[1, 1, 1, 1], [np.nan] * 4, [np.nan, 1, np.nan, np.nan]], ids=str
)
def test_what_does_not_vary_is_associated_with_nothing(column, discrete):
    codes = np.stack([np.array(column, np.float64), [0.0, 1, 2, 0]], axis=1)

    found = pairs.associations(codes, np.array(discrete))

    assert found.tolist() == [[1, 0], [0, 1]]


def test_of_many_pairs_some_are_chosen_by_the_seed():
    every = pairs.choose(5, 10, 0)
    some, again, others = (
        list(zip(*pairs.choose(400, 300, seed), strict=True)) for seed in (0, 0, 1)
    )

    assert list(zip(*every, strict=True)) == list(zip(*np.triu_indices(5, 1), strict=True))
    assert some == again != others
    assert len(set(some)) == 300
    assert all(one < other < 400 for one, other in some)
