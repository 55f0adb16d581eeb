"""The metric cores against closed forms, brute force and other implementations."""

import doctest
import itertools
import re
import sys
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prdc import compute_prdc
from scipy.spatial.distance import cdist

from components.evaluator.metrics import functions
from components.evaluator.metrics.sliced_wasserstein import sliced_wasserstein
from components.features.distances import polynomial_mmd
from components.features.neighbourhoods.manifolds import Manifolds, manifolds
from components.features.neighbourhoods.neighbours import nearest_neighbours

seeds = st.integers(0, 2**32 - 1)
sizes = st.tuples(st.integers(7, 40), st.integers(7, 40), st.integers(1, 12))


def gaussian(rows, columns, seed=0, shift=0.0, scale=1.0):
    rng = np.random.default_rng(seed)
    return rng.normal(shift, scale, (rows, columns)).astype(np.float32)


def two_sets(size, seed):
    rows, other_rows, columns = size
    return gaussian(rows, columns, seed), gaussian(other_rows, columns, seed + 1, 0.5, 2.0)


def probabilities_of(rows, columns, seed):
    return np.random.default_rng(seed).dirichlet(np.full(columns, 0.3), rows)


@pytest.fixture(params=[None, 5], ids=["one tile", "small tiles"])
def tiles(request, monkeypatch):
    if request.param:
        monkeypatch.setattr("components.features.neighbourhoods.tiles._TILE", request.param)


def arrays(found):
    return {field: getattr(found, field) for field in Manifolds.__dataclass_fields__}


def precision_recall(real, fake, k=3):
    found = manifolds(real, fake, k, k)
    return float(found.in_real.mean()), float(found.in_fake.mean())


def density_coverage(real, fake, k=5):
    found = manifolds(real, fake, k, k)
    return float(found.density.mean()), float(found.covered.mean())


DEGENERATE = [
    pytest.param(gaussian(7, 64), gaussian(7, 64, 1), id="fewer rows than columns"),
    pytest.param(gaussian(50, 4), np.ones((50, 4)), id="collapsed to one image"),
    pytest.param(gaussian(50, 2) @ [[1, 1, 0], [0, 1, 0]], gaussian(50, 3), id="singular"),
    pytest.param(np.full((50, 3), 1e6), np.full((50, 3), 1e6), id="both constant"),
    pytest.param(gaussian(50, 3) * 1e25, gaussian(50, 3) * 1e25, id="huge"),
    pytest.param(gaussian(50, 3) * 1e-25, gaussian(50, 3, 1) * 1e-25, id="tiny"),
]


@pytest.mark.parametrize(("real", "fake"), DEGENERATE)
def test_degenerate_features_give_finite_scores(real, fake):
    if np.abs(real).max() < 1e12:
        assert np.isfinite(functions.kid(real, fake, subsets=5)).all()
    found = arrays(manifolds(real, fake))
    assert not np.isnan(found.pop("realism")).any()
    for name, values in found.items():
        assert np.isfinite(values).all(), name


def test_kid_is_the_mmd_within_its_standard_error():
    real, fake = gaussian(500, 8), gaussian(500, 8, 1, 0.2)

    mean, standard_error = functions.kid(real, fake, subsets=200, subset_size=100)

    assert standard_error > 0
    assert mean == pytest.approx(polynomial_mmd(real, fake), abs=4 * standard_error)
    assert (mean, standard_error) == functions.kid(real, fake, subsets=200, subset_size=100)
    assert mean != functions.kid(real, fake, subsets=200, subset_size=100, seed=1)[0]


def test_kid_of_one_distribution_is_around_zero():
    mean, standard_error = functions.kid(gaussian(2000, 8), gaussian(2000, 8, 1), subset_size=200)

    assert abs(mean) < 10 * standard_error < 0.05


def test_kid_takes_no_subset_that_is_the_whole_set():
    real, fake = gaussian(60, 4), gaussian(40, 4, 1, 0.5)

    assert functions.kid(real, fake) == functions.kid(real, fake, subset_size=20)
    assert functions.kid(real, fake)[1] > 0


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
    mean, spread = functions.inception_score(probabilities)

    assert mean == pytest.approx(expected, rel=1e-12)
    assert spread == pytest.approx(0, abs=1e-12)


@given(st.integers(10, 60), st.integers(2, 12), st.integers(1, 10), seeds)
@settings(deadline=None, max_examples=50)
def test_inception_score_lies_between_one_and_the_number_of_classes(rows, classes, splits, seed):
    mean, spread = functions.inception_score(probabilities_of(rows, classes, seed), splits)

    assert 1 - 1e-9 <= mean <= classes + 1e-9
    assert spread >= 0


def test_inception_score_is_the_mean_over_the_parts():
    probabilities = probabilities_of(30, 5, 0)
    parts = [functions.inception_score(part, 1)[0] for part in np.split(probabilities, 3)]

    expected = pytest.approx((np.mean(parts), np.std(parts)))

    assert functions.inception_score(probabilities, 3) == expected


@given(sizes, seeds, st.integers(1, 5))
@settings(deadline=None, max_examples=15)
def test_precision_recall_density_coverage_agree_with_prdc(size, seed, k):
    real, fake = (rows.astype(np.float64) for rows in two_sets(size, seed))
    expected = compute_prdc(real, fake, k)

    found = [*precision_recall(real, fake, k), *density_coverage(real, fake, k)]

    assert found == pytest.approx(
        [expected[name] for name in ("precision", "recall", "density", "coverage")]
    )


@pytest.mark.usefixtures("tiles")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_manifolds_are_what_the_whole_matrices_say(offset, dtype):
    real, fake = (
        (rows + offset).astype(dtype).astype(np.float64) for rows in two_sets((43, 31, 6), 0)
    )
    between, among_real, among_fake = cdist(real, fake), cdist(real, real), cdist(fake, fake)
    radii = np.sort(among_real)[:, 3]
    wide = np.sort(among_real)[:, 5]
    usual = radii <= np.median(radii)

    found = manifolds(real.astype(dtype), fake.astype(dtype), k=3, density_k=5)

    expected = {
        "in_real": (between <= radii[:, None]).any(axis=0),
        "in_fake": (between <= np.sort(among_fake)[:, 3]).any(axis=1),
        "density": (between < wide[:, None]).sum(axis=0) / 5,
        "covered": between.min(axis=1) < wide,
        "real_spacing": np.sort(among_real)[:, 1],
        "fake_spacing": np.sort(among_fake)[:, 1],
        "realism": (radii[usual, None] / between[usual]).max(axis=0),
    }
    for name, values in arrays(found).items():
        np.testing.assert_allclose(values, expected[name], rtol=1e-9, err_msg=name)


@given(sizes, seeds)
@settings(deadline=None, max_examples=20)
def test_manifolds_do_not_depend_on_the_order_of_the_images(size, seed):
    real, fake = two_sets(size, seed)
    rng = np.random.default_rng(seed)
    of_real, of_fake = rng.permutation(len(real)), rng.permutation(len(fake))

    there = arrays(manifolds(real, fake))
    permuted = arrays(manifolds(real[of_real], fake[of_fake]))

    reals = ("in_fake", "covered", "real_spacing")
    for name, values in permuted.items():
        order = of_real if name in reals else of_fake
        np.testing.assert_allclose(values, there[name][order], rtol=1e-12, err_msg=name)


@given(sizes, seeds)
@settings(deadline=None, max_examples=20)
def test_precision_and_recall_swap_with_the_arguments(size, seed):
    real, fake = two_sets(size, seed)

    precision, recall = precision_recall(real, fake)

    assert precision_recall(fake, real) == (recall, precision)


def test_precision_and_recall_are_told_apart():
    real = gaussian(300, 2)
    inner = gaussian(300, 2, 1, scale=0.1)

    precision, recall = precision_recall(real, inner)

    # All fakes look real; they cover little of the data.
    assert precision == 1
    assert recall < 0.2


def test_a_collapsed_generator_covers_nothing():
    real = gaussian(50, 4)
    fake = np.tile(real.mean(axis=0, dtype=np.float64), (50, 1))

    assert precision_recall(real, fake)[1] == 0
    assert density_coverage(real, fake)[1] < 1
    assert (manifolds(real, fake).fake_spacing == 0).all()


@pytest.mark.parametrize(("at", "inside"), [(3.0, True), (3.0 + 1e-6, False), (3.0 - 1e-6, True)])
def test_a_ball_includes_its_border_for_precision_and_not_for_density(at, inside):
    # With k = 1 the ball of the last point reaches from 1 to 3.
    real = np.array([[0.0], [1.0], [2.0]])

    found = manifolds(real, np.array([[at]] * 2), k=1, density_k=1)

    assert found.in_real.tolist() == [inside] * 2
    assert found.density.tolist() == [float(inside and at < 3)] * 2


@pytest.mark.usefixtures("tiles")
@pytest.mark.parametrize("offset", [0.0, 1000.0, 1e7])
def test_copies_are_found_out(offset):
    real = gaussian(40, 64).astype(np.float64) * 100 + offset
    repeated = np.repeat(real, 5, axis=0)

    found = manifolds(real, real[::-1])
    within = manifolds(repeated, repeated[::-1], 3, 3)

    assert (nearest_neighbours(real[::-1], real)[1] == 0).all()
    assert (found.realism == np.inf).all()
    assert found.in_real.all()
    assert found.in_fake.all()
    # Each ball holds the copy of its image and of the four that are nearer than the fifth.
    assert found.density.mean() == pytest.approx(5 / 5)
    # Balls without extent hold the five copies of their centre.
    assert within.in_real.all()
    assert within.in_fake.all()
    assert within.covered.all()
    assert within.density.mean() == pytest.approx(5 / 3)


@pytest.mark.usefixtures("tiles")
@pytest.mark.parametrize("apart", [10.0, 1e3])
def test_clusters_that_float32_cannot_tell_apart_inside(apart):
    # Within a cluster, distances are below what float32 leaves of the distance between clusters.
    centres = np.repeat(np.eye(2) * apart, 20, axis=0)
    real = centres + gaussian(40, 2).astype(np.float64) * 1e-3
    fake = centres + gaussian(40, 2, 1).astype(np.float64) * 1e-3
    expected = compute_prdc_of_differences(real, fake, 3)

    found = manifolds(real, fake, 3, 3)

    assert (
        found.in_real.mean(),
        found.in_fake.mean(),
        found.density.mean(),
        found.covered.mean(),
    ) == pytest.approx(expected)


def compute_prdc_of_differences(real, fake, k):
    """From differences, not from squared norms as prdc does, whose noise decides here."""

    def distances(x, y):
        return np.linalg.norm(x[:, None] - y[None], axis=2)

    between = distances(real, fake)
    of_real, of_fake = (np.sort(distances(x, x))[:, k] for x in (real, fake))
    return (
        (between <= of_real[:, None]).any(axis=0).mean(),
        (between <= of_fake).any(axis=1).mean(),
        (between < of_real[:, None]).sum(axis=0).mean() / k,
        (between.min(axis=1) < of_real).mean(),
    )


def test_an_outlier_changes_nothing_for_the_others():
    real, fake = gaussian(40, 6), gaussian(30, 6, 1)
    far = np.full((1, 6), 1e6, np.float32)

    there = arrays(manifolds(real, fake))
    found = arrays(manifolds(np.concatenate([real, far]), fake))

    assert (found["in_real"] >= there["in_real"]).all()
    for name in ("in_fake", "fake_spacing", "real_spacing"):
        np.testing.assert_allclose(found[name][: len(there[name])], there[name], rtol=1e-9)


def test_realism_knows_a_good_image_from_a_bad_one():
    real = gaussian(300, 4)
    good, bad = gaussian(20, 4, 1), gaussian(20, 4, 2, scale=8)

    realism = manifolds(real, np.concatenate([good, bad])).realism

    assert np.median(realism[:20]) > 1 > np.median(realism[20:])


@pytest.mark.parametrize("rows", [9, 30])
def test_progress_ends_at_one(rows, monkeypatch, caplog):
    monkeypatch.setattr("components.features.neighbourhoods.tiles._TILE", 8)
    clock = itertools.count(0, 30)
    monkeypatch.setattr(
        "components.features.neighbourhoods.tiles.time.monotonic", lambda: next(clock)
    )

    with caplog.at_level("INFO"):
        manifolds(gaussian(rows, 3), gaussian(20, 3))

    shares = {}
    for message in caplog.messages:
        work, share = re.match(r"(.*): (\d+) %", message).groups()
        shares.setdefault(work, []).append(int(share))
    assert list(shares) == ["neighbours of real", "neighbours of fake", "neighbourhoods"]
    for found in shares.values():
        assert found == sorted(found)
        assert found[0] > 0
        assert found[-1] == 100


def test_the_examples_in_the_docstrings_hold():
    assert doctest.testmod(sys.modules[manifolds.__module__]) == (0, 4)


def test_ten_thousand_images_need_little_memory():
    real, fake = gaussian(10_000, 64), gaussian(10_000, 64, 1)
    tracemalloc.start()

    manifolds(real, fake)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    # A whole matrix of distances would be 400 MB in float32.
    assert peak < 150e6


@given(sizes, seeds, st.integers(1, 7))
@settings(deadline=None, max_examples=30)
def test_nearest_neighbours_are_the_nearest(size, seed, count):
    queries, reference = (rows.astype(np.float64) for rows in two_sets(size, seed))
    expected = cdist(queries, reference)

    indices, found = nearest_neighbours(queries, reference, count)

    assert (indices.dtype, found.dtype) == (np.int64, np.float64)
    np.testing.assert_array_equal(indices, np.argsort(expected, axis=1)[:, :count])
    np.testing.assert_allclose(found, np.sort(expected, axis=1)[:, :count], rtol=1e-9)


@pytest.mark.usefixtures("tiles")
def test_a_copy_is_its_own_nearest_neighbour():
    reference = gaussian(60, 32) + 100
    order = np.random.default_rng(0).permutation(60)

    indices, distances = nearest_neighbours(reference[order], reference, 2)

    np.testing.assert_array_equal(indices[:, 0], order)
    assert (distances[:, 0] == 0).all()
    assert (distances[:, 1] > 1).all()


@pytest.mark.usefixtures("tiles")
def test_all_equal_images_are_neighbours_at_no_distance():
    indices, distances = nearest_neighbours(np.ones((9, 3)), np.ones((30, 3)), 4)

    assert (distances == 0).all()
    assert all(len(set(row)) == 4 for row in indices.tolist())


def one_hot(classes, count=4):
    return np.eye(count)[classes]


@pytest.mark.parametrize(
    ("real", "fake", "expected"),
    [
        pytest.param([0, 1, 2, 3], [3, 2, 1, 0] * 3, (4, 4, 0.0), id="as the data"),
        pytest.param([0, 1, 2, 3], [2, 2], (1, 4, np.log(4)), id="one mode"),
        pytest.param([0, 0, 0, 1], [0, 1], (2, 2, None), id="other shares, classes not there"),
        pytest.param([0, 1, 1, 1], [2, 2], (0, 2, np.log(6)), id="a class that is not there"),
    ],
)
def test_mode_coverage_in_closed_form(real, fake, expected):
    hit, there, kl = functions.mode_coverage(one_hot(real), one_hot(fake))

    if expected[2] is None:  # Classes 2 and 3 count as if they had one image each.
        expected = (2, 2, 0.5 * np.log(0.5 / (3 / 6)) + 0.5 * np.log(0.5 / (1 / 6)))
    assert (hit, there) == expected[:2]
    assert kl == pytest.approx(expected[2], abs=1e-12)


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 8), seeds)
@settings(deadline=None, max_examples=50)
def test_modes_are_counted_and_the_divergence_is_none_for_equal_sets(n, m, classes, seed):
    real, fake = probabilities_of(n, classes, seed), probabilities_of(m, classes, seed + 1)

    hit, there, kl = functions.mode_coverage(real, fake)

    assert 0 <= hit <= there <= classes
    assert 0 <= kl < np.inf
    if len(set(real.argmax(axis=1))) == classes:
        assert functions.mode_coverage(real, real) == (
            classes,
            classes,
            pytest.approx(0, abs=1e-12),
        )


ALL_OF_FEATURES = [
    pytest.param(function, id=function.__name__)
    for function in (
        functions.kid,
        manifolds,
    )
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
        (lambda: functions.inception_score(np.full((9, 2), 0.5)), "9 rows, at least 10"),
        (lambda: functions.inception_score(np.full((20, 2), 0.6)), "sum to 1"),
        (lambda: functions.inception_score(np.tile([1.5, -0.5], (20, 1))), "must be 0 or more"),
        (lambda: functions.inception_score(np.full((20, 2), 0.5), 0), "splits: 0"),
        (lambda: precision_recall(gaussian(20, 2), gaussian(20, 2), 0), "k: 0"),
        (lambda: manifolds(gaussian(20, 2), gaussian(20, 2), 1, 0), "density_k: 0"),
        (
            lambda: density_coverage(gaussian(20, 2), gaussian(5, 2)),
            "fake: 5 rows, at lea",
        ),
        (lambda: functions.kid(gaussian(20, 2), gaussian(20, 2), subsets=1), "subsets"),
        (lambda: nearest_neighbours(gaussian(5, 2), gaussian(5, 2), 0), "count: 0"),
        (
            lambda: nearest_neighbours(gaussian(5, 2), gaussian(5, 2), 6),
            "reference: 5 row",
        ),
        (
            lambda: nearest_neighbours(gaussian(5, 2), gaussian(5, 3)),
            "queries: 2 features",
        ),
        (
            lambda: functions.mode_coverage(np.ones((5, 1)), one_hot([0])),
            "fake_probab.*: 4 classes",
        ),
        (lambda: functions.mode_coverage(np.ones((5, 2)), one_hot([0])), "real_probab.*sum to 1"),
        (
            lambda: sliced_wasserstein(IMAGES, IMAGES[..., 0]),
            r"fake_images: uint8 \[8, 32",
        ),
        (lambda: sliced_wasserstein(IMAGES / 255, IMAGES), "real_images: float64"),
        (lambda: sliced_wasserstein(IMAGES[:0], IMAGES), "n of 1 or more"),
        (lambda: sliced_wasserstein(IMAGES, IMAGES[:, :28]), "as in real_images"),
        (lambda: sliced_wasserstein(IMAGES, IMAGES, patch_size=17), "at most 16"),
        (lambda: sliced_wasserstein(IMAGES, IMAGES, projections=0), "projections: 0"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def noise_images(count, seed, side=32, channels=3):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, side, side, channels), dtype=np.uint8)


IMAGES = noise_images(8, 0)


@pytest.mark.parametrize(("side", "levels"), [(8, 1), (28, 1), (31, 2), (32, 2), (33, 2), (64, 3)])
def test_sliced_wasserstein_has_a_value_for_each_level(side, levels):
    images = noise_images(4, 1, side, 1)

    assert len(sliced_wasserstein(images, images, projections=4)) == levels
    # The rest of the larger set is not used, so these are the same images.
    assert sliced_wasserstein(images[:3], images, projections=4) == [0] * levels


def test_sliced_wasserstein_of_two_samples_shrinks_and_of_others_does_not():
    def distance(real, fake):
        return sliced_wasserstein(real, fake, projections=64)[0]

    few, more = (distance(noise_images(n, 2), noise_images(n, 3)) for n in (4, 100))
    coarse = noise_images(100, 4, side=4).repeat(8, axis=1).repeat(8, axis=2)

    assert more < few / 3
    assert distance(noise_images(100, 2), coarse) > 3 * more


def test_sliced_wasserstein_of_one_pixel_is_that_of_sorted_values():
    # A patch of one pixel has one direction, up to its sign, and one level leaves images as are.
    real, fake = noise_images(5, 5, 4, 1), noise_images(5, 6, 4, 1)
    fake = np.where(fake < 200, 0, fake).astype(np.uint8)
    x, y = (np.sort((v - v.mean()) / v.std()) for v in (real.ravel(), fake.ravel()))

    (found,) = sliced_wasserstein(real, fake, patches_per_image=4000, patch_size=1, projections=3)

    assert found == pytest.approx(1e3 * np.abs(x - y).mean(), rel=0.05)


@pytest.mark.parametrize("change", [lambda x: x // 2 * 2 // 2, lambda x: x // 2 + 100])
def test_sliced_wasserstein_leaves_out_brightness(change):
    images = noise_images(8, 7) // 2 * 2

    assert sliced_wasserstein(images, change(images)) == pytest.approx([0, 0], abs=1e-3)


def test_black_images_have_a_distance():
    found = sliced_wasserstein(IMAGES, np.zeros_like(IMAGES), projections=32)

    # The patches have deviation 1 in every direction: E|x| of about sqrt(2 / pi).
    assert found == pytest.approx([798, 798], rel=0.1)


def test_the_seed_is_of_the_places_and_directions():
    images = noise_images(8, 8)

    found = sliced_wasserstein(IMAGES, images, projections=8)

    assert found == sliced_wasserstein(IMAGES, images, projections=8)
    assert found != sliced_wasserstein(IMAGES, images, projections=8, seed=1)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        pytest.param([0] * 50 + [1] * 50, [1, 0], id="all of class 0, half of them taken for 1"),
        pytest.param([1] * 100, [0, 1], id="all of class 1"),
        pytest.param([0] * 25 + [1] * 75, [0.5, 0.5], id="half of each"),
    ],
)
def test_class_shares_take_off_what_the_classifier_confuses(said, expected):
    labels = np.repeat([0, 1], 100)
    # Half of class 0 is taken for class 1.
    predicted = np.repeat([0, 1, 1], [50, 50, 100])

    found = functions.class_shares(labels, predicted, np.array(said), 2)

    np.testing.assert_allclose(found, expected, atol=1e-6)
