"""Types of columns: what their cells mean, and how values are written again."""

import datetime
import decimal
import re

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.data import datetimes
from components.data.columns import COLUMN_TYPES, Column, values_of

NOT_MISSING = st.text().map(str.strip).filter(bool)
DAYS = Column(name="x", type="datetime", format="%d.%m.%Y")
MOMENTS = st.datetimes().map(datetimes.microseconds)
# By type, a column and values that examples hold of it.
VALUES = {
    "number": (
        Column(name="x"),
        st.floats(width=32, allow_nan=False, allow_infinity=False),
    ),
    "integer": (Column(name="x", type="integer"), st.integers(-(2**53), 2**53)),
    "categorical": (Column(name="x", type="categorical"), NOT_MISSING),
    "boolean": (
        Column(name="x", type="boolean"),
        st.sampled_from(["true", "False", "TRUE"]),
    ),
    "datetime": (
        Column(name="x", type="datetime", format="%Y-%m-%dT%H:%M:%S.%f"),
        MOMENTS,
    ),
}


def test_every_type_is_here():
    assert sorted(VALUES) == COLUMN_TYPES.names()


@pytest.mark.parametrize(("column", "values"), VALUES.values(), ids=VALUES)
@settings(deadline=None)
@given(st.data())
def test_the_text_of_a_value_gives_the_value(column, values, data):
    value = data.draw(values)
    again = column.value(column.kind.text(column, value))
    if column.type == "number":
        again = np.float32(again)
    assert again == value


@pytest.mark.parametrize(("column", "values"), VALUES.values(), ids=VALUES)
@settings(deadline=None)
@given(st.data())
def test_a_typed_value_gives_the_value(column, values, data):
    value = data.draw(values)
    (cell,) = pa.array([column.kind.typed(value)], column.kind.arrow).to_pylist()
    again = column.value(cell)
    if column.type == "boolean":
        assert again.lower() == value.lower()
    else:
        assert again == value


@pytest.mark.parametrize(
    ("column", "cell", "value"),
    [
        (Column(name="x"), " 1e3 ", 1000.0),
        (Column(name="x"), decimal.Decimal("1.5"), 1.5),
        (Column(name="x"), 3, 3.0),
        (Column(name="x"), "3.4028235e+38", float(np.finfo(np.float32).max)),
        (Column(name="x", type="integer"), "7.0", 7),
        (Column(name="x", type="integer"), 7.0, 7),
        (Column(name="x", type="integer"), "-0", 0),
        (Column(name="x", type="categorical"), " NA ", "NA"),
        (Column(name="x", type="categorical"), 7, "7"),
        (Column(name="x", type="categorical"), "01", "01"),
        (Column(name="x", type="boolean"), True, "True"),
        (Column(name="x", type="boolean"), " FALSE ", "FALSE"),
        (DAYS, " 02.01.1970 ", 86_400_000_000),
        (DAYS, datetime.date(1970, 1, 2), 86_400_000_000),
        (Column(name="x", type="datetime", format="%Y%m%d"), 19_700_102, 86_400_000_000),
    ],
)
def test_cells(column, cell, value):
    found = column.value(cell)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("given", "cell", "message"),
    [
        ({}, "1,5", "'1,5', expected a number"),
        ({}, "1_000", "'1_000', expected a number"),
        ({}, "inf", "'inf', expected a number"),
        ({}, "3.4028236e+38", "'3.4028236e.38', expected a number"),
        ({}, "1e39", "'1e39', expected a number"),
        ({}, True, "True, expected a number"),
        ({}, b"1", "b'1', expected a number"),
        ({"type": "integer"}, "7.5", "'7.5', expected a whole number .* its type to number"),
        ({"type": "integer"}, "9007199254740994", "expected a whole number"),
        ({"type": "integer"}, "inf", "expected a whole number"),
        ({"type": "categorical"}, 1.5, "1.5, expected text or a whole number"),
        ({"type": "categorical"}, b"a", "b'a', expected text"),
        ({"type": "boolean"}, "yes", "'yes', expected true or false; .* to categorical"),
        ({"type": "boolean"}, 1, "1, expected true or false"),
        ({"type": "datetime", "format": "%Y"}, "20", "'20', expected a time as in %Y"),
        ({"type": "categorical"}, " ", "' ', but has no missing values"),
        ({"type": "categorical"}, None, "nothing, but has no missing values"),
        ({"type": "datetime"}, "NaT", "'NaT', but has no missing values"),
        ({"type": "integer"}, "NA", r"'NA', but has no missing values \(data.columns would say"),
    ],
)
def test_cells_that_are_refused(given, cell, message):
    with pytest.raises(ValueError, match=f"the column 'x' holds .*{message}") as caught:
        Column(name="x", **given).value(cell)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("column_type", COLUMN_TYPES.names())
@pytest.mark.parametrize("cell", [None, "", "  ", "NA", "n/a", "NULL", "?", float("nan")])
def test_missing_cells(column_type, cell):
    column = Column(name="x", type=column_type, missing=True)
    if column_type == "categorical" and str(cell).strip() and cell is not None:
        # A name, but for a number.
        if isinstance(cell, str):
            assert column.value(cell) == cell
    else:
        assert column.value(cell) is None


@pytest.mark.parametrize(
    ("given", "tree"),
    [
        ("wind", "wind"),
        ({"name": "wind"}, "wind"),
        ({"name": "wind", "missing": True}, {"name": "wind", "type": "number", "missing": True}),
        ({"name": "sex", "type": "categorical"}, {"name": "sex", "type": "categorical"}),
        (
            {"name": "day", "type": "datetime"},
            {"name": "day", "type": "datetime", "format": "%Y-%m-%d %H:%M:%S"},
        ),
    ],
)
def test_a_column_in_a_recipe(given, tree):
    column = Column.model_validate(given)
    assert column.model_dump() == tree
    assert Column.model_validate_json(column.model_dump_json()) == column


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("", "at least 1 character"),
        ({"name": "x", "type": "text"}, "column type 'text'.*known: boolean, categorical"),
        ({"name": "x", "format": "%Y"}, "format: '%Y' for a column of type number"),
        ({"name": "x", "type": "datetime", "format": "%Q"}, "'%Q' in '%Q'"),
        ({"name": "x", "kind": "number"}, "kind"),
    ],
)
def test_columns_that_are_none(given, message):
    with pytest.raises(ValueError, match=re.compile(message, re.DOTALL)):
        Column.model_validate(given)


def test_values_of_codes():
    codes = np.array([1.0, np.nan, 0.0])
    names = {"x": ("f", "m")}
    for column_type, values in {
        "number": [1.0, None, 0.0],
        "integer": [1, None, 0],
        "categorical": ["m", None, "f"],
        "datetime": [1, None, 0],
    }.items():
        assert values_of(codes, Column(name="x", type=column_type), names) == values
