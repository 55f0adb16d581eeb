"""In which format the datetimes of a column are written."""

import datetime
import functools
import itertools
import re
from collections.abc import Collection

from components.data import datetimes
from components.data.columns import Cell
from components.data.datetimes import parts

_DATES = (
    "%Y-%m-%d",
    "%Y/%m/%d",
    "%Y.%m.%d",
    *(
        separator.join(order)
        for separator in "/.-"
        for year in ("%Y", "%y")
        for order in (("%d", "%m", year), ("%m", "%d", year))
    ),
    "%y-%m-%d",
    "%y/%m/%d",
    *(
        form.replace("%b", month).replace("%Y", year)
        for form in ("%d %b %Y", "%d-%b-%Y", "%d. %b %Y", "%b %d, %Y", "%b %d %Y")
        for month in ("%b", "%B")
        for year in ("%Y", "%y")
    ),
)
_TIMES = ("%H:%M:%S", "%H:%M:%S.%f", "%H:%M")
# Of UTC. Other zones have no directive that a graph can write.
_ZONES = ("", "Z", "+00:00", " UTC")
FORMATS = (
    *_DATES,
    *(
        date + between + time + zone
        for date, between, time, zone in itertools.product(_DATES, (" ", "T"), _TIMES, _ZONES)
        if between == " " or date.startswith("%Y")
    ),
    "%Y-%m",
    "%m/%Y",
    *_TIMES,
)
# Numbers are dates only if all have eight digits and are those of a day.
_COMPACT = "%Y%m%d"
_EIGHT_DIGITS = re.compile(r"(19|20)\d{6}")
_SHAPES = {
    "%Y": r"\d{4}",
    "%y": r"\d{2}",
    "%f": r"\d{1,6}",
    "%b": "[A-Za-z]{3}",
    "%B": "[A-Za-z]{3,9}",
    **dict.fromkeys(("%m", "%d", "%H", "%M", "%S"), r"\d{1,2}"),
}


def formats_of(cells: Collection[Cell]) -> list[str]:
    """The formats in which all cells are datetimes; several if they may mean different times.

    Args:
      cells: different ones that are there, text or values of a typed column.
    """
    texts = [str(cell) for cell in cells if not isinstance(cell, datetime.date)]
    if not texts:
        return [_format_of(cells)] if cells else []
    if all(_EIGHT_DIGITS.fullmatch(text) for text in texts):
        candidates = [_COMPACT]
    else:
        # Far faster than `strptime`, which compiles most of so many formats anew.
        candidates = [form for form, shape in _shapes() if shape.fullmatch(texts[0])]
    found = [form for form in candidates if all(_reads(form, text) for text in texts)]
    # May is both %b and %B, which mean the same.
    return list({form.replace("%B", "%b"): form for form in reversed(found)}.values())[::-1]


@functools.cache
def _shapes() -> list[tuple[str, re.Pattern[str]]]:
    """The formats, with what text in them looks like."""
    return [
        (form, re.compile("".join(_SHAPES.get(part, re.escape(part)) for part in parts(form))))
        for form in FORMATS
    ]


def _reads(form: str, text: str) -> bool:
    try:
        datetimes.parse(text, form)
    except ValueError:
        return False
    return True


def _format_of(moments: Collection[Cell]) -> str:
    """The shortest format that keeps typed values."""
    if not any(isinstance(moment, datetime.datetime) for moment in moments):
        return "%Y-%m-%d"
    whole = all(not getattr(moment, "microsecond", 0) for moment in moments)
    return datetimes.DEFAULT if whole else f"{datetimes.DEFAULT}.%f"
