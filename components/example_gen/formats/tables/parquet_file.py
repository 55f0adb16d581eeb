"""Parquet files of tables."""

import posixpath
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import pyarrow as pa

from components.data.columns import Cell, Column
from components.example_gen.formats import parquet
from components.example_gen.formats.tables.cells import Cells

_BATCH_ROWS = 4096
_FEW = 16

# A row by column, and what is wrong with it, or None.
Row = tuple[Mapping[str, Cell], str | None]


class ParquetFile:
    """A Parquet file, with the methods of `CsvFile`: columns have types, and null is empty."""

    def __init__(self, path: str) -> None:
        self._path = path
        with parquet.opened(path) as file:
            self._schema = file.schema_arrow
            metadata = file.metadata
        self.names = list(self._schema.names)
        self._counts = [
            metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)
        ]

    def columns(self, rows: int) -> dict[str, Cells]:
        """What the first rows hold, by the column's name."""
        found: dict[str, Cells] = {}
        for field in self._schema:
            readable = any(holds(_content(field.type)) for holds in _HOLDS.values())
            kind = None if readable else str(field.type)
            found[field.name] = Cells(kind, names=pa.types.is_dictionary(field.type))
        source = posixpath.basename(self._path)
        # A few values tell whether bytes are text; many may be large.
        for name, values in self._first(_FEW, [n for n, cells in found.items() if not cells.kind]):
            if any(isinstance(value, bytes) for value in values):
                found[name].kind = f"{self._schema.field(name).type} that is not text"
        for name, values in self._first(rows, [n for n, cells in found.items() if not cells.kind]):
            for row, value in enumerate(values):
                found[name].add(value, source, row)
        return found

    def _first(self, rows: int, names: Sequence[str]) -> Iterable[tuple[str, list[Cell]]]:
        """The first values of columns, by name."""
        if not names:
            return ()
        with parquet.opened(self._path) as file:
            batches = file.iter_batches(rows, columns=list(names), use_threads=False)
            return _by_name(next(batches, None)).items()

    def check_header(self) -> None:
        """Raises ValueError if there are no rows."""
        if not sum(self._counts):
            raise ValueError(f"{self._path}: no rows")

    def has_labels(self, name: str, cells: Cells) -> bool:
        """Whether a column holds whole numbers or names."""
        del cells
        return parquet.is_label(self._schema.field(name).type)

    def check(self, columns: Sequence[Column], label: str | None) -> None:
        """Raises ValueError for columns whose type cannot hold what they should."""
        for column in columns:
            kind = self._schema.field(column.name).type
            if not _HOLDS[column.type](_content(kind)):
                others = [name for name, holds in _HOLDS.items() if holds(_content(kind))]
                could = f"; its type could be {' or '.join(others)}" if others else ""
                raise ValueError(
                    f"{self._path}: the column {column.name!r} is {kind}, not of the type "
                    f"{column.type}{could} (data.columns)"
                )
        if label:
            parquet.check_label(self._path, self._schema, label)

    def groups(self, label: str | None) -> Iterator[tuple[int, set[str]]]:
        """The number of rows and the names of classes of every row group."""
        for group, count in enumerate(self._counts):
            yield count, set(parquet.class_names(self._path, group, label))

    def rows(self, group: int, names: Sequence[str]) -> Iterator[Row]:
        """The rows of a row group, with the columns in `names`."""
        with parquet.opened(self._path) as file:
            for batch in file.iter_batches(
                _BATCH_ROWS, row_groups=[group], columns=list(names), use_threads=False
            ):
                by_name = _by_name(batch)
                for values in zip(*by_name.values(), strict=True):
                    yield dict(zip(by_name, values, strict=True)), None


def _by_name(batch: pa.RecordBatch | None) -> dict[str, list[Cell]]:
    """The values of the columns; datetimes in microseconds, without what is finer.

    Bytes are text where they can be: Impala and others do not mark it as such.
    """
    found: dict[str, list[Cell]] = {}
    for field, values in zip(batch.schema, batch.columns, strict=True) if batch else ():
        if pa.types.is_timestamp(field.type):
            values = values.cast(pa.timestamp("us", field.type.tz), safe=False)
        found[field.name] = values.to_pylist()
        if _is_bytes(_content(field.type)):
            found[field.name] = [_text(value) for value in found[field.name]]
    return found


def _text(value: bytes | None) -> str | bytes | None:
    """The text that bytes are in UTF-8, or the bytes."""
    try:
        return value.decode() if value is not None else None
    except UnicodeDecodeError:
        return value


def _content(kind: pa.DataType) -> pa.DataType:
    """The type of the values of a column."""
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _is_number(kind: pa.DataType) -> bool:
    tests = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, _is_text)
    return any(test(kind) for test in tests)


def _is_bytes(kind: pa.DataType) -> bool:
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or _is_bytes(kind)


def _is_name(kind: pa.DataType) -> bool:
    return _is_text(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind)


def _is_truth(kind: pa.DataType) -> bool:
    return _is_text(kind) or pa.types.is_boolean(kind)


def _is_time(kind: pa.DataType) -> bool:
    # Whole numbers are dates in %Y%m%d.
    tests = (pa.types.is_date, pa.types.is_timestamp, pa.types.is_integer, _is_text)
    return any(test(kind) for test in tests)


# By the type of a column, whether one of a file can hold it.
_HOLDS: Mapping[str, Callable[[pa.DataType], bool]] = {
    "number": _is_number,
    "integer": _is_number,
    "categorical": _is_name,
    "boolean": _is_truth,
    "datetime": _is_time,
}
