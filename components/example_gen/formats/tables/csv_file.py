"""CSV files."""

import csv
import gzip
import io
import itertools
import posixpath
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import BinaryIO

from components.data.columns import Column
from components.example_gen.formats.tables.cells import Cells, is_class, is_number
from components.example_gen.paths import open_file

DEFAULT_ENCODING = "utf-8"

_DELIMITERS = ",;\t|"
# A first line with which Excel names the delimiter.
_SEPARATOR = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)
_UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")
# Python's stand-ins for bytes that are not text.
_STRAY = re.compile("[\udc80-\udcff]")
# What a NUL is shown as.
_NUL = r"\0"
# Rows that tell whether the first one is a header.
_SAMPLE_ROWS = 1000
_NAMED = 6

# A row by column, and what is wrong with it, or None.
TextRow = tuple[Mapping[str, str | None], str | None]


class CsvFile:
    """A CSV file: every cell is text, and "" is empty.

    Args:
      path: of the file.
      encoding: of its text; by default UTF-8, or UTF-16 where it begins with its mark.
      header: whether the first row names the columns; otherwise they are called 1, 2, …

    Attributes:
      names: of the columns.

    Raises:
      ValueError: for an empty or damaged file, and a header that is not in the encoding.
    """

    def __init__(self, path: str, encoding: str | None = None, header: bool | None = None) -> None:
        self._path = path
        self._encoding = encoding
        self._header = header is not False
        first = next(self._lines(), None)
        if first is None:
            raise ValueError(f"{path}: the file is empty, expected a header row")
        self.names = [name.strip() for name in first]
        if not self._header:
            self.names = [str(place) for place in range(1, len(first) + 1)]
        for name in first:
            if _NUL in name:
                raise ValueError(
                    f"{path}: the first row holds NUL bytes; if the text is UTF-16 without its "
                    "mark, say data.encoding: utf-16-le"
                )
            if problem := self._stray(name):
                raise ValueError(f"{path}: the first row holds {problem}")

    def columns(self, rows: int) -> dict[str, Cells]:
        """What the first rows hold, by the column's name."""
        found = [Cells() for _ in self.names]
        source = posixpath.basename(self._path)
        for row, cells in enumerate(itertools.islice(self._data(), rows)):
            if len(cells) == len(found):
                for column, cell in zip(found, cells, strict=True):
                    column.add(cell, source, row)
        by_name: dict[str, Cells] = {}
        for name, column in zip(self.names, found, strict=True):
            by_name.setdefault(name, column)
        return by_name

    def check_header(self) -> None:
        """Raises ValueError if the first row is not one of names."""
        first = f"{self._path}: the first row, {_listed(self.names)},"
        if self._header and self._looks_like_data():
            raise ValueError(
                f"{first} looks like data, not like names; add a row of names, or set data.header "
                "(false calls the columns 1, 2, …; true takes the row as it is)"
            )
        sample = list(self._sample())
        if not sample:
            raise ValueError(f"{self._path}: no rows; the header names {_listed(self.names)}")
        if len(self.names) == 1 and " " in self.names[0]:
            raise ValueError(
                f"{first} is one field; fields are separated by a comma, semicolon, tab or |"
            )
        counts = sorted({len(cells) for cells in sample})
        if len(self.names) not in counts:
            fields = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
            comment = "; it looks like a comment" if self.names[0].startswith("#") else ""
            raise ValueError(
                f"{first} has {len(self.names)} fields, the others have {fields}{comment}"
            )

    def _looks_like_data(self) -> bool:
        """Whether the first row is one of data.

        Names may be whole numbers, such as years, but then they increase.
        """
        numbers = [name for name in self.names if is_number(name)]
        if not numbers:
            return False
        if len(numbers) == len(self.names) or any(not is_class(name) for name in numbers):
            return True
        values = [int(number) for number in numbers]
        if any(after <= before for before, after in itertools.pairwise(values)):
            return True
        texts = {
            place: name for place, name in enumerate(self.names) if name and name not in numbers
        }
        return any(
            cells[place].strip() == name
            for cells in self._sample()
            if len(cells) == len(self.names)
            for place, name in texts.items()
        )

    def has_labels(self, name: str, cells: Cells) -> bool:
        """Whether a column holds whole numbers or names."""
        return bool(name) and cells.holds_labels

    def check(self, columns: Sequence[Column], label: str | None) -> None:
        """Raises ValueError for columns that cannot hold what they should; text can."""

    def groups(self, label: str | None) -> Iterator[tuple[int, set[str]]]:
        """The number of rows and the names of classes of every part."""
        count = 0
        cells: set[str] = set()
        for row, _ in self.rows(0, [label] if label else []):
            count += 1
            if label and (cell := row.get(label)):
                cells.add(cell)
        yield count, set(filter(is_class, cells))

    def rows(self, group: int, names: Sequence[str]) -> Iterator[TextRow]:
        """The rows, with the columns in `names`."""
        of = {name: place for place, name in reversed(list(enumerate(self.names)))}
        places = {name: of[name] for name in names}
        for cells in self._data():
            if len(cells) != len(self.names):
                yield {}, f"{len(cells)} fields, the first row has {len(self.names)}"
                continue
            row = {name: cells[place].strip() or None for name, place in places.items()}
            # Fast, for nearly all rows of numbers are ASCII.
            error = None if "".join(cells).isascii() else self._stray_cell(row)
            yield ({}, error) if error else (row, None)

    def _stray_cell(self, row: Mapping[str, str | None]) -> str | None:
        """What is wrong with the first cell that is not in the file's encoding, or None."""
        for name, cell in row.items():
            if cell and (problem := self._stray(cell)):
                return f"the column {name!r} holds {problem}"
        return None

    def _stray(self, text: str) -> str | None:
        """What is wrong with text that is not in the file's encoding, or None."""
        stray = _STRAY.search(text)
        if stray is None:
            return None
        shown = _STRAY.sub(lambda found: f"\\x{ord(found[0]) - 0xDC00:02x}", text)
        return (
            f"'{shown}': the byte 0x{ord(stray[0]) - 0xDC00:02x} is not "
            f"{self._encoding or DEFAULT_ENCODING}; name the file's encoding in data.encoding, for "
            "Western European text cp1252"
        )

    def _sample(self) -> Iterator[list[str]]:
        return itertools.islice(self._data(), _SAMPLE_ROWS)

    def _data(self) -> Iterator[list[str]]:
        return itertools.islice(self._lines(), int(self._header), None)

    def _lines(self) -> Iterator[list[str]]:
        """The cells of every row, including the header, without blank lines."""
        with open_file(self._path) as file:
            zipped = self._path.lower().endswith(".gz")
            content = gzip.GzipFile(fileobj=file) if zipped else file
            reader = None
            try:
                # Bytes that are not text make only the cell that holds them invalid.
                text = io.TextIOWrapper(
                    content, self._text_encoding(content), "surrogateescape", newline=""
                )
                first = text.readline()
                if named := _SEPARATOR.fullmatch(first):
                    delimiter, first = named[1], text.readline()
                else:
                    delimiter = max(_DELIMITERS, key=first.count)
                # Python 3.10's csv refuses NUL.
                whole = (line.replace("\0", _NUL) for line in itertools.chain([first], text))
                reader = csv.reader(whole, delimiter=delimiter, strict=True)
                yield from filter(None, reader)
            except (csv.Error, EOFError, gzip.BadGzipFile, zlib.error) as error:
                line = f"line {reader.line_num}: " if reader and reader.line_num else ""
                raise ValueError(f"{self._path}: not a whole CSV file ({line}{error})") from error
            except UnicodeError as error:
                raise ValueError(
                    f"{self._path}: the text is not {self._encoding or 'UTF-16'} ({error}); name "
                    "its encoding in data.encoding"
                ) from error

    def _text_encoding(self, content: BinaryIO | gzip.GzipFile) -> str:
        if self._encoding is None:
            mark = content.read(2)
            content.seek(0)
            if mark in _UTF_16_MARKS:
                return "utf-16"
        encoding = self._encoding or DEFAULT_ENCODING
        return "utf-8-sig" if encoding.lower().replace("_", "-") in ("utf-8", "utf8") else encoding


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
