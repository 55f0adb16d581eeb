"""Distances of sets of features against closed forms, brute force and other implementations."""

import doctest
import functools
import tracemalloc

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st

from components.features import distances

seeds = st.integers(0, 2**32 - 1)
sizes = st.tuples(st.integers(4, 40), st.integers(4, 40), st.integers(1, 12))


def gaussian(rows, columns, seed=0, shift=0.0, scale=1.0):
    rng = np.random.default_rng(seed)
    return rng.normal(shift, scale, (rows, columns)).astype(np.float32)


def two_sets(size, seed):
    rows, other_rows, columns = size
    return gaussian(rows, columns, seed), gaussian(other_rows, columns, seed + 1, 0.5, 2.0)


def test_fid_in_two_dimensions():
    # 100 points with covariance diag(1, 1)·100/99, against diag(16, 1)·100/99, (4, 8) away:
    # 16 + 64 + (4 - 1)²·100/99.
    corners = np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]] * 25)

    assert distances.fid(corners, corners * [4, 1] + [4, 8]) == pytest.approx(980 / 11, rel=1e-12)


def test_fid_agrees_with_the_matrix_square_root():
    real, fake = gaussian(400, 20), gaussian(300, 20, 1, 0.3, 1.5) @ gaussian(20, 20, 2)
    sigma1, sigma2 = np.cov(real, rowvar=False), np.cov(fake, rowvar=False)
    root = scipy.linalg.sqrtm(sigma1 @ sigma2).real
    shift = real.mean(axis=0, dtype=np.float64) - fake.mean(axis=0, dtype=np.float64)
    expected = shift @ shift + np.trace(sigma1 + sigma2 - 2 * root)

    assert distances.fid(real, fake) == pytest.approx(expected, rel=1e-6)


def test_fid_of_one_gaussian_shifted_is_the_squared_shift():
    real = gaussian(50, 3)

    assert distances.fid(real, real + [3.0, 0.0, 4.0]) == pytest.approx(25, rel=1e-5)


@pytest.mark.parametrize("distance", [distances.fid, distances.polynomial_mmd])
@pytest.mark.parametrize(
    ("real", "fake"),
    [
        pytest.param(gaussian(5, 64), gaussian(7, 64, 1), id="fewer rows than columns"),
        pytest.param(gaussian(50, 4), np.ones((50, 4)), id="collapsed to one image"),
        pytest.param(gaussian(50, 2) @ [[1, 1, 0], [0, 1, 0]], gaussian(50, 3), id="singular"),
        pytest.param(np.full((50, 3), 1e6), np.full((50, 3), 1e6), id="both constant"),
    ],
)
def test_degenerate_features_give_finite_distances(distance, real, fake):
    assert np.isfinite(distance(real, fake))


def test_a_collapsed_generator_is_as_far_as_the_data_are_wide():
    real = gaussian(50, 4)
    fake = np.tile(real.mean(axis=0, dtype=np.float64), (50, 1))
    variance = np.trace(np.cov(real, rowvar=False))

    assert distances.fid(real, fake) == pytest.approx(variance, rel=1e-6)


@given(sizes, seeds)
@settings(deadline=None, max_examples=50)
def test_fid_is_a_distance_of_shapes(size, seed):
    real, fake = two_sets(size, seed)
    rotation = np.linalg.qr(gaussian(size[2], size[2], seed))[0]
    shift = gaussian(1, size[2], seed + 2)
    distance = distances.fid(real, fake)
    close = functools.partial(pytest.approx, rel=1e-4, abs=1e-4)

    assert distance >= 0
    assert distances.fid(real, real) == close(0)
    assert distances.fid(fake, real) == close(distance)
    assert distances.fid(real @ rotation + shift, fake @ rotation + shift) == close(distance)


def moments_of(features):
    return features.mean(axis=0, dtype=np.float64), np.cov(features, rowvar=False)


@given(sizes, seeds, st.integers(1, 50), st.floats(-1e4, 1e4))
@settings(deadline=None, max_examples=30)
def test_moments_are_those_of_numpy_whatever_the_batches(size, seed, batch_size, shift):
    features = two_sets(size, seed)[0].astype(np.float64) + shift

    found = distances.Moments.of(features, batch_size)
    mean, covariance = moments_of(features)

    assert found.count == len(features)
    np.testing.assert_allclose(found.mean, mean, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(found.covariance, np.atleast_2d(covariance), rtol=1e-7, atol=1e-9)
    assert (found.covariance == found.covariance.T).all()


@given(st.lists(st.integers(1, 20), min_size=2, max_size=6), seeds, st.randoms())
@settings(deadline=None, max_examples=30)
def test_moments_merge_in_any_order_to_those_of_all_rows(counts, seed, random):
    batches = [gaussian(count, 5, seed + i, shift=i) for i, count in enumerate(counts)]
    merged = [distances.Moments.of(batch) for batch in batches]
    random.shuffle(merged)
    while len(merged) > 1:
        merged.append(merged.pop(0).merge(merged.pop(0)))
    mean, covariance = moments_of(np.concatenate(batches))

    assert merged[0].count == sum(counts)
    np.testing.assert_allclose(merged[0].mean, mean, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(merged[0].covariance, covariance, rtol=1e-6, atol=1e-6)


def test_merging_leaves_both_as_they_were():
    left, right = distances.Moments.of(gaussian(9, 3)), distances.Moments.of(gaussian(7, 3, 1))
    before = [x.copy() for x in (left.mean, left.scatter, right.mean, right.scatter)]

    left.merge(right)

    for was, now in zip(before, (left.mean, left.scatter, right.mean, right.scatter), strict=True):
        np.testing.assert_array_equal(was, now)


def test_moments_need_no_copy_of_the_features():
    features = gaussian(20_000, 64)
    tracemalloc.start()

    distances.Moments.of(features, batch_size=1000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    # A float64 copy would be 10 MB.
    assert peak < 3e6


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: distances.Moments.of(np.empty((0, 3))), "features: 0 rows, .*at least 1"),
        (lambda: distances.Moments.of([[np.nan]]), "features: holds NaN"),
        (lambda: distances.Moments.of([[1.0]]).covariance, "features: 1 rows, .*at least 2"),
        (
            lambda: distances.Moments.of([[1.0]]).merge(distances.Moments.of([[1.0, 2.0]])),
            "other: 2 features, expected 1",
        ),
    ],
)
def test_moments_that_do_not_exist_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    "shape", [(5, 7, 64), (30, 20, 40), (64, 5, 64), (2, 2, 300)], ids=lambda shape: str(shape)
)
def test_fid_of_singular_covariances_agrees_with_the_rows_themselves(shape):
    # With Σ = XᵀX, tr (Σ₁Σ₂)^½ is the sum of the singular values of X₁X₂ᵀ.
    n, m, d = shape
    real, fake = gaussian(n, d).astype(np.float64), gaussian(m, d, 1, 0.5, 2.0).astype(np.float64)
    x1, x2 = ((x - x.mean(axis=0)) / np.sqrt(len(x) - 1) for x in (real, fake))
    cross = np.linalg.svd(x1 @ x2.T, compute_uv=False).sum()
    shift = real.mean(axis=0) - fake.mean(axis=0)
    expected = shift @ shift + np.sum(x1**2) + np.sum(x2**2) - 2 * cross

    assert distances.fid(real, fake) == pytest.approx(expected, rel=1e-9)
    assert distances.fid(real, real) == pytest.approx(0, abs=1e-9 * d)


@pytest.mark.parametrize("offset", [0.0, 1e3])
def test_constant_features_count_with_their_shift_only(offset):
    real, fake = gaussian(80, 6) + offset, gaussian(60, 6, 1) + offset
    expected = distances.fid(real[:, 1:], fake[:, 1:]) + 9
    real[:, 0], fake[:, 0] = 7, 4

    assert distances.fid(real, fake) == pytest.approx(expected, rel=1e-6)


def brute_force_mmd(real, fake):
    def kernel(x, y):
        return (float(x @ y) / len(x) + 1) ** 3

    def within(rows):
        pairs = [kernel(x, y) for i, x in enumerate(rows) for j, y in enumerate(rows) if i != j]
        return sum(pairs) / len(pairs)

    between = [kernel(x, y) for x in real for y in fake]
    return within(real) + within(fake) - 2 * sum(between) / len(between)


@given(sizes, seeds)
@settings(deadline=None, max_examples=20)
def test_mmd_agrees_with_pairs_of_rows(size, seed):
    real, fake = (rows.astype(np.float64) for rows in two_sets(size, seed))

    expected = brute_force_mmd(real, fake)

    assert distances.polynomial_mmd(real, fake) == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_the_examples_in_the_docstrings_hold():
    assert doctest.testmod(distances) == (0, 3)


NAN = np.where(np.eye(20, 3) > 0, np.nan, 0.0)


@pytest.mark.parametrize("distance", [distances.fid, distances.polynomial_mmd])
@pytest.mark.parametrize(
    ("real", "fake", "message"),
    [
        (gaussian(20, 3), gaussian(20, 4), "fake: 4 features, expected 3 as in real"),
        (gaussian(20, 3)[0], gaussian(20, 3), r"real: shape \[3\], expected \[n, d\]"),
        (gaussian(20, 3), gaussian(1, 3), "fake: 1 rows, .*at least 2"),
        (np.empty((0, 3)), gaussian(20, 3), "real: 0 rows, .*at least 2"),
        (NAN, gaussian(20, 3), "real: holds NaN or infinity"),
        (gaussian(20, 3), np.full((20, 3), np.inf), "fake: holds NaN or infinity"),
    ],
)
def test_features_that_have_no_distance_are_refused(distance, real, fake, message):
    with pytest.raises(ValueError, match=message):
        distance(real, fake)


@pytest.mark.parametrize(
    ("statistics", "message"),
    [
        (
            (np.ones(2), np.eye(3), np.ones(2), np.eye(2)),
            r"sigma1: shape \[3, 3\], expected \[2, 2\]",
        ),
        ((np.ones(1), [[1]], [np.nan], [[1]]), "mu2: holds NaN"),
    ],
)
def test_statistics_that_do_not_fit_are_refused(statistics, message):
    with pytest.raises(ValueError, match=message):
        distances.fid_from_statistics(*statistics)
