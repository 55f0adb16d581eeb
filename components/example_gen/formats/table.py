"""CSV and Parquet files of typed columns."""

import dataclasses
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

from components.data.vectors import VectorRecord
from components.example_gen.formats import parquet
from components.example_gen.formats.classes import Class, as_class, as_classes, check_all_labelled
from components.example_gen.formats.reader import LABEL_COLUMNS, Reader
from components.example_gen.formats.tables.files import (
    CSV,
    TableFile,
    check_encoding,
    check_unique,
    opened,
)
from components.example_gen.paths import INSIDE
from components.example_gen.prepare import BadRecordError, RawRow, prepare_row

FORMAT = "table"


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
    """Typed `columns`, and optionally a column of labels; other columns are ignored.

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
        f"{CSV.pattern}|{parquet.ParquetReader.pattern.pattern}", re.IGNORECASE
    )
    kind: ClassVar[str] = "CSV or Parquet file"

    def check_options(self) -> None:
        if not self.columns:
            raise ValueError("data.columns: a table needs the columns that make a row, found none")
        if self.encoding is not None:
            check_encoding(self.encoding)
        if "image" in self.features:
            raise ValueError("data.features.image: a table has no images; leave it out")
        label = self.features.get("label")
        if label in self._names:
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
        wanted = dict.fromkeys(self._names, "data.columns")
        if "label" in self.features:
            wanted[self.features["label"]] = "data.features.label"
        check_unique(path, names, wanted)
        usual = (name for name in LABEL_COLUMNS if name in names and name not in self._names)
        return self.features.get("label") or next(usual, None)

    @property
    def _names(self) -> list[str]:
        return [column.name for column in self.columns]

    def _opened(self, path: str) -> TableFile:
        return opened(path, self.encoding, self.header)

    def count(self, shards: Sequence[Rows]) -> int:
        return sum(shard.count for shard in shards)

    def records(self, shard: Rows) -> Iterator[RawRow]:
        wanted = [*self._names, *([shard.label] if shard.label else [])]
        found = self._opened(shard.path).rows(shard.group, wanted)
        for index, (values, error) in enumerate(found, shard.first):
            source, of = f"{shard.source}{INSIDE}{index}", Class()
            if shard.label and error is None:
                try:
                    value = values[shard.label]
                    # CSV cells are text, and `check` refused other Parquet columns.
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
