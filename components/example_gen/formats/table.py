"""CSV and Parquet files of numeric columns."""

import dataclasses
import posixpath
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import ClassVar

from components.data.vectors import VectorRecord
from components.example_gen.formats import parquet
from components.example_gen.formats.classes import Class, as_class, as_classes, check_all_labelled
from components.example_gen.formats.reader import LABEL_COLUMNS, Reader
from components.example_gen.formats.tables.columns import Column
from components.example_gen.formats.tables.csv_file import CsvFile
from components.example_gen.formats.tables.parquet_file import ParquetFile
from components.example_gen.paths import INSIDE
from components.example_gen.prepare import BadRecordError, RawRow, prepare_row

FORMAT = "table"

_CSV = re.compile(r".*\.(csv|tsv)(\.gz)?", re.IGNORECASE)

# Columns that a message names.
_NAMED = 20


@dataclasses.dataclass(frozen=True)
class Table:
    """What a table holds.

    Attributes:
      columns: the names of the numeric columns.
      label: that of the column of labels, if any.
      remarks: what is left out, and which columns have bad rows, a line each.
    """

    columns: tuple[str, ...]
    label: str | None
    remarks: tuple[str, ...] = dataclasses.field(default=(), compare=False)


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
    that is one of `columns`. CSV is text in `encoding`, by default UTF-8, whose first row names the
    columns unless `header` is false; the delimiter is the comma, semicolon, tab or |, whichever is
    most frequent in that row.

    Raises:
      ValueError: without `columns`.
    """

    options: ClassVar[frozenset[str]] = frozenset({"features", "columns", "encoding", "header"})
    pattern: ClassVar[re.Pattern[str]] = re.compile(
        f"{_CSV.pattern}|{parquet.ParquetReader.pattern.pattern}", re.IGNORECASE
    )
    kind: ClassVar[str] = "CSV or Parquet file"

    def check_options(self) -> None:
        if not self.columns:
            raise ValueError(
                "data.columns: a table needs the names of its numeric columns, found none"
            )
        if self.encoding is not None:
            _check_encoding(self.encoding)
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
                file = self._opened(path)
                label = self._label(path, file.names)
                file.check(self.columns, label)
                source, first = posixpath.relpath(path, base), 0
                for group, (count, names) in enumerate(file.groups(label)):
                    found[split].append(Rows(path, source, group, first, count, label))
                    known |= names
                    first += count
        check_all_labelled((each.path, each.label) for listed in found.values() for each in listed)
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
        _check_unique(path, names, wanted)
        usual = (name for name in LABEL_COLUMNS if name in names and name not in self.columns)
        return self.features.get("label") or next(usual, None)

    def _opened(self, path: str) -> "_File":
        return _opened(path, self.encoding, self.header)

    def count(self, shards: Sequence[Rows]) -> int:
        return sum(shard.count for shard in shards)

    def records(self, shard: Rows) -> Iterator[RawRow]:
        wanted = [*self.columns, *([shard.label] if shard.label else [])]
        found = self._opened(shard.path).rows(shard.group, wanted)
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


def _check_encoding(name: str) -> None:
    try:
        "".encode(name)
    except LookupError as error:
        raise ValueError(
            f"data.encoding: no encoding {name!r}; name one of Python's, such as cp1252 or utf-16"
        ) from error


def inspect(
    files: Sequence[str],
    encoding: str | None = None,
    header: bool | None = None,
    features: Mapping[str, str] | None = None,
    **others: object,
) -> Table:
    """The columns that all files of a table have in common.

    A column of a CSV file is numeric if nearly all of its cells in the first rows are numbers or
    missing; a row with another cell is a bad record, wherever it is.

    Args:
      files: paths.
      encoding, header, features: as of `TableReader`.
      **others: arguments that a table does not use; the reader refuses them.

    Raises:
      ValueError: for files without a common numeric column, and for damaged files.
    """
    if encoding is not None:
        _check_encoding(encoding)
    opened = [_opened(path, encoding, header) for path in files]
    for file in opened:
        file.check_header()
    every = [file.columns() for file in opened]
    names = list(dict.fromkeys(opened[0].names))
    common = [name for name in names if all(name in columns for columns in every)]
    pairs = list(zip(opened, every, strict=True))
    labels = (
        name
        for name in LABEL_COLUMNS
        if name in common and all(file.has_labels(name, columns[name]) for file, columns in pairs)
    )
    label = (features or {}).get("label") or next(labels, None)
    chosen = [
        name
        for name in common
        if name and name != label and all(columns[name].is_numeric for columns in every)
    ]
    remarks = list(_remarks(files, every, set(chosen), label))
    if not chosen:
        found = ", ".join(names[:_NAMED])
        first = f"; {remarks[0]}" if remarks else ""
        raise ValueError(f"{files[0]}: no column of numbers; found {found or 'none'}{first}")
    for path, file in zip(files, opened, strict=True):
        _check_unique(path, file.names, dict.fromkeys(chosen, "rename one of them"))
    return Table(tuple(chosen), label, tuple(remarks))


def _remarks(
    files: Sequence[str],
    every: Sequence[Mapping[str, Column]],
    chosen: Collection[str],
    label: str | None,
) -> Iterator[str]:
    """What is left out of a table and why, and which columns have rows that are bad."""
    said: dict[str, str] = {}
    left_out: dict[str, str] = {}
    for path, columns in zip(files, every, strict=True):
        source = posixpath.basename(path)
        for name, column in columns.items():
            if name == label:
                if column.first_missing:
                    said.setdefault(
                        name,
                        f"{source}: labels {name!r}: {column.first_missing}; a word is a class of "
                        "its own, a row without one a bad record",
                    )
            elif not name:
                if column.numbers or column.others:
                    left_out.setdefault(name, f"left out: a column of {source} without a name")
            elif name not in chosen:
                lacking = [
                    path for path, known in zip(files, every, strict=True) if name not in known
                ]
                why = f"{posixpath.basename(lacking[0])} has none" if lacking else column.problem
                if lacking or not column.is_numeric:
                    left_out.setdefault(name, f"left out: column {name!r} of {source}: {why}")
            elif column.problem:
                count = column.missing + column.others
                said.setdefault(
                    name,
                    f"{source}: column {name!r}: {column.problem}; rows without a number are bad "
                    f"records, {count} of the first {count + column.numbers}",
                )
            if name in LABEL_COLUMNS and name in chosen and column.no_class:
                yield (
                    f"{source}: column {name!r} is one of numbers, not of labels: {column.no_class}"
                )
    yield from list(said.values())[:_NAMED]
    yield from list(left_out.values())[:_NAMED]
    if len(left_out) > _NAMED:
        yield f"left out: {len(left_out) - _NAMED} more columns"


def _check_unique(path: str, names: Sequence[str], wanted: Mapping[str, str]) -> None:
    """Raises ValueError for a wanted column that is missing or repeated; by name, what to do."""
    counts = Counter(names)
    for name, key in wanted.items():
        if counts[name] != 1:
            listed = ", ".join(names[:_NAMED])
            more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
            found = f"{counts[name] or 'no'} columns are called {name!r} ({key})"
            raise ValueError(f"{path}: {found}; the columns are {listed}{more}")


_File = CsvFile | ParquetFile


def _opened(path: str, encoding: str | None = None, header: bool | None = None) -> _File:
    if _CSV.fullmatch(posixpath.basename(path)):
        return CsvFile(path, encoding, header)
    return ParquetFile(path)
