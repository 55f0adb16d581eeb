import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.data import datetimes

DAY = 86_400_000_000
# What gives a moment to the microsecond, in any order.
WHOLE = ("%Y", "%m", "%d", "%H", "%M", "%S", "%f")
BETWEEN = st.sampled_from([" ", "-", "/", ".", ", ", "T", "%%", "%%Y", "(", "+", "é"])


@settings(deadline=None)
@given(
    st.datetimes(),
    st.permutations(WHOLE),
    st.lists(BETWEEN, min_size=len(WHOLE), max_size=len(WHOLE)),
    st.sampled_from(["%m", "%b", "%B"]),
)
def test_text_of_a_moment_gives_the_moment(moment, order, between, month):
    form = "".join(part for pair in zip(order, between, strict=True) for part in pair)
    form = form.replace("%m", month)
    since = datetimes.microseconds(moment)
    assert datetimes.parse(datetimes.text(since, form), form) == since
    assert "".join(datetimes.parts(form)) == form


@pytest.mark.parametrize(
    ("moment", "since"),
    [
        (datetime.date(1970, 1, 2), DAY),
        (datetime.datetime(1969, 12, 31, 23, 59, 59, 999_999), -1),
        (datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc), 0),
        (
            datetime.datetime(
                1970, 1, 2, tzinfo=datetime.timezone(datetime.timedelta(hours=24 - 1))
            ),
            3_600_000_000,
        ),
    ],
)
def test_microseconds_since_1970(moment, since):
    assert datetimes.microseconds(moment) == since


@pytest.mark.parametrize(
    ("since", "form", "text"),
    [
        (DAY, "%Y-%m-%d", "1970-01-02"),
        (DAY + 1, "%H:%M", "00:00"),
        (-62_135_596_800_000_000, "%Y", "0001"),
        (0, "%d. %B %y, 100%%Y", "01. January 70, 100%Y"),
        (1, "%Y-%m-%dT%H:%M:%S.%fZ", "1970-01-01T00:00:00.000001Z"),
    ],
)
def test_text(since, form, text):
    assert datetimes.text(since, form) == text


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ("%Y-%j", "'%j' in '%Y-%j', expected text and %Y, "),
        ("%Y %", "'%' in '%Y %'"),
        ("%I:%M %p", "'%I'"),
        ("", "'' has no directive"),
        ("100 %%", "'100 %%' has no directive, such as %Y"),
    ],
)
def test_formats_that_a_graph_could_not_write(form, message):
    with pytest.raises(ValueError, match=message):
        datetimes.check(form)


@pytest.mark.parametrize("text", ["2020-02-30", "20-01-01", "2020-01-01 ", "soon", ""])
def test_text_in_another_format(text):
    with pytest.raises(ValueError, match="does not match|unconverted|day is out of range"):
        datetimes.parse(text, "%Y-%m-%d")
