"""What the first rows of a table hold in each column."""

import dataclasses
import enum
import functools
import math
import re
import reprlib
from collections import Counter
from typing import NamedTuple

from components.data.columns import MISSING, Cell, as_number

# A column is numeric although one of this many cells is not: such a row is a bad record.
_ONE_IN = 10
# Different values that are counted.
_MOST_COUNTED = 100_000
# Zeros in front: a postcode or another name that consists of digits.
_CODE = re.compile(r"[+-]?0\d+")


class _Kind(enum.Enum):
    """What a cell is."""

    NUMBER = enum.auto()
    MISSING = enum.auto()
    DRESSED = enum.auto()
    OTHER = enum.auto()


class Sighting(NamedTuple):
    """A cell: the name of its file, its row, and its text."""

    source: str
    row: int
    text: str

    def __str__(self) -> str:
        if not self.text:
            return f"row {self.row} holds nothing"
        return f"row {self.row} holds {reprlib.repr(self.text)}{_hint(self.text)}"


@dataclasses.dataclass
class Cells:
    """The cells of a column in the first rows of one or several files.

    Attributes:
      kind: the type of a typed column that cannot be learnt, else None.
      names: whether the file says that the values are names.
      counts: how often each value occurs that is not empty: text, or of a typed column a value.
      numbers: cells that are finite numbers.
      missing: cells that are empty or a word for it, and `empty` of them.
      others: all other cells, and `dressed` of them: numbers with commas, units or signs.
      classes: cells that can be a class: anything except a number that is not whole.
      increasing: whether each whole number is larger than the one before.
      first_missing, first_other: the first of them.
      first_word: the first word for a missing value.
      first_code: the first number with zeros in front.
      no_class: the first cell that is no class.
    """

    kind: str | None = None
    names: bool = False
    counts: Counter[Cell] = dataclasses.field(default_factory=Counter)
    numbers: int = 0
    missing: int = 0
    empty: int = 0
    others: int = 0
    dressed: int = 0
    classes: int = 0
    increasing: bool = True
    first_missing: Sighting | None = None
    first_word: Sighting | None = None
    first_other: Sighting | None = None
    first_code: Sighting | None = None
    no_class: Sighting | None = None
    _last: float = -math.inf

    def add(self, cell: Cell, source: str, row: int) -> None:
        """Counts a cell; None and NaN are empty."""
        text = "" if cell is None else str(cell).strip()
        if text and len(self.counts) < _MOST_COUNTED:
            self.counts[text if isinstance(cell, str) else cell] += 1
        kind, number = _kind_of(text)
        if kind is _Kind.NUMBER:
            self.numbers += 1
            self.increasing = self.increasing and number > self._last
            self._last = number
            if self.first_code is None and _CODE.fullmatch(text):
                self.first_code = Sighting(source, row, text)
            if text.lstrip("+-").isdigit():
                self.classes += 1
            elif self.no_class is None:
                self.no_class = Sighting(source, row, text)
        elif kind is _Kind.MISSING:
            self.missing += 1
            self.empty += not text
            self.first_missing = self.first_missing or Sighting(source, row, text)
            if text:
                self.first_word = self.first_word or Sighting(source, row, text)
                # A class may well be called none, but not nan.
                self.classes += math.isfinite(number)
        else:
            self.others += 1
            self.dressed += kind is _Kind.DRESSED
            self.first_other = self.first_other or Sighting(source, row, text)
            if math.isinf(number):
                self.no_class = self.no_class or Sighting(source, row, text)
            else:
                self.classes += 1

    def extend(self, other: "Cells") -> None:
        """Adds the cells of another file."""
        self.kind = self.kind or other.kind
        self.names = self.names or other.names
        if len(self.counts) < _MOST_COUNTED:
            self.counts.update(other.counts)
        self.increasing = self.increasing and other.increasing
        for name in ("numbers", "missing", "empty", "others", "dressed", "classes"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in ("first_missing", "first_word", "first_other", "first_code", "no_class"):
            setattr(self, name, getattr(self, name) or getattr(other, name))

    @property
    def total(self) -> int:
        """The number of cells."""
        return self.numbers + self.missing + self.others

    @property
    def is_numeric(self) -> bool:
        """Whether nearly all cells that are there are numbers."""
        return 0 < self.numbers >= (_ONE_IN - 1) * self.others

    @property
    def is_dressed(self) -> bool:
        """Whether nearly all cells that are there are numbers, some of them in disguise."""
        plain = self.others - self.dressed
        return self.dressed > 0 and self.numbers + self.dressed >= (_ONE_IN - 1) * plain

    @property
    def holds_labels(self) -> bool:
        """Whether all cells that are there are whole numbers or names."""
        return self.classes > 0 and self.no_class is None


def is_number(text: str) -> bool:
    """Whether text is a finite number."""
    number = as_number(text)
    return number is not None and math.isfinite(number)


def is_class(text: str) -> bool:
    """Whether text can be a class: anything except a number that is not whole."""
    return as_number(text) is None or text.lstrip("+-").isdigit()


@functools.lru_cache(_MOST_COUNTED)
def _kind_of(text: str) -> tuple[_Kind, float]:
    """What a cell is, and the number; 0 for text that is none."""
    number = as_number(text)
    if number is not None and math.isfinite(number):
        return _Kind.NUMBER, number
    kind = _Kind.MISSING if text.lower() in MISSING else _Kind.OTHER
    if kind is _Kind.OTHER and _hint(text):
        kind = _Kind.DRESSED
    return kind, 0.0 if number is None else number


def _hint(text: str) -> str:
    """What is wrong with a number that is not read as one; empty for other text."""
    if "," in text and as_number(text.replace(",", "")) is not None:
        return " (a comma inside a number is not read)"
    if as_number(text) is None and as_number(text.strip("%$€£¥ ")) is not None:
        return " (only the bare number is read)"
    return ""
