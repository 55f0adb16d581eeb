"""Columns of a table: their types, from cells to stored values, codes, and back to values.

A value is what a tf.Example stores: a number, or text. A code is the number that stands for it in
an array [n, columns], float64, where a missing value is NaN.
"""

import abc
import datetime
import decimal
import math
import reprlib
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
import tensorflow as tf
from pydantic import Field, model_serializer, model_validator

from components.common.config import Config, name_in
from components.common.registry import Registry
from components.data import datetimes

# Stored and, between stages, handed on.
Value = float | int | str
# Of a CSV file text, of a Parquet file a value of its type.
Cell = Any

# A missing value of a column that holds no names, in lower case, as R, pandas, SQL, spreadsheets
# and others write it. In a column of names, all but the empty cell may be names.
MISSING = frozenset(
    (
        "",
        "na",
        "n/a",
        "#n/a",
        "<na>",
        "nan",
        "-nan",
        "nat",
        "null",
        "none",
        "nil",
        "?",
        "-",
        "--",
        "missing",
    )
)

_LARGEST_NUMBER = float(np.finfo(np.float32).max)
# From here on numbers round to infinity in 32 bits; the largest's own text is a little larger.
_OVERFLOW = 2.0**128 - 2.0**103
# Up to here float64 holds every whole number.
LARGEST_INTEGER = 2**53
_TRUE, _FALSE = "true", "false"

COLUMN_TYPES: Registry["ColumnType"] = Registry("column type")


class ColumnType(abc.ABC):
    """What cells of a column mean.

    Attributes:
      feature: dtype of the values in tf.Examples.
      discrete: whether values are names, without an order.
      arrow: the type of the column in a Parquet file.
    """

    feature: tf.DType
    discrete = False
    arrow: pa.DataType

    @abc.abstractmethod
    def parse(self, column: "Column", cell: Cell) -> Value:
        """The value of a cell that is not missing.

        Raises:
          ValueError: "expected …", if it is not of this type.
        """

    def is_missing(self, cell: Cell) -> bool:
        """Whether a cell holds no value."""
        if isinstance(cell, str):
            return cell.strip().lower() in MISSING
        return cell is None or (isinstance(cell, float) and math.isnan(cell))

    def text(self, column: "Column", value: Value) -> str:
        """A value as a CSV file holds it."""
        del column
        return str(value)

    def typed(self, value: Value) -> object:
        """A value as a Parquet file holds it, of the type `arrow`."""
        return value


class _Number(ColumnType):
    feature, arrow = tf.float32, pa.float32()

    def parse(self, column: "Column", cell: Cell) -> float:
        del column
        number = as_number(cell)
        # Also refuses NaN.
        if number is None or not abs(number) < _OVERFLOW:
            raise ValueError("expected a number (finite, 32 bits)")
        return min(max(number, -_LARGEST_NUMBER), _LARGEST_NUMBER)

    def text(self, column: "Column", value: Value) -> str:
        del column
        # The shortest that is the same in 32 bits.
        return str(np.float32(value))


class _Integer(ColumnType):
    feature, arrow = tf.int64, pa.int64()

    def parse(self, column: "Column", cell: Cell) -> int:
        del column
        number = as_number(cell)
        if number is None or not abs(number) <= LARGEST_INTEGER or number != int(number):
            raise ValueError("expected a whole number (up to 2^53); or set its type to number")
        return int(number)


class _Categorical(ColumnType):
    feature, arrow, discrete = tf.string, pa.string(), True

    def parse(self, column: "Column", cell: Cell) -> str:
        del column
        if isinstance(cell, bytes | float | list | dict):
            raise ValueError("expected text or a whole number")
        return str(cell).strip()

    def is_missing(self, cell: Cell) -> bool:
        return cell is None or cell == "" or (isinstance(cell, str) and not cell.strip())


class _Boolean(ColumnType):
    feature, arrow, discrete = tf.string, pa.bool_(), True

    def parse(self, column: "Column", cell: Cell) -> str:
        del column
        text = str(cell).strip()
        if text.lower() not in (_TRUE, _FALSE):
            raise ValueError("expected true or false; or set its type to categorical")
        return text

    def typed(self, value: Value) -> object:
        return str(value).lower() == _TRUE


class _Datetime(ColumnType):
    """In microseconds since 1970, UTC, so that whole numbers hold them."""

    feature, arrow = tf.int64, pa.timestamp("us")

    def parse(self, column: "Column", cell: Cell) -> int:
        assert column.format is not None  # `Column` sees to it.
        if isinstance(cell, datetime.date):
            return datetimes.microseconds(cell)
        try:
            return datetimes.parse(str(cell).strip(), column.format)
        except ValueError as error:
            raise ValueError(f"expected a time as in {column.format}") from error

    def text(self, column: "Column", value: Value) -> str:
        assert column.format is not None  # `Column` sees to it.
        return datetimes.text(int(value), column.format)


for _name, _type in {
    "number": _Number(),
    "integer": _Integer(),
    "categorical": _Categorical(),
    "boolean": _Boolean(),
    "datetime": _Datetime(),
}.items():
    COLUMN_TYPES.register(_name)(_type)


class Column(Config):
    """One column; in a recipe the name alone stands for one of numbers, none of them missing."""

    name: str = Field(min_length=1, description="as the header of the file has it")
    type: Annotated[str, name_in(COLUMN_TYPES)] = Field(
        "number", description="number, integer, categorical, boolean or datetime"
    )
    format: str | None = Field(
        None,
        description="of datetimes, as of Python's strptime: %Y-%m-%d; default: %Y-%m-%d %H:%M:%S",
    )
    missing: bool = Field(
        False, description="whether values may be missing; otherwise such a row is a bad record"
    )

    @model_validator(mode="before")
    @classmethod
    def _name_alone(cls, given: object) -> object:
        return {"name": given} if isinstance(given, str) else given

    @model_validator(mode="after")
    def _format_is_of_datetimes(self) -> "Column":
        if self.type != "datetime":
            if self.format is not None:
                raise ValueError(f"format: {self.format!r} for a column of type {self.type}")
        elif self.format is None:
            # Frozen for everybody else.
            object.__setattr__(self, "format", datetimes.DEFAULT)
        else:
            datetimes.check(self.format)
        return self

    @model_serializer(mode="wrap")
    def _as_short_as_possible(self, serialize: Any) -> object:  # noqa: ANN401
        tree = {key: value for key, value in serialize(self).items() if value}
        return self.name if self == Column(name=self.name) else tree

    def in_full(self) -> dict[str, Any]:
        """All that is known about it, as JSON; without a format, unless it is of datetimes."""
        return {
            "name": self.name,
            "type": self.type,
            **({"format": self.format} if self.format else {}),
            "missing": self.missing,
        }

    @property
    def kind(self) -> ColumnType:
        """What its cells mean."""
        return COLUMN_TYPES.get(self.type)

    def value(self, cell: Cell) -> Value | None:
        """The value of a cell; None for a missing one.

        Raises:
          ValueError: with what was found and expected.
        """
        kind = self.kind
        if kind.is_missing(cell):
            if self.missing:
                return None
            found = "nothing" if cell in (None, "") else reprlib.repr(cell)
            raise ValueError(
                f"the column {self.name!r} holds {found}, but has no missing values "
                "(data.columns would say missing: true)"
            )
        try:
            return kind.parse(self, cell)
        except ValueError as error:
            found = reprlib.repr(cell)
            raise ValueError(f"the column {self.name!r} holds {found}, {error}") from None


def values_of(
    codes: np.ndarray, column: Column, categories: Mapping[str, Sequence[str]]
) -> list[Value | None]:
    """The values that the codes [n] of a column stand for; None for missing ones."""
    if column.kind.discrete:
        names = categories[column.name]
        return [None if math.isnan(code) else names[int(code)] for code in codes]
    if column.kind.feature.is_integer:
        return [None if math.isnan(code) else round(code) for code in codes]
    return [None if math.isnan(code) else float(code) for code in codes]


def as_number(cell: Cell) -> float | None:
    """The number that a cell is, possibly infinite or NaN; None if it is none."""
    if not isinstance(cell, str | int | float | decimal.Decimal) or isinstance(cell, bool):
        return None
    # Python reads 1_000 as a number.
    if isinstance(cell, str) and "_" in cell:
        return None
    try:
        return float(cell)
    except (OverflowError, ValueError):
        return None
