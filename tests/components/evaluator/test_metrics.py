"""The metric cores against closed forms, brute force and other implementations."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prdc import compute_prdc

from components.evaluator import metrics

seeds = st.integers(0, 2**32 - 1)
sizes = st.tuples(st.integers(4, 40), st.integers(4, 40), st.integers(1, 12))


def gaussian(rows, columns, seed=0, shift=0.0, scale=1.0):
    rng = np.random.default_rng(seed)
    return rng.normal(shift, scale, (rows, columns)).astype(np.float32)


def two_sets(size, seed):
    rows, other_rows, columns = size
    return gaussian(rows, columns, seed), gaussian(other_rows, columns, seed + 1, 0.5, 2.0)


def probabilities_of(rows, columns, seed):
    return np.random.default_rng(seed).dirichlet(np.full(columns, 0.3), rows)


@pytest.mark.parametrize(
    ("real", "fake"),
    [
        pytest.param(gaussian(5, 64), gaussian(7, 64, 1), id="fewer rows than columns"),
        pytest.param(gaussian(50, 4), np.ones((50, 4)), id="collapsed to one image"),
        pytest.param(gaussian(50, 2) @ [[1, 1, 0], [0, 1, 0]], gaussian(50, 3), id="singular"),
        pytest.param(np.full((50, 3), 1e6), np.full((50, 3), 1e6), id="both constant"),
    ],
)
def test_degenerate_features_give_finite_scores(real, fake):
    scores = [
        *metrics.kid(real, fake, subsets=5),
        *metrics.precision_recall(real, fake),
    ]

    assert np.isfinite(scores).all()


def test_a_collapsed_generator_covers_nothing():
    real = gaussian(50, 4)
    fake = np.tile(real.mean(axis=0, dtype=np.float64), (50, 1))

    assert metrics.recall(real, fake) == 0


def test_kid_is_the_mmd_within_its_standard_error():
    real, fake = gaussian(500, 8), gaussian(500, 8, 1, 0.2)

    mean, standard_error = metrics.kid(real, fake, subsets=200, subset_size=100)

    assert standard_error > 0
    assert mean == pytest.approx(metrics.polynomial_mmd(real, fake), abs=4 * standard_error)
    assert (mean, standard_error) == metrics.kid(real, fake, subsets=200, subset_size=100)
    assert mean != metrics.kid(real, fake, subsets=200, subset_size=100, seed=1)[0]


def test_kid_of_one_distribution_is_around_zero():
    mean, standard_error = metrics.kid(gaussian(2000, 8), gaussian(2000, 8, 1), subset_size=200)

    assert abs(mean) < 10 * standard_error < 0.05


def test_kid_takes_no_subset_that_is_the_whole_set():
    real, fake = gaussian(60, 4), gaussian(40, 4, 1, 0.5)

    assert metrics.kid(real, fake) == metrics.kid(real, fake, subset_size=20)
    assert metrics.kid(real, fake)[1] > 0


@pytest.mark.parametrize(
    ("probabilities", "expected"),
    [
        pytest.param(np.eye(10)[np.arange(200) % 10], 10, id="sure, all classes"),
        pytest.param(np.eye(10)[np.zeros(200, int)], 1, id="sure, one class"),
        pytest.param(np.full((200, 10), 0.1), 1, id="unsure"),
        # KL of (0.9, 0.1) from (0.5, 0.5).
        pytest.param(
            np.array([[0.9, 0.1], [0.1, 0.9]] * 50),
            np.exp(0.9 * np.log(1.8) + 0.1 * np.log(0.2)),
            id="two classes",
        ),
    ],
)
def test_inception_score_in_closed_form(probabilities, expected):
    mean, spread = metrics.inception_score(probabilities)

    assert mean == pytest.approx(expected, rel=1e-12)
    assert spread == pytest.approx(0, abs=1e-12)


@given(st.integers(10, 60), st.integers(2, 12), st.integers(1, 10), seeds)
@settings(deadline=None, max_examples=50)
def test_inception_score_lies_between_one_and_the_number_of_classes(rows, classes, splits, seed):
    mean, spread = metrics.inception_score(probabilities_of(rows, classes, seed), splits)

    assert 1 - 1e-9 <= mean <= classes + 1e-9
    assert spread >= 0


def test_inception_score_is_the_mean_over_the_parts():
    probabilities = probabilities_of(30, 5, 0)
    parts = [metrics.inception_score(part, 1)[0] for part in np.split(probabilities, 3)]

    expected = pytest.approx((np.mean(parts), np.std(parts)))

    assert metrics.inception_score(probabilities, 3) == expected


@given(sizes, seeds, st.integers(1, 3))
@settings(deadline=None, max_examples=30)
def test_precision_and_recall_agree_with_prdc(size, seed, k):
    real, fake = (rows.astype(np.float64) for rows in two_sets(size, seed))
    if k + 1 >= min(len(real), len(fake)):
        k = 1
    expected = compute_prdc(real, fake, k)

    found = metrics.precision_recall(real, fake, k)

    assert found == pytest.approx((expected["precision"], expected["recall"]))


def test_precision_and_recall_are_told_apart():
    real = gaussian(300, 2)
    inner = gaussian(300, 2, 1, scale=0.1)

    precision, recall = metrics.precision_recall(real, inner)

    # All fakes look real; they cover little of the data.
    assert precision == 1
    assert recall < 0.2
    assert metrics.precision_recall(inner, real) == (recall, precision)
    assert metrics.recall(real, inner) == recall


@pytest.mark.parametrize(("at", "expected"), [(3.0, 1.0), (3.0 + 1e-6, 0.0)])
def test_a_ball_includes_its_border(at, expected):
    # With k = 1 the ball of the last point reaches from 1 to 3.
    real = np.array([[0.0], [1.0], [2.0]])

    assert metrics.precision(real, np.array([[at]] * 2), k=1) == expected


def test_copies_lie_in_balls_without_extent():
    real = np.repeat(gaussian(10, 64) * 100 + 1000, 5, axis=0)

    assert metrics.precision_recall(real, real[::-1]) == (1, 1)


def test_ten_thousand_images_need_little_memory():
    real, fake = gaussian(10_000, 64), gaussian(10_000, 64, 1)
    tracemalloc.start()

    metrics.precision(real, fake)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    # The whole matrix of distances would be 800 MB.
    assert peak < 100e6


ALL_OF_FEATURES = [
    pytest.param(function, id=function.__name__)
    for function in (metrics.kid, metrics.precision_recall)
]
NAN = np.where(np.eye(20, 3) > 0, np.nan, 0.0)


@pytest.mark.parametrize("function", ALL_OF_FEATURES)
@pytest.mark.parametrize(
    ("real", "fake", "message"),
    [
        (gaussian(20, 3), gaussian(20, 4), "fake: 4 features, expected 3 as in real"),
        (gaussian(20, 3)[0], gaussian(20, 3), r"real: shape \[3\], expected \[n, d\]"),
        (gaussian(20, 3), gaussian(1, 3), "fake: 1 rows, at least"),
        (np.empty((0, 3)), gaussian(20, 3), "real: 0 rows, at least"),
        (NAN, gaussian(20, 3), "real: holds NaN or infinity"),
        (gaussian(20, 3), np.full((20, 3), np.inf), "fake: holds NaN or infinity"),
    ],
)
def test_features_that_have_no_score_are_refused(function, real, fake, message):
    with pytest.raises(ValueError, match=message):
        function(real, fake)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: metrics.inception_score(np.full((9, 2), 0.5)), "9 rows, at least 10"),
        (lambda: metrics.inception_score(np.full((20, 2), 0.6)), "sum to 1"),
        (lambda: metrics.inception_score(np.tile([1.5, -0.5], (20, 1))), "must be 0 or more"),
        (lambda: metrics.inception_score(np.full((20, 2), 0.5), 0), "splits: 0"),
        (lambda: metrics.precision(gaussian(20, 2), gaussian(20, 2), 0), "k: 0"),
        (lambda: metrics.kid(gaussian(20, 2), gaussian(20, 2), subsets=1), "subsets"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
