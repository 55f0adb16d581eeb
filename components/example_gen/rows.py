"""A row as it was found to numbers as the recipe wants them."""

import dataclasses
import reprlib
from collections.abc import Mapping, Sequence

import numpy as np

from components.data.vectors import VectorRecord
from components.example_gen.prepare import BadRecordError, Prepared

# Examples hold 32 bits.
_LARGEST = float(np.finfo(np.float32).max)


@dataclasses.dataclass(frozen=True)
class RawRow:
    """A row as it was found.

    Attributes:
      values: by name of column; text, numbers, or None for nothing.
      source: where it came from, e.g. `weather.csv#17`.
      label: the class, from 0, or None.
      error: why the row cannot be had, or None.
      class_name: of the class, or None.
    """

    values: Mapping[str, str | float | None]
    source: str
    label: int | None = None
    error: str | None = None
    class_name: str | None = None


def prepare(raw: RawRow, columns: Sequence[str]) -> Prepared:
    """The numbers of a row.

    Raises:
      BadRecordError: with the reason, for a row that cannot be had, and a column that holds
        anything but a finite number of 32 bits.
    """
    if raw.error is not None:
        raise BadRecordError(raw.error)
    values = {name: _number(name, raw.values[name]) for name in columns}
    return Prepared(VectorRecord(values, raw.source, raw.label, raw.class_name))


def _number(column: str, value: str | float | None) -> float:
    try:
        number = float(value)
    except (OverflowError, TypeError, ValueError):
        number = np.nan
    # Also refuses NaN.
    if not abs(number) <= _LARGEST:
        found = "nothing" if value in (None, "") else reprlib.repr(value)
        raise BadRecordError(
            f"the column {column!r} holds {found}, expected a number (finite, 32 bits)"
        )
    return number
