import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.example_gen.prepare import BadRecordError, RawRow, prepare_row


@pytest.mark.parametrize(
    ("found", "number"),
    [("4.5", 4.5), (" -1e-3 ", -0.001), ("7", 7.0), (3, 3.0), (2.5, 2.5), ("3.4e38", 3.4e38)],
)
def test_numbers_and_their_text(found, number):
    prepared = prepare_row(RawRow({"wind": found, "rain": "n/a"}, "a.csv#3", 2), ("wind",))

    assert prepared.record.values == {"wind": number}
    assert (prepared.record.source, prepared.record.label) == ("a.csv#3", 2)


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        ("n/a", "'n/a'"),
        ("", "nothing"),
        (None, "nothing"),
        ("1,5", "'1,5'"),
        ("nan", "'nan'"),
        (float("inf"), "inf"),
        (1e39, "1e+39"),
        ("x" * 1000, r"'xxxxxxxxxxxx...xxxxxxxxxxxxx'"),
    ],
)
def test_what_is_no_number_is_bad(found, reason):
    with pytest.raises(BadRecordError) as caught:
        prepare_row(RawRow({"wind": found}, "a.csv#3"), ("wind",))
    assert f"the column 'wind' holds {reason}, expected a number" in str(caught.value)


def test_a_row_that_cannot_be_had_is_bad():
    with pytest.raises(BadRecordError, match="3 fields"):
        prepare_row(RawRow({}, "a.csv#3", error="3 fields"), ("wind",))


@given(st.text() | st.floats() | st.integers() | st.none())
def test_whatever_a_cell_holds_is_a_finite_number_or_bad(cell):
    try:
        (value,) = prepare_row(RawRow({"x": cell}, "a.csv#0"), ("x",)).record.values.values()
    except BadRecordError:
        return
    assert abs(value) <= 3.5e38
