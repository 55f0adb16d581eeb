"""Of which type a column is, and whether it is worth learning."""

import dataclasses
import re
from collections.abc import Sequence

from components.data.columns import COLUMN_TYPES, LARGEST_INTEGER, Cell, Column, as_number
from components.example_gen.formats.tables import dates
from components.example_gen.formats.tables.cells import Cells

# With fewer rows nothing is said of ids and constants.
_ENOUGH = 20
# A column of names has at most this many, and each twice on average.
_MOST_NAMES = 500
_ID = re.compile(r"(?i:(.*[\W_])?(id|uuid|guid|key|index))|.*[a-z](Id|ID)")
_UNREAD_TIME = re.compile(r".*\d:\d\d.*( ?[AP]M|[+-]\d\d:?\d\d)", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class Recognised:
    """What a column is.

    Attributes:
      column: with its type; None if it cannot be learnt without being told how.
      reason: why it is left out unless it is asked for; empty if it is not.
    """

    column: Column | None
    reason: str = ""


def recognise(name: str, cells: Cells) -> Recognised:
    """The type of a column, from its cells in the first rows."""
    if cells.kind is not None:
        return Recognised(None, f"it is {cells.kind}")
    if not cells.total:
        return Recognised(None, "it has no rows")
    if not cells.numbers and not cells.others:
        first = cells.first_missing
        return Recognised(None, f"it is empty in the first {cells.total} rows, {first}")
    for type_name in ("boolean", "datetime", "integer", "number"):
        there = _there(type_name, cells)
        missing = cells.missing > 0
        if cells.names or not there:
            break
        if type_name == "datetime":
            formats = dates.formats_of(there)
            if len(formats) > 1:
                return Recognised(None, _two_readings(name, formats, there[0]))
            if formats:
                column = Column(name=name, type=type_name, format=formats[0], missing=missing)
                return Recognised(column, _constant(cells, there))
        elif _IS[type_name](cells, there):
            column = Column(name=name, type=type_name, missing=missing)
            reason = _constant(cells, there) or _number_id(name, cells, there)
            return Recognised(column, reason)
    return _names(name, cells)


def _there(type_name: str, cells: Cells) -> list[Cell]:
    """The different values of cells that are not missing in a column of the type."""
    kind = COLUMN_TYPES.get(type_name)
    return [cell for cell in cells.counts if not kind.is_missing(cell)]


def _is_boolean(cells: Cells, there: Sequence[Cell]) -> bool:
    del cells
    return all(str(cell).lower() in ("true", "false") for cell in there)


def _is_integer(cells: Cells, there: Sequence[Cell]) -> bool:
    if not _is_number(cells, there):
        return False
    numbers = (as_number(str(cell)) for cell in there)
    return all(n is None or (n.is_integer() and abs(n) <= LARGEST_INTEGER) for n in numbers)


def _is_number(cells: Cells, there: Sequence[Cell]) -> bool:
    del there
    return cells.is_numeric and cells.first_code is None


_IS = {"boolean": _is_boolean, "integer": _is_integer, "number": _is_number}


def _constant(cells: Cells, there: Sequence[Cell]) -> str:
    if len(there) == 1 and not cells.missing and cells.total >= _ENOUGH:
        return f"a constant: all of the first {cells.total} rows hold {str(there[0])!r}"
    return ""


def _number_id(name: str, cells: Cells, there: Sequence[Cell]) -> str:
    """Why whole numbers are an id rather than a quantity; empty if they are not."""
    distinct = cells.numbers == len(there) >= _ENOUGH and not cells.others
    if not distinct or not all(float(cell).is_integer() for cell in there):
        return ""
    if cells.increasing:
        return f"an id: the first {cells.total} rows hold different, increasing whole numbers"
    if _ID.fullmatch(name) or max(abs(float(cell)) for cell in there) > LARGEST_INTEGER:
        return f"an id: the first {cells.total} rows hold different whole numbers"
    return ""


def _names(name: str, cells: Cells) -> Recognised:
    """A column of names, or of text that is none."""
    if cells.is_dressed and not cells.names:
        return Recognised(None, f"{cells.first_other}, numbers otherwise")
    first = cells.first_other or cells.first_code
    # Of names only the empty cell is missing.
    column = Column(name=name, type="categorical", missing=cells.empty > 0)
    there = list(cells.counts)
    count = cells.total - cells.empty
    reason = _constant(cells, there)
    if reason or cells.names:
        return Recognised(column, reason)
    if len(there) == count >= _ENOUGH:
        reason = f"an id or free text: the first {count} rows hold different text; {first}"
    elif 2 * len(there) > count or len(there) > _MOST_NAMES:
        reason = f"{len(there):,} different values in the first {count:,} rows; {first}"
        if cells.numbers and cells.others:
            reason += f", {cells.others} of the first {cells.total} are no numbers"
    if reason and first and _UNREAD_TIME.fullmatch(first.text):
        reason += " (times with AM and PM, or of zones other than UTC, are not read)"
    return Recognised(column, reason)


def _two_readings(name: str, formats: Sequence[str], first: Cell) -> str:
    return (
        f"{str(first)!r} and all others are dates both in {' and in '.join(formats)}; data.columns "
        f'decides: {{name: {name}, type: datetime, format: "{formats[0]}"}}'
    )
