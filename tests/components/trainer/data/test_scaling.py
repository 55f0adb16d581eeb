import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from components.trainer.data.scaling import Scaling

SHAPES = arrays.array_shapes(min_dims=2, max_dims=2, max_side=6)
FLOATS = st.floats(allow_nan=False, allow_infinity=False, width=32)


def learn(rows):
    return Scaling.learn(rows, [f"c{number}" for number in range(rows.shape[1])])


def back(scaling, unit):
    return scaling.from_unit(tf.constant(unit, tf.float32)).numpy()


def test_the_columns_of_real_data_fill_the_range_and_come_back(wine, scaling):
    unit = scaling.to_unit(wine)

    assert unit.dtype == np.float32
    np.testing.assert_array_equal(unit.min(axis=0), -1)
    np.testing.assert_array_equal(unit.max(axis=0), 1)
    np.testing.assert_allclose(back(scaling, unit), wine, rtol=1e-6)
    decimals = dict(zip(scaling.columns, scaling.decimals, strict=True))
    assert {name for name, places in decimals.items() if not places} == {"magnesium", "proline"}
    assert (decimals["alcalinity_of_ash"], decimals["alcohol"]) == (1, 2)


@given(arrays.arrays(np.float32, SHAPES, elements=FLOATS))
def test_float32_comes_back_to_a_unit_in_the_last_place_of_the_largest(rows):
    scaling = learn(rows)
    unit = scaling.to_unit(rows)

    assert np.abs(unit).max() <= 1
    rows = rows.astype(np.float64)
    # TensorFlow may flush subnormal numbers to 0.
    allowed = np.abs(rows).max(axis=0) * 2.0**-23 + np.finfo(np.float32).tiny
    assert (np.abs(back(scaling, unit) - rows) <= allowed).all()


@given(arrays.arrays(np.int32, SHAPES, elements=st.integers(-(2**20), 2**20)), st.integers(0, 6))
def test_decimal_numbers_come_back_exactly(rows, places):
    rows = (rows / 10.0**places).astype(np.float32)
    scaling = learn(rows)

    assert max(scaling.decimals) <= places
    np.testing.assert_array_equal(scaling.rounded(back(scaling, scaling.to_unit(rows))), rows)


def test_columns_are_rounded_to_the_decimals_of_the_data():
    scaling = learn(np.float32([[0, 0.5, -1e-9], [10, 2, 3e-9]]))
    assert scaling.decimals == (0, 1, None)

    made = scaling.rounded(back(scaling, [[0.11, 0.11, 0.11]]))

    np.testing.assert_allclose(made, [[6, 1.3, 1.22e-9]], rtol=1e-6)


def test_a_column_of_equal_values_becomes_0_and_comes_back():
    rows = np.float32([[0.1, 1], [0.1, 2], [0.1, 4]])
    scaling = learn(rows)

    unit = scaling.to_unit(rows)

    np.testing.assert_array_equal(unit[:, 0], 0)
    np.testing.assert_array_equal(back(scaling, unit), rows)
    np.testing.assert_array_equal(back(scaling, [[0.7, 0]])[:, 0], rows[0, 0])


def test_nothing_is_made_beyond_the_ends_of_the_data():
    scaling = learn(np.float32([[-1e30, 3], [1, 7]]))

    made = back(scaling, [[-2, -1.5], [1.01, 9]])

    np.testing.assert_array_equal(made, np.float32([[-1e30, 3], [1, 7]]))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (np.zeros((0, 2)), r"rows: of shape \[0, 2\], expected \[n, 2\]"),
        (np.zeros((3, 4)), r"rows: of shape \[3, 4\], expected \[n, 2\]"),
        (np.zeros((2, 2, 1)), r"rows: of shape \[2, 2, 1\]"),
        (np.array([[0, 1], [0, np.nan], [2, 3]]), "rain: .*not finite"),
        (np.array([[np.inf, 1], [0, 1]]), "wind: .*not finite"),
    ],
)
def test_what_cannot_be_learnt_from_is_named(rows, message):
    with pytest.raises(ValueError, match=message):
        Scaling.learn(rows.astype(np.float32), ["wind", "rain"])
