"""The neighbour metrics without each group: against whole matrices, made again each time."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from components.evaluator.metrics import uncertainty
from components.features.neighbourhoods import left_out
from components.features.neighbourhoods.left_out import LeftOut, without_each_group
from components.features.neighbourhoods.manifolds import manifolds


def brute_force(real, fake, real_groups, fake_groups, k, density_k):
    rows = []
    for group in range(real_groups.max() + 1):
        x, y = (
            a[of != group].astype(np.float64)
            for a, of in zip((real, fake), (real_groups, fake_groups), strict=True)
        )
        few = min(len(x), len(y)) - 1
        a, b = min(k, few), min(density_k, few)
        between, of_x, of_y = cdist(x, y), np.sort(cdist(x, x)), np.sort(cdist(y, y))
        dense = of_x[:, [b]]
        inside = (between < dense) | ((between == 0) & (dense == 0))
        rows.append(
            [
                (between <= of_x[:, [a]]).any(axis=0).mean(),
                (between <= of_y[:, a]).any(axis=1).mean(),
                inside.sum(axis=0).mean() / b,
                inside.any(axis=1).mean(),
            ]
        )
    return LeftOut(*np.array(rows).T)


def check(real, fake, groups, k=3, density_k=5, seed=0):
    of = [uncertainty.assign(len(rows), groups, seed) for rows in (real, fake)]
    found = without_each_group(real, fake, *of, k, density_k)
    expected = brute_force(real, fake, *of, k, density_k)
    for name in LeftOut.__dataclass_fields__:
        values = getattr(found, name)
        np.testing.assert_allclose(values, getattr(expected, name), rtol=1e-12, err_msg=name)
        assert values.shape == (groups,)
        assert values.dtype == np.float64


def gaussian(rows, columns, seed, offset=0.0, scale=1.0):
    values = np.random.default_rng(seed).normal(offset, scale, (rows, columns))
    return values.astype(np.float32)


@pytest.fixture(params=[None, 7], ids=["one tile", "small tiles"])
def tiles(request, monkeypatch):
    if request.param:
        monkeypatch.setattr("components.features.neighbourhoods.tiles._TILE", request.param)


SIZES = [
    pytest.param(60, 60, 20, 3, 5, id="20 groups of 3"),
    pytest.param(90, 41, 10, 3, 5, id="more reals"),
    pytest.param(41, 90, 10, 5, 3, id="more fakes"),
    pytest.param(4, 4, 2, 1, 1, id="4 rows"),
    pytest.param(4, 5, 2, 3, 3, id="4 rows with all for neighbours"),
    pytest.param(7, 9, 3, 2, 5, id="a group leaves too few"),
    pytest.param(30, 30, 2, 3, 5, id="halves"),
    pytest.param(30, 30, 15, 27, 20, id="nearly all for neighbours"),
    pytest.param(24, 24, 12, 20, 21, id="as many neighbours as there are"),
]


@pytest.mark.usefixtures("tiles")
@pytest.mark.parametrize(("n", "m", "groups", "k", "density_k"), SIZES)
@pytest.mark.parametrize("seed", range(3))
def test_of_random_rows(n, m, groups, k, density_k, seed):
    check(gaussian(n, 4, seed), gaussian(m, 4, 99 + seed, 0.3, 0.8), groups, k, density_k, seed)


@pytest.mark.usefixtures("tiles")
@pytest.mark.parametrize(("n", "m", "groups", "k", "density_k"), SIZES)
@pytest.mark.parametrize("values", [2, 5])
def test_of_whole_numbers_that_are_often_the_same(n, m, groups, k, density_k, values):
    rng = np.random.default_rng(values)
    real, fake = (rng.integers(0, values, (rows, 3)).astype(np.float32) for rows in (n, m))

    check(real, fake, groups, k, density_k)


@pytest.mark.usefixtures("tiles")
@pytest.mark.parametrize(
    ("real", "fake"),
    [
        pytest.param(gaussian(80, 3, 0), np.tile(gaussian(1, 3, 1), (60, 1)), id="collapsed"),
        pytest.param(gaussian(80, 3, 0), gaussian(60, 3, 1, scale=20), id="scattered"),
        pytest.param(gaussian(80, 3, 0), gaussian(60, 3, 1, offset=50), id="apart"),
        pytest.param(gaussian(80, 3, 0, 1e4), gaussian(60, 3, 1, 1e4), id="far from 0"),
        pytest.param(np.ones((80, 3)), np.ones((60, 3)), id="all the same"),
        pytest.param(gaussian(80, 3, 0), gaussian(80, 3, 0), id="copies"),
    ],
)
def test_of_bad_generators(real, fake):
    check(real, fake, 20)


def test_few_spare_neighbours_are_made_up_for(monkeypatch):
    monkeypatch.setattr(left_out, "enough", lambda k, groups: k)

    check(gaussian(80, 3, 0), gaussian(60, 3, 1), 5)


def test_neighbours_that_are_all_of_one_group():
    # Two clusters, each a group: without its own neighbours, a point has those of the other.
    real, fake = (np.concatenate([gaussian(20, 2, s), gaussian(20, 2, s + 1, 9)]) for s in (0, 7))
    groups = np.repeat([0, 1, 2, 3], 10)

    found = without_each_group(real, fake, groups, groups)

    expected = brute_force(real, fake, groups, groups, 3, 5)
    for name in LeftOut.__dataclass_fields__:
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), err_msg=name)


def test_groups_that_leave_no_neighbours_are_an_error():
    with pytest.raises(ValueError, match="1 rows without group 0, at least 2 are needed"):
        without_each_group(
            gaussian(3, 2, 0), gaussian(3, 2, 1), np.array([0, 0, 1]), np.array([0, 0, 1]), 1, 1
        )


def test_a_discrete_table_is_covered_by_its_own_distribution():
    rng = np.random.default_rng(0)
    real, fake = (rng.integers(0, 10, (1000, 2)).astype(np.float64) for _ in range(2))

    found = manifolds(real, fake)

    assert found.covered.mean() > 0.99
    assert found.density.mean() == pytest.approx(brute_force_density(real, fake), rel=1e-12)


def brute_force_density(real, fake):
    between, radii = cdist(real, fake), np.sort(cdist(real, real))[:, [5]]
    return ((between < radii) | ((between == 0) & (radii == 0))).sum(axis=0).mean() / 5
