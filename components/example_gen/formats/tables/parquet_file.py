"""Parquet files of numbers."""

from collections.abc import Iterator, Mapping, Sequence

import pyarrow as pa

from components.example_gen.formats import parquet
from components.example_gen.formats.tables.columns import Column

_BATCH_ROWS = 4096
_SAMPLE_ROWS = 1000

# A row by column, and what is wrong with it, or None.
Row = tuple[Mapping[str, str | float | None], str | None]


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

    def columns(self) -> dict[str, Column]:
        """What the first rows hold, by the column's name."""
        found = {
            field.name: Column(None if _is_numeric(field.type) else str(field.type))
            for field in self._schema
        }
        numeric = [name for name, column in found.items() if column.kind is None]
        with parquet.opened(self._path) as file:
            batches = file.iter_batches(_SAMPLE_ROWS, columns=numeric, use_threads=False)
            batch = next(batches, None) if numeric else None
            if batch is not None:
                for name in numeric:
                    for row, value in enumerate(batch.column(name).to_pylist()):
                        found[name].add(value, row)
        return found

    def check_header(self) -> None:
        """Raises ValueError if there are no rows."""
        if not sum(self._counts):
            raise ValueError(f"{self._path}: no rows")

    def has_labels(self, name: str, column: Column) -> bool:
        """Whether a column holds whole numbers or names."""
        return parquet.is_label(self._schema.field(name).type)

    def check(self, columns: Sequence[str], label: str | None) -> None:
        """Raises ValueError for columns that cannot hold numbers or labels."""
        for name in columns:
            kind = self._schema.field(name).type
            if not _is_numeric(kind):
                raise ValueError(f"{self._path}: the column {name!r} is {kind}, expected numbers")
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
                for row in batch.to_pylist():
                    yield row, None


def _is_numeric(kind: pa.DataType) -> bool:
    return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
