"""CSV and Parquet files of numeric columns."""

import csv
import dataclasses
import gzip
import io
import itertools
import math
import posixpath
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

import pyarrow as pa

from components.data.vectors import VectorRecord
from components.example_gen.formats import parquet
from components.example_gen.formats.reader import LABEL_COLUMNS, Class, Reader, as_class, as_classes
from components.example_gen.paths import INSIDE, open_file
from components.example_gen.prepare import BadRecordError, RawRow, prepare_row

FORMAT = "table"

_CSV = re.compile(r".*\.(csv|tsv)(\.gz)?", re.IGNORECASE)

_DELIMITERS = ",;\t"
_BATCH_ROWS = 4096
# Rows of a CSV file that decide which columns are numeric.
_SAMPLE = 1000


@dataclasses.dataclass(frozen=True)
class Table:
    """The names of the numeric columns, and of the column of labels, if any."""

    columns: tuple[str, ...]
    label: str | None


@dataclasses.dataclass(frozen=True)
class Rows:
    """A CSV file, or a row group of a Parquet file.

    Attributes:
      path: of the file.
      source: its path relative to the data's folder.
      group: the row group; 0 for a CSV file.
      first: index of the first row in the file, from 0.
      count: number of rows.
      label: the column of labels, or None.
      classes: by name, if labels are names.
    """

    path: str
    source: str
    group: int
    first: int
    count: int
    label: str | None
    classes: Mapping[str, Class] = dataclasses.field(default_factory=dict)


class TableReader(Reader[Rows]):
    """Numeric `columns`, and optionally a column of labels; other columns are ignored.

    Labels are whole numbers, or names, which are numbered in sorted order over all splits.
    `features` names their column; by default it is `label`, `labels`, `class` or `target`, unless
    that is one of `columns`. CSV is UTF-8 text whose first row names the columns; the delimiter is
    the comma, semicolon or tab, whichever is most frequent in that row.

    Raises:
      ValueError: without `columns`.
    """

    options: ClassVar[frozenset[str]] = frozenset({"features", "columns"})
    pattern: ClassVar[re.Pattern[str]] = re.compile(
        f"{_CSV.pattern}|{parquet.ParquetReader.pattern.pattern}", re.IGNORECASE
    )
    kind: ClassVar[str] = "CSV or Parquet file"

    def check_options(self) -> None:
        if not self.columns:
            raise ValueError(
                "data.columns: a table needs the names of its numeric columns, found none"
            )
        if "image" in self.features:
            raise ValueError("data.features.image: a table has no images; leave it out")
        label = self.features.get("label")
        if label in self.columns:
            raise ValueError(f"data.features.label: {label!r} is one of data.columns too")

    def shards(self, base: str, splits: Mapping[str, str]) -> dict[str, list[Rows]]:
        """Row groups of Parquet files, and whole CSV files, which are read to count rows."""
        known: set[str] = set()
        found: dict[str, list[Rows]] = {split: [] for split in splits}
        for split, paths in self.files(base, splits).items():
            for path in paths:
                file = _opened(path)
                label = self._label(path, file.names)
                file.check(self.columns, label)
                source, first = posixpath.relpath(path, base), 0
                for group, (count, names) in enumerate(file.groups(label)):
                    found[split].append(Rows(path, source, group, first, count, label))
                    known |= names
                    first += count
        classes = as_classes(known)
        return {
            split: [dataclasses.replace(each, classes=classes) for each in listed]
            for split, listed in found.items()
        }

    def _label(self, path: str, names: Sequence[str]) -> str | None:
        """The column of labels; ValueError for a wanted column that is missing or repeated."""
        wanted = dict.fromkeys(self.columns, "data.columns")
        if "label" in self.features:
            wanted[self.features["label"]] = "data.features.label"
        for name, key in wanted.items():
            if names.count(name) != 1:
                found = f"{names.count(name) or 'no'} columns are called {name!r} ({key})"
                raise ValueError(f"{path}: {found}; the columns are {', '.join(names)}")
        usual = (name for name in LABEL_COLUMNS if name in names and name not in self.columns)
        return self.features.get("label") or next(usual, None)

    def count(self, shards: Sequence[Rows]) -> int:
        return sum(shard.count for shard in shards)

    def records(self, shard: Rows) -> Iterator[RawRow]:
        wanted = [*self.columns, *([shard.label] if shard.label else [])]
        found = _opened(shard.path).rows(shard.group, wanted)
        for index, (values, error) in enumerate(found, shard.first):
            source, of = f"{shard.source}{INSIDE}{index}", Class()
            if shard.label and error is None:
                try:
                    value = values[shard.label]
                    # CSV cells are text, and `check` refused other Parquet columns.
                    assert value is None or isinstance(value, int | str)
                    of = as_class(value, shard.label, shard.classes)
                except BadRecordError as reason:
                    error = str(reason)
            yield RawRow(values, source, of.label, error, of.name)

    def read(self, shard: Rows) -> Iterator[VectorRecord]:
        """The rows of a shard; raises ValueError naming the first bad one."""
        for raw in self.records(shard):
            try:
                yield prepare_row(raw, self.columns).record
            except BadRecordError as error:
                raise ValueError(f"{raw.source}: {error}") from error


def inspect(files: Sequence[str]) -> Table:
    """The columns that all files of a table have in common.

    A column of a CSV file is numeric if its cells in the first rows are numbers or empty.

    Raises:
      ValueError: for files without a common numeric column, and for damaged files.
    """
    opened = [_opened(path) for path in files]
    names = [name for name in opened[0].names if all(name in file.names for file in opened)]
    numeric = [set(file.numeric()) for file in opened]
    labels = (name for name in LABEL_COLUMNS if all(file.has_labels(name) for file in opened))
    label = next(labels, None)
    columns = [name for name in names if name != label and all(name in own for own in numeric)]
    if not columns:
        raise ValueError(f"{files[0]}: no column of numbers; found {', '.join(names) or 'none'}")
    return Table(tuple(columns), label)


# A row by column, and what is wrong with it, or None.
_Row = tuple[Mapping[str, str | float | None], str | None]
_TextRow = tuple[Mapping[str, str | None], str | None]


class _CsvFile:
    """A CSV file: every cell is text, and "" is empty."""

    def __init__(self, path: str) -> None:
        self._path = path
        header = next(self._lines(), None)
        if header is None:
            raise ValueError(f"{path}: the file is empty, expected a header row")
        self.names = [name.strip() for name in header]

    def numeric(self) -> list[str]:
        """The columns of numbers."""
        first = self._first_cells([name for name in self.names if name])
        return [name for name, cells in first.items() if cells and all(map(_is_number, cells))]

    def has_labels(self, name: str) -> bool:
        """Whether there is such a column, of whole numbers or names."""
        if name not in self.names:
            return False
        cells = self._first_cells([name])[name]
        return bool(cells) and all(map(_is_class, cells))

    def check(self, columns: Sequence[str], label: str | None) -> None:
        """Raises ValueError for columns that cannot hold numbers or labels; text can."""

    def groups(self, label: str | None) -> Iterator[tuple[int, set[str]]]:
        """The number of rows and the names of classes of every part."""
        count = 0
        cells: set[str] = set()
        for row, _ in self.rows(0, [label] if label else []):
            count += 1
            if label and (cell := row.get(label)):
                cells.add(cell)
        yield count, set(filter(_is_class, cells))

    def rows(self, group: int, names: Sequence[str]) -> Iterator[_TextRow]:
        places = {name: self.names.index(name) for name in names}
        for cells in itertools.islice(self._lines(), 1, None):
            if len(cells) == len(self.names):
                yield {name: cells[place].strip() or None for name, place in places.items()}, None
            else:
                yield {}, f"{len(cells)} fields, the first row has {len(self.names)}"

    def _first_cells(self, names: Sequence[str]) -> dict[str, set[str]]:
        """The distinct non-empty cells of columns in the first rows."""
        first = list(itertools.islice(self.rows(0, names), _SAMPLE))
        return {name: {cell for row, _ in first if (cell := row.get(name))} for name in names}

    def _lines(self) -> Iterator[list[str]]:
        """The cells of every row, including the header, without blank lines."""
        with open_file(self._path) as file:
            zipped = self._path.lower().endswith(".gz")
            # Bytes that are not UTF-8 make only the cell that holds them invalid.
            text = io.TextIOWrapper(
                gzip.GzipFile(fileobj=file) if zipped else file,
                "utf-8-sig",
                "backslashreplace",
                newline="",
            )
            try:
                first = text.readline()
                delimiter = max(_DELIMITERS, key=first.count)
                # Python 3.10's csv refuses NUL.
                whole = (line.replace("\0", r"\0") for line in itertools.chain([first], text))
                yield from filter(None, csv.reader(whole, delimiter=delimiter, strict=True))
            except (csv.Error, EOFError, gzip.BadGzipFile, zlib.error) as error:
                raise ValueError(f"{self._path}: not a whole CSV file ({error})") from error


class _ParquetFile:
    """A Parquet file, with the methods of `_CsvFile`: columns have types, and null is empty."""

    def __init__(self, path: str) -> None:
        self._path = path
        with parquet.opened(path) as file:
            self._schema = file.schema_arrow
            metadata = file.metadata
        self.names = list(self._schema.names)
        self._counts = [
            metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)
        ]

    def numeric(self) -> list[str]:
        return [field.name for field in self._schema if _is_numeric(field.type)]

    def has_labels(self, name: str) -> bool:
        return name in self.names and parquet.is_label(self._schema.field(name).type)

    def check(self, columns: Sequence[str], label: str | None) -> None:
        for name in columns:
            kind = self._schema.field(name).type
            if not _is_numeric(kind):
                raise ValueError(f"{self._path}: the column {name!r} is {kind}, expected numbers")
        if label:
            parquet.check_label(self._path, self._schema, label)

    def groups(self, label: str | None) -> Iterator[tuple[int, set[str]]]:
        for group, count in enumerate(self._counts):
            yield count, set(parquet.class_names(self._path, group, label))

    def rows(self, group: int, names: Sequence[str]) -> Iterator[_Row]:
        with parquet.opened(self._path) as file:
            for batch in file.iter_batches(
                _BATCH_ROWS, row_groups=[group], columns=list(names), use_threads=False
            ):
                for row in batch.to_pylist():
                    yield row, None


_File = _CsvFile | _ParquetFile


def _opened(path: str) -> _File:
    return _CsvFile(path) if _CSV.fullmatch(posixpath.basename(path)) else _ParquetFile(path)


def _is_numeric(kind: pa.DataType) -> bool:
    return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _is_class(text: str) -> bool:
    """Whether text can be a class: anything except a number that is not whole."""
    try:
        float(text)
    except ValueError:
        return True
    return text.lstrip("+-").isdigit()
