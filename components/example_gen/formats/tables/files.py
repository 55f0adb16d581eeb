"""The files of a table, whatever their format."""

import posixpath
import re
from collections import Counter
from collections.abc import Mapping, Sequence

from components.example_gen.formats.tables.csv_file import CsvFile
from components.example_gen.formats.tables.parquet_file import ParquetFile

CSV = re.compile(r".*\.(csv|tsv)(\.gz)?", re.IGNORECASE)

# Columns that a message names.
_NAMED = 20

TableFile = CsvFile | ParquetFile


def opened(path: str, encoding: str | None = None, header: bool | None = None) -> TableFile:
    """A file of a table; arguments as of `CsvFile`."""
    if CSV.fullmatch(posixpath.basename(path)):
        return CsvFile(path, encoding, header)
    return ParquetFile(path)


def check_encoding(name: str) -> None:
    """Raises ValueError for an encoding that there is not."""
    try:
        "".encode(name)
    except LookupError as error:
        raise ValueError(
            f"data.encoding: no encoding {name!r}; name one of Python's, such as cp1252 or utf-16"
        ) from error


def check_unique(path: str, names: Sequence[str], wanted: Mapping[str, str]) -> None:
    """Raises ValueError for a wanted column that is missing or repeated; by name, what to do."""
    counts = Counter(names)
    for name, key in wanted.items():
        if counts[name] != 1:
            listed = ", ".join(names[:_NAMED])
            more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
            found = f"{counts[name] or 'no'} columns are called {name!r} ({key})"
            raise ValueError(f"{path}: {found}; the columns are {listed}{more}")
