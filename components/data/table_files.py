"""Rows of tables as CSV and Parquet files."""

import io
import os
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pyarrow as pa
from pyarrow import csv, parquet

from components.common import files
from components.data.columns import Column, values_of


def save(
    codes: np.ndarray,
    columns: Sequence[Column],
    categories: Mapping[str, Sequence[str]],
    path: str,
) -> None:
    """Writes rows to a path or URI, atomically, with the values that their codes stand for.

    Args:
      codes: [n, columns], NaN for a missing value.
      columns: of the rows.
      categories: of the discrete columns, by name.
      path: ends in one of EXTENSIONS, which selects the format: text as in the data's own CSV
        files, or the columns' types.
    """
    write, typed = _FORMATS[os.path.splitext(path)[1].lower()]
    arrays = [
        array(codes[:, place], column, categories, typed=typed)
        for place, column in enumerate(columns)
    ]
    table = pa.Table.from_arrays(arrays, names=[column.name for column in columns])
    buffer = io.BytesIO()
    write(table, buffer)
    files.write(path, buffer.getvalue())


def array(
    codes: np.ndarray, column: Column, categories: Mapping[str, Sequence[str]], *, typed: bool
) -> pa.Array:
    """The values [n] of a column, of its type or as text of a CSV file; null where missing."""
    kind = column.kind
    if column.type == "number":
        return pa.array(codes.astype(np.float32), mask=np.isnan(codes))
    values = values_of(codes, column, categories)
    # Whole numbers are the same in both.
    if typed or pa.types.is_integer(kind.arrow):
        return pa.array([None if v is None else kind.typed(v) for v in values], kind.arrow)
    return pa.array([None if v is None else kind.text(column, v) for v in values], pa.string())


# By extension of the file's name: what writes a table, and whether columns have their types.
_FORMATS: Mapping[str, tuple[Callable[[pa.Table, io.BytesIO], None], bool]] = {
    ".csv": (csv.write_csv, False),
    ".parquet": (parquet.write_table, True),
}
EXTENSIONS = tuple(_FORMATS)
