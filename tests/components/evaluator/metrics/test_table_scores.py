"""The scores of mixed tables: faults planted into real rows, what they need, their intervals."""

import numpy as np
import pytest

from components.evaluator.metrics import uncertainty
from components.evaluator.metrics.comparison import Comparison
from components.evaluator.metrics.reference import Reference, Sample
from components.evaluator.metrics.registry import METRICS, score_all
from components.evaluator.metrics.settings import MetricSettings
from components.features import Features

NAMES = (
    "column_distance",
    "column_shapes",
    "pair_trends",
    "correlation_difference",
    "two_sample_accuracy",
    "utility",
    "closest_record",
)


@pytest.fixture(scope="module")
def compare(weather):
    """Compares rows with 300 days of Seattle; others are the train split."""
    splits, columns = weather
    codes = splits["Seattle"].data[np.random.default_rng(0).permutation(1461)]
    discrete = [column.kind.discrete for column in columns]
    spread = np.where(discrete, 1, np.nanstd(codes, axis=0))

    def sample(data, places):
        scaled = np.nan_to_num(data / spread)[:, places].astype(np.float32)
        return Sample(data[:, places], Features(scaled, None))

    real, train, other = codes[:300], codes[300:900], codes[900:1400]
    settings = MetricSettings(groups=10)

    def run(fault, *, trained=True, places=slice(None)):
        given = fault(other, train)
        reference = Reference(
            sample(real, places),
            sample(train, places) if trained else None,
            settings,
            classes_are_labels=False,
            columns=columns[places],
        )
        return Comparison(reference, sample(given, places))

    return run


def other_days(other, train):
    return other


def copied(other, train):
    return train


def shuffled(other, train):
    return np.random.default_rng(0).permuted(other, axis=0)


def only_sun(other, train):
    made = other.copy()
    made[:, 6] = 4
    return made


def never_missing(other, train):
    made = other.copy()
    made[np.isnan(made[:, 5]), 5] = 3.0
    return made


@pytest.fixture(scope="module")
def scored(compare):
    faults = (other_days, copied, shuffled, only_sun, never_missing)
    return {fault: score_all(compare(fault), NAMES) for fault in faults}


@pytest.mark.parametrize(
    ("fault", "worse"),
    [
        (copied, {"closest_record"}),
        (shuffled, {"pair_trends", "correlation_difference", "two_sample_accuracy", "utility"}),
        (only_sun, {"column_distance", "column_shapes", "pair_trends", "two_sample_accuracy"}),
    ],
)
def test_a_planted_fault_is_seen_by_what_it_is(scored, fault, worse):
    good, bad = scored[other_days], scored[fault]

    for name in NAMES:
        sign = 1 if METRICS.get(name).higher_is_better else -1
        beyond = sign * good[name].value - sign * bad[name].value
        apart = beyond > max(good[name].high - good[name].value, 0.01)
        # What is nearer to no record than real days is no fault of this score.
        if name in worse:
            assert apart, (name, good[name], bad[name])
        elif name not in ("utility", "closest_record"):
            assert beyond < good[name].high - good[name].low, (name, good[name], bad[name])


def test_values_that_are_never_missing_are_named(scored):
    score = scored[never_missing]["column_shapes"]

    assert list(score.details) == ["worst: wind"]
    assert score.value < scored[other_days]["column_shapes"].value
    assert list(scored[only_sun]["pair_trends"].details)[0].endswith("weather")


def test_copies_of_rows_are_counted(scored):
    assert scored[copied]["closest_record"].value == 0
    assert scored[copied]["closest_record"].details == {"exact": 1, "real exact": 0}
    assert scored[other_days]["closest_record"].details == {"exact": 0, "real exact": 0}
    assert 0.7 < scored[other_days]["closest_record"].value < 1.4


@pytest.mark.parametrize(
    ("places", "trained", "expected"),
    [
        (slice(None), True, set(NAMES)),
        (slice(None), False, set(NAMES) - {"utility", "closest_record"}),
        (slice(6, 8), False, {"column_distance", "column_shapes", "pair_trends"}),
        (slice(3, 4), False, {"column_distance", "column_shapes"}),
        (slice(5, 7), False, {"column_distance", "column_shapes", "pair_trends"}),
    ],
    ids=["mixed", "no train split", "discrete", "one column", "a number and a category"],
)
def test_scores_are_there_where_they_can_be(compare, places, trained, expected):
    scores = score_all(compare(other_days, trained=trained, places=places), NAMES)

    assert set(scores) == expected | {"two_sample_accuracy"}
    for name, score in scores.items():
        assert score.low <= score.value <= score.high, name
        assert METRICS.get(name).range[0] <= score.low <= score.high <= METRICS.get(name).range[1]


def test_no_more_pairs_are_compared_than_are_chosen(compare, monkeypatch):
    comparison = compare(other_days)
    every = score_all(comparison, ["pair_trends"])["pair_trends"]

    monkeypatch.setattr("components.evaluator.metrics.table_scores._MOST_PAIRS", 9)

    some = score_all(comparison, ["pair_trends"])["pair_trends"]
    assert some.value != every.value
    assert some.value == pytest.approx(every.value, abs=0.1)


def test_intervals_are_as_wide_as_scores_vary(weather):
    splits, columns = weather
    codes = splits["New York"].data
    discrete = np.array([column.kind.discrete for column in columns])
    found = []
    for seed in range(10):
        parts = np.array_split(np.random.default_rng(seed).permutation(len(codes)), 4)
        real, fake, train = (codes[part] for part in parts[:3])
        samples = [
            Sample(data, Features(np.nan_to_num(data[:, 2:6]).astype(np.float32), None))
            for data in (real, fake, train)
        ]
        reference = Reference(
            samples[0], samples[2], MetricSettings(), classes_are_labels=False, columns=columns
        )
        names = ("column_shapes", "pair_trends", "closest_record")
        found.append(score_all(Comparison(reference, samples[1]), names))
    assert discrete.any()
    for name in found[0]:
        errors = [np.std(scores[name].replicates, ddof=1) for scores in found]
        ratio = np.mean(errors) / np.std([scores[name].value for scores in found], ddof=1)
        assert 0.5 < ratio < 3, (name, ratio)


def test_a_change_of_utility_has_an_interval(compare):
    one, other = (
        score_all(compare(fault), ["utility"])["utility"] for fault in (other_days, copied)
    )

    assert uncertainty.difference(one, other).low < uncertainty.difference(one, other).high
