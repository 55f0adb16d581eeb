import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.data.columns import Column
from components.example_gen.prepare import BadRecordError, RawRow, prepare_row

WIND = Column(name="wind")


@pytest.mark.parametrize(
    ("found", "number"),
    [("4.5", 4.5), (" -1e-3 ", -0.001), ("7", 7.0), (3, 3.0), (2.5, 2.5), ("3.4e38", 3.4e38)],
)
def test_numbers_and_their_text(found, number):
    prepared = prepare_row(RawRow({"wind": found, "rain": "n/a"}, "a.csv#3", 2), (WIND,))

    assert prepared.record.values == {"wind": number}
    assert (prepared.record.source, prepared.record.label) == ("a.csv#3", 2)


EXPECTED = "expected a number"
MISSING = "but has no missing values (data.columns would say missing: true)"


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        ("n/a", f"'n/a', {MISSING}"),
        ("", f"nothing, {MISSING}"),
        (None, f"nothing, {MISSING}"),
        ("1,5", f"'1,5', {EXPECTED}"),
        ("1_5", f"'1_5', {EXPECTED}"),
        ("nan", f"'nan', {MISSING}"),
        (float("nan"), f"nan, {MISSING}"),
        (float("inf"), f"inf, {EXPECTED}"),
        (True, f"True, {EXPECTED}"),
        (1e39, f"1e+39, {EXPECTED}"),
        ("x" * 1000, f"'xxxxxxxxxxxx...xxxxxxxxxxxxx', {EXPECTED}"),
    ],
)
def test_what_is_no_number_is_bad(found, reason):
    with pytest.raises(BadRecordError) as caught:
        prepare_row(RawRow({"wind": found}, "a.csv#3"), (WIND,))
    assert f"the column 'wind' holds {reason}" in str(caught.value)


@pytest.mark.parametrize("found", ["n/a", " NULL ", "", None, float("nan"), "?"])
def test_a_missing_number_is_none_where_it_may_be(found):
    column = Column(name="wind", missing=True)
    prepared = prepare_row(RawRow({"wind": found}, "a.csv#3"), (column,))
    assert prepared.record.values == {"wind": None}


def test_a_row_that_cannot_be_had_is_bad():
    with pytest.raises(BadRecordError, match="3 fields"):
        prepare_row(RawRow({}, "a.csv#3", error="3 fields"), (WIND,))


@given(st.text() | st.floats() | st.integers() | st.none())
def test_whatever_a_cell_holds_is_a_finite_number_or_bad(cell):
    try:
        (value,) = prepare_row(
            RawRow({"x": cell}, "a.csv#0"), (Column(name="x"),)
        ).record.values.values()
    except BadRecordError:
        return
    assert abs(value) <= 3.5e38
