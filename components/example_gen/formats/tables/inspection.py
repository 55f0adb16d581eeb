"""What a table holds about which nothing is known yet."""

import dataclasses
import posixpath
from collections.abc import Iterator, Mapping, Sequence

from components.data.columns import Column
from components.example_gen.formats.reader import LABEL_COLUMNS
from components.example_gen.formats.tables.cells import Cells
from components.example_gen.formats.tables.files import (
    TableFile,
    check_encoding,
    check_unique,
    opened,
)
from components.example_gen.formats.tables.recognition import Recognised, recognise

# Columns that a message names.
_NAMED = 20
# Rows that tell the columns' types, and their cells, over all files; and rows of each at the least.
_SAMPLE_ROWS, _SAMPLE_CELLS, _FEWEST = 10_000, 500_000, 10


@dataclasses.dataclass(frozen=True)
class Table:
    """What a table holds.

    Attributes:
      columns: those to learn, with their types.
      label: that of the column of labels, if any.
      others: the names of further columns that all files have.
      remarks: what is left out and why, and which columns have bad rows, a line each.
    """

    columns: tuple[Column, ...]
    label: str | None
    others: tuple[str, ...] = ()
    remarks: tuple[str, ...] = dataclasses.field(default=(), compare=False)


def inspect(
    files: Sequence[str],
    wanted: Sequence[str | Column] | None = None,
    encoding: str | None = None,
    header: bool | None = None,
    features: Mapping[str, str] | None = None,
    **others: object,
) -> Table:
    """The columns that all files of a table have in common, and their types.

    The first rows tell the types. Where none are wanted, ids, constants, free text and empty
    columns are left out. A column is one of numbers if nearly all of its cells are numbers or
    missing; a row with another cell is a bad record, wherever it is.

    Args:
      files: paths.
      wanted: names of the columns to take, whatever they hold, or columns of a known type.
      encoding, header, features: as of `TableReader`.
      **others: arguments that a table does not use; the reader refuses them.

    Raises:
      ValueError: for files without a common column that can be learnt, a wanted column that is
        missing or cannot be, and damaged files.
    """
    if encoding is not None:
        check_encoding(encoding)
    tables = [opened(path, encoding, header) for path in files]
    for file in tables:
        file.check_header()
    found = _Found.of(files, tables)
    label = (features or {}).get("label") or found.label(wanted)
    if wanted:
        keys = {_name(each): "data.columns" for each in wanted}
        for path, file in zip(files, tables, strict=True):
            check_unique(path, file.names, keys)
        columns = [found.wanted(each) for each in wanted]
        left, said = found.others(columns, label), found.remarks(columns, label)
        return Table(tuple(columns), label, left, tuple(said))
    columns = found.learnable(label)
    remarks = [*found.remarks(columns, label), *found.left_out(columns, label)]
    if not columns:
        names = ", ".join(tables[0].names[:_NAMED])
        first = f"; {remarks[0]}" if remarks else ""
        raise ValueError(f"{files[0]}: no column to learn; found {names or 'none'}{first}")
    for path, file in zip(files, tables, strict=True):
        check_unique(path, file.names, {each.name: "rename one of them" for each in columns})
    return Table(tuple(columns), label, found.others(columns, label), tuple(remarks))


class _Found:
    """What the first rows of all files of a table hold.

    Attributes:
      cells: by column, of all files.
      sources: by column, the first file that has it.
      lacking: by column that not all files have, the first that has none.
    """

    def __init__(self) -> None:
        self.cells: dict[str, Cells] = {}
        self.sources: dict[str, str] = {}
        self.lacking: dict[str, str] = {}
        self._labels: set[str] = set()
        self._recognised: dict[str, Recognised] = {}

    @classmethod
    def of(cls, files: Sequence[str], tables: Sequence[TableFile]) -> "_Found":
        """Reads the first rows of the files."""
        found = cls()
        found._labels = set(LABEL_COLUMNS)
        widest = max(len(file.names) for file in tables)
        rows = min(_SAMPLE_ROWS, _SAMPLE_CELLS // widest) // len(files)
        for number, (path, file) in enumerate(zip(files, tables, strict=True)):
            source = posixpath.basename(path)
            here = file.columns(max(_FEWEST, rows))
            for name, cells in here.items():
                if number and name not in found.cells:
                    found.lacking.setdefault(name, posixpath.basename(files[0]))
                if not file.has_labels(name, cells):
                    found._labels.discard(name)
                found.sources.setdefault(name, source)
                if name in found.cells:
                    found.cells[name].extend(cells)
                else:
                    found.cells[name] = cells
            for name in found.cells:
                if name not in here:
                    found.lacking.setdefault(name, source)
        return found

    def label(self, wanted: Sequence[str | Column] | None) -> str | None:
        """The usual column of labels, if all files have it and it is not a wanted column."""
        taken = {_name(each) for each in wanted or ()}
        return next(
            (
                name
                for name in LABEL_COLUMNS
                if name in self.cells
                and name in self._labels
                and name not in self.lacking
                and name not in taken
            ),
            None,
        )

    def learnable(self, label: str | None) -> list[Column]:
        """The columns that all files have and that can be learnt."""
        found = []
        for name in self.cells:
            if name and name != label and name not in self.lacking:
                recognised = self._recognise(name)
                if recognised.column is not None and not recognised.reason:
                    found.append(recognised.column)
        return found

    def wanted(self, column: str | Column) -> Column:
        """A wanted column with its type; ValueError if it cannot be learnt."""
        if isinstance(column, Column):
            return column
        recognised = self._recognise(column)
        if recognised.column is None:
            raise ValueError(f"{self.sources[column]}: column {column!r}: {recognised.reason}")
        return recognised.column

    def others(self, columns: Sequence[Column], label: str | None) -> tuple[str, ...]:
        """The names of the columns that all files have but these."""
        taken = {column.name for column in columns} | {label, ""}
        return tuple(each for each in self.cells if each not in taken and each not in self.lacking)

    def remarks(self, columns: Sequence[Column], label: str | None) -> Iterator[str]:
        """What may not be as intended in columns that are read."""
        taken = {column.name for column in columns}
        for name in LABEL_COLUMNS:
            if name in taken and (seen := self.cells[name].no_class):
                yield (f"{seen.source}: column {name!r} is one of numbers, not of labels: {seen}")
        said = []
        if label in self.cells and (seen := self.cells[label].first_missing):
            said.append(
                f"{seen.source}: labels {label!r}: {seen}; a word is a class of its own, a row "
                "without one a bad record"
            )
        for column in columns:
            cells = self.cells[column.name]
            if column.type in ("number", "integer") and (seen := cells.first_other):
                said.append(
                    f"{seen.source}: column {column.name!r}: {seen}; rows without a number are bad "
                    f"records, {cells.others} of the first {cells.total}"
                )
            if column.type != "categorical" and (seen := cells.first_word):
                said.append(
                    f"{seen.source}: column {column.name!r}: {seen}, taken for missing, as are "
                    f"{cells.missing} of the first {cells.total}"
                )
        yield from said[:_NAMED]

    def left_out(self, columns: Sequence[Column], label: str | None) -> Iterator[str]:
        """Which columns are left out, and why."""
        taken = {column.name for column in columns} | {label}
        lines = []
        for name, cells in self.cells.items():
            source = self.sources[name]
            if name in taken:
                continue
            if not name:
                if cells.numbers or cells.others:
                    lines.append(f"left out: a column of {source} without a name")
                continue
            line = f"left out: column {name!r} of {source}: "
            if name in self.lacking:
                lines.append(f"{line}{self.lacking[name]} has none")
                continue
            recognised = self._recognise(name)
            keep = "; data.columns (--columns) keeps it" if recognised.column else ""
            lines.append(f"{line}{recognised.reason}{keep}")
        yield from lines[:_NAMED]
        if len(lines) > _NAMED:
            yield f"left out: {len(lines) - _NAMED} more columns"

    def _recognise(self, name: str) -> Recognised:
        if name not in self._recognised:
            self._recognised[name] = recognise(name, self.cells[name])
        return self._recognised[name]


def _name(column: str | Column) -> str:
    return column if isinstance(column, str) else column.name
