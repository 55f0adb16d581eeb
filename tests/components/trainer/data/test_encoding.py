import json

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import stats

from components.data import datetimes
from components.data.columns import Column
from components.trainer.data.encoding import Encoding

SHAPES = arrays.array_shapes(min_dims=2, max_dims=2, max_side=6)
FLOATS = st.floats(allow_nan=False, allow_infinity=False, width=32)
DAY = 86_400_000_000

# One of each type, with and without missing values.
COLUMNS = (
    Column(name="rain", missing=True),
    Column(name="age", type="integer"),
    Column(name="kids", type="integer", missing=True),
    Column(name="job", type="categorical", missing=True),
    Column(name="sex", type="categorical"),
    Column(name="member", type="boolean"),
    Column(name="active", type="boolean", missing=True),
    Column(name="born", type="datetime", format="%d. %B %Y"),
    Column(name="seen", type="datetime", format="%H:%M:%S", missing=True),
)
CATEGORIES = {
    "job": ("cook", "poet", "smith"),
    "sex": ("f", "m"),
    "member": ("False", "True"),
    "active": ("FALSE", "TRUE"),
}


def learn(rows, numbers):
    return Encoding.learn(rows, [f"c{number}" for number in range(rows.shape[1])], numbers=numbers)


def back(encoding, vectors):
    return encoding.decode(tf.constant(vectors, tf.float32)).numpy()


@pytest.fixture(scope="module")
def people():
    rng = np.random.default_rng(0)
    n = 3000
    codes = np.stack(
        [
            np.where(rng.random(n) < 0.6, 0, rng.gamma(0.5, 8, n).round(1).astype(np.float32)),
            rng.integers(18, 90, n),
            rng.poisson(1.5, n),
            rng.choice(3, n, p=[0.7, 0.2, 0.1]),
            rng.integers(0, 2, n),
            rng.integers(0, 2, n),
            rng.integers(0, 2, n),
            rng.integers(-20_000, 20_000, n) * DAY,
            rng.integers(0, 86_400, n) * 1_000_000,
        ],
        axis=1,
    ).astype(np.float64)
    for place, column in enumerate(COLUMNS):
        if column.missing:
            codes[rng.random(n) < 0.1, place] = np.nan
    return codes


@pytest.fixture(scope="module")
def of_people(people):
    return Encoding.learn(people, COLUMNS, CATEGORIES)


def test_every_type_comes_back(people, of_people):
    vectors = of_people.encode(people)

    assert vectors.dtype == np.float32
    assert vectors.shape == (len(people), of_people.width)
    assert np.abs(vectors).max() <= 1
    assert of_people.groups == (2, 2, 4, 2, 2, 3, 2)
    found = of_people.rounded(of_people.decode(tf.constant(vectors))).numpy()
    np.testing.assert_array_equal(np.isnan(found), np.isnan(people))
    np.testing.assert_array_equal(found[:, 1:], people[:, 1:])
    np.testing.assert_allclose(found[:, 0], people[:, 0], atol=0.101)


def test_values_have_the_types_of_the_columns(people, of_people):
    values = of_people.values(tf.constant(people))

    assert {name: value.dtype for name, value in values.items()} == {
        "rain": tf.float32,
        "age": tf.int64,
        "kids": tf.float64,
        "job": tf.string,
        "sex": tf.string,
        "member": tf.bool,
        "active": tf.string,
        "born": tf.string,
        "seen": tf.string,
    }
    for row in range(20):
        for place, column in enumerate(COLUMNS):
            code, found = people[row, place], values[column.name][row].numpy()
            if np.isnan(code):
                assert found == b"" or np.isnan(found)
            elif column.name == "member":
                assert found == bool(code)
            elif column.kind.discrete:
                assert found.decode() == CATEGORIES[column.name][int(code)]
            elif column.type == "datetime":
                assert found.decode() == datetimes.text(int(code), column.format)
            else:
                assert found == code


@pytest.mark.parametrize("seed", [0, 1])
def test_ranks_are_uniform_whatever_the_distribution_is(people, of_people, seed):
    vectors = of_people.encode(people, seed)
    for place in range(5):
        assert stats.kstest((vectors[:, place] + 1) / 2, "uniform").pvalue > 1e-3
    # Ties get their whole share.
    dry = vectors[people[:, 0] == 0, 0]
    assert np.ptp(dry) == pytest.approx(2 * np.nanmean(people[:, 0] == 0) / 0.9, abs=0.1)
    assert (vectors == of_people.encode(people, seed)).all()
    assert (vectors != of_people.encode(people, seed + 1)).any()


def test_uniform_components_become_the_distribution_of_the_data(people, of_people):
    rng = np.random.default_rng(1)
    vectors = rng.uniform(-1, 1, (20_000, of_people.width)).astype(np.float32)
    # All present.
    vectors[:, 5:9] = [1, 0, 1, 0]
    found = of_people.rounded(of_people.decode(tf.constant(vectors))).numpy()
    rain, made = people[:, 0][~np.isnan(people[:, 0])], found[:, 0]
    assert (made == 0).mean() == pytest.approx((rain == 0).mean(), abs=0.02)
    assert stats.wasserstein_distance(rain, made) < 0.05 * rain.std()
    assert stats.ks_2samp(people[:, 1], found[:, 1]).statistic < 0.02


@pytest.mark.parametrize("tail", ["lognormal", "pareto"])
def test_a_long_tail_is_not_a_straight_line(tail):
    rng = np.random.default_rng(0)
    made = np.exp(2 * rng.normal(size=50_000)) if tail == "lognormal" else rng.pareto(1.5, 50_000)
    rows = made.astype(np.float32)[:, np.newaxis]
    encoding = learn(rows, "ranks")

    ranks = np.linspace(-1, 1, 200_001, dtype=np.float32)[:, np.newaxis]
    found = back(encoding, ranks)[:, 0]

    assert found.mean() == pytest.approx(rows.mean(), rel=0.1)
    assert np.quantile(found, 0.999) == pytest.approx(np.quantile(rows, 0.999), rel=0.1)
    assert found.max() == rows.max()


def test_min_max_fills_the_range_and_comes_back(wine):
    encoding = learn(wine, "min_max")
    unit = encoding.encode(wine)

    np.testing.assert_array_equal(unit.min(axis=0), -1)
    np.testing.assert_array_equal(unit.max(axis=0), 1)
    np.testing.assert_allclose(back(encoding, unit), wine, rtol=1e-6)


@pytest.mark.parametrize("numbers", ["ranks", "min_max"])
@settings(deadline=None)
@given(arrays.arrays(np.float32, SHAPES, elements=FLOATS))
def test_any_numbers_come_back_within_their_range(numbers, rows):
    encoding = learn(rows, numbers)
    vectors = encoding.encode(rows)

    assert np.abs(vectors).max() <= 1
    rows = rows.astype(np.float64)
    # float32 vectors; TensorFlow may flush subnormal numbers to 0.
    width = np.ptp(rows, axis=0) * (2.0**-22 if numbers == "min_max" else 1e-4)
    allowed = width + np.abs(rows).max(axis=0) * 2.0**-23 + np.finfo(np.float32).tiny
    found = back(encoding, vectors)
    assert (np.abs(found - rows) <= allowed).all()


@pytest.mark.parametrize("numbers", ["ranks", "min_max"])
@settings(deadline=None)
@given(arrays.arrays(np.int32, SHAPES, elements=st.integers(-(2**20), 2**20)), st.integers(0, 6))
def test_decimal_numbers_come_back_exactly(numbers, rows, places):
    rows = (rows / 10.0**places).astype(np.float32)
    encoding = learn(rows, numbers)

    assert max(encoding.decimals) <= places
    found = encoding.rounded(back(encoding, encoding.encode(rows))).numpy()
    np.testing.assert_allclose(found, rows, rtol=0, atol=0.0 if numbers == "min_max" else 1e-3)


def test_columns_are_rounded_to_the_decimals_and_units_of_the_data():
    rows = np.array([[0, 0.5, -1e-9, 0], [10, 2, 3e-9, 7 * DAY]])
    columns = ["a", "b", "c", Column(name="d", type="datetime")]
    encoding = Encoding.learn(rows, columns, numbers="min_max")
    assert encoding.decimals == (0, 1, None, 0)

    made = encoding.rounded(back(encoding, [[0.11, 0.11, 0.11, 0.11]]))

    np.testing.assert_allclose(made, [[6, 1.3, 1.22e-9, 4 * DAY]], rtol=1e-6)


def test_a_column_of_equal_values_becomes_0_and_comes_back():
    rows = np.float32([[0.1, 1], [0.1, 2], [0.1, 4]])
    encoding = learn(rows, "ranks")

    vectors = encoding.encode(rows)

    np.testing.assert_array_equal(vectors[:, 0], 0)
    for vector in (vectors, [[0.7, 0]] * 3, [[-1, 0]] * 3, [[1, 0]] * 3):
        np.testing.assert_array_equal(back(encoding, vector)[:, 0].astype(np.float32), rows[:, 0])


@pytest.mark.parametrize("numbers", ["ranks", "min_max"])
def test_nothing_is_made_beyond_the_ends_of_the_data(numbers):
    encoding = learn(np.float32([[-1e30, 3], [1, 7]]), numbers)

    made = back(encoding, [[-2, -1.5], [1.01, 9]])

    np.testing.assert_array_equal(made.astype(np.float32), np.float32([[-1e30, 3], [1, 7]]))


def test_what_it_has_learnt_is_json(of_people):
    described = json.loads(json.dumps(of_people.describe()))

    assert [each["name"] for each in described] == [column.name for column in COLUMNS]
    assert described[3]["categories"] == ["cook", "poet", "smith"]
    kept = [
        {key: each[key] for key in ("name", "type", "format", "missing") if key in each}
        for each in of_people.describe_columns()
    ]
    assert tuple(Column(**each) for each in kept) == COLUMNS


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (np.zeros((0, 2)), r"rows: of shape \[0, 2\], expected \[n, 2\]"),
        (np.zeros((3, 4)), r"rows: of shape \[3, 4\], expected \[n, 2\]"),
        (np.zeros((2, 2, 1)), r"rows: of shape \[2, 2, 1\]"),
        (np.array([[0, 1], [0, np.nan], [2, 3]]), "rain: .*not finite"),
        (np.array([[np.inf, 1], [0, 1]]), "wind: .*not finite"),
        (np.array([[np.nan, 1], [np.nan, 1]]), "wind: all values are missing; leave"),
    ],
)
def test_what_cannot_be_learnt_from_is_named(rows, message):
    with pytest.raises(ValueError, match=message):
        Encoding.learn(rows, [Column(name="wind", missing=True), "rain"])
