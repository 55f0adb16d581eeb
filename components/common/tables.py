"""Rows of named numeric columns as CSV and Parquet files."""

import io
import os
from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
from pyarrow import csv, parquet

from components.common import files

# File name extension to the function that writes a table to a buffer.
_WRITERS: dict[str, Callable[[pa.Table, io.BytesIO], None]] = {
    ".csv": csv.write_csv,
    ".parquet": parquet.write_table,
}
EXTENSIONS = tuple(_WRITERS)


def save(rows: np.ndarray, columns: Sequence[str], path: str) -> None:
    """Writes rows [n, columns] to a path or URI, atomically.

    Args:
      rows: the numbers.
      columns: names of the columns.
      path: ends in one of EXTENSIONS, which selects the format.
    """
    table = pa.Table.from_arrays(list(np.ascontiguousarray(rows.T)), names=list(columns))
    buffer = io.BytesIO()
    _WRITERS[os.path.splitext(path)[1].lower()](table, buffer)
    files.write(path, buffer.getvalue())
