"""Datetimes as microseconds since 1970-01-01, UTC, and as text in a format of strptime."""

import datetime
import re

DEFAULT = "%Y-%m-%d %H:%M:%S"

# The directives that graphs can write too; see `components.trainer.data.datetime_graphs`.
DIRECTIVES = ("%Y", "%y", "%m", "%d", "%H", "%M", "%S", "%f", "%b", "%B", "%%")
_DIRECTIVE = re.compile("%.?")
_EPOCH = datetime.datetime(1970, 1, 1)
_MICROSECOND = datetime.timedelta(microseconds=1)


def check(form: str) -> None:
    """Raises ValueError for a format that is not made of `DIRECTIVES` and text."""
    found = _DIRECTIVE.findall(form)
    for directive in found:
        if directive not in DIRECTIVES:
            raise ValueError(
                f"format: {directive!r} in {form!r}, expected text and {', '.join(DIRECTIVES)}"
            )
    if not set(found) - {"%%"}:
        raise ValueError(f"format: {form!r} has no directive, such as %Y")


def parts(form: str) -> list[str]:
    """A format as directives and the text between them, in order.

    >>> parts("%d. %B")
    ['%d', '. ', '%B']
    """
    return [part for part in re.split("(%.)", form) if part]


def microseconds(moment: datetime.date) -> int:
    """Since 1970; a moment without a time zone is taken to be UTC.

    >>> microseconds(datetime.date(1970, 1, 2))
    86400000000
    """
    if not isinstance(moment, datetime.datetime):
        moment = datetime.datetime(moment.year, moment.month, moment.day)
    if moment.tzinfo is not None:
        moment = moment.astimezone(datetime.timezone.utc).replace(tzinfo=None)
    return (moment - _EPOCH) // _MICROSECOND


def parse(text: str, form: str) -> int:
    """Microseconds since 1970; raises ValueError for text that is not in the format."""
    return microseconds(datetime.datetime.strptime(text, form))


def text(since: int, form: str) -> str:
    """Microseconds since 1970 in a format; what this leaves out is cut off.

    >>> text(86400000000, "%Y-%m-%d")
    '1970-01-02'
    """
    moment = _EPOCH + since * _MICROSECOND
    # Not strftime's, which has three digits for the year 800.
    year = f"{moment.year:04d}"
    return moment.strftime("".join(year if part == "%Y" else part for part in parts(form)))
