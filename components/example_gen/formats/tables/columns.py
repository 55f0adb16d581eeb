"""What the first rows of a table hold in each column."""

import dataclasses
import math
import reprlib

# A missing value, in lower case, as R, pandas, SQL, spreadsheets and others write it.
MISSING = frozenset(
    (
        "",
        "na",
        "n/a",
        "#n/a",
        "<na>",
        "nan",
        "-nan",
        "null",
        "none",
        "nil",
        "?",
        "-",
        "--",
        "missing",
    )
)
# A column is numeric although one of this many cells is not: such a row is a bad record.
_ONE_IN = 10


@dataclasses.dataclass
class Column:
    """The cells of a column in the first rows.

    Attributes:
      kind: the type of a typed column that holds no numbers, else None.
      numbers: cells that are finite numbers.
      missing: cells that are empty or a word for it.
      others: all other cells.
      classes: cells that can be a class: anything except a number that is not whole.
      first: the first cell that is missing or no number, and its row: `row 3 holds 'n/a'`.
      first_missing, first_other: the same of `missing` and of `others`.
      no_class: the same of cells that are no class.
    """

    kind: str | None = None
    numbers: int = 0
    missing: int = 0
    others: int = 0
    classes: int = 0
    first: str | None = None
    first_missing: str | None = None
    first_other: str | None = None
    no_class: str | None = None

    def add(self, cell: str | float | None, row: int) -> None:
        """Counts a cell; None and NaN are empty."""
        text = "" if cell is None else str(cell).strip()
        number = _float(text)
        if number is not None and math.isfinite(number):
            self.numbers += 1
        elif text.lower() in MISSING:
            self.missing += 1
            self.first = self.first or _said(text, row)
            self.first_missing = self.first_missing or _said(text, row)
            # A class may well be called none, but not nan.
            self.classes += bool(text) and number is None
            return
        else:
            self.others += 1
            self.first = self.first or _said(text, row)
            self.first_other = self.first_other or _said(text, row)
        if number is None or text.lstrip("+-").isdigit():
            self.classes += 1
        else:
            self.no_class = self.no_class or _said(text, row)

    @property
    def is_numeric(self) -> bool:
        """Whether nearly all cells that are there are numbers."""
        return self.kind is None and 0 < self.numbers >= (_ONE_IN - 1) * self.others

    @property
    def holds_labels(self) -> bool:
        """Whether all cells that are there are whole numbers or names."""
        return self.classes > 0 and self.no_class is None

    @property
    def problem(self) -> str:
        """Why the column is not numeric, or what makes some of its rows bad; "" for nothing."""
        if self.kind is not None:
            return f"it is {self.kind}"
        count = self.numbers + self.missing + self.others
        if not count:
            return "it has no rows"
        if not self.numbers and not self.others:
            return f"it is empty in the first {count} rows, {self.first}"
        if not self.is_numeric:
            few = f", {self.others} of the first {count} are no numbers" if self.numbers else ""
            return f"{self.first_other}{few}"
        return self.first or ""


def is_number(text: str) -> bool:
    """Whether text is a finite number."""
    number = _float(text)
    return number is not None and math.isfinite(number)


def is_class(text: str) -> bool:
    """Whether text can be a class: anything except a number that is not whole."""
    return _float(text) is None or text.lstrip("+-").isdigit()


def _float(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _said(text: str, row: int) -> str:
    if not text:
        return f"row {row} holds nothing"
    hint = ""
    if "," in text and _float(text.replace(",", "")) is not None:
        hint = " (a comma inside a number is not read)"
    elif _float(text.strip("%$€£¥ ")) is not None and _float(text) is None:
        hint = " (only the bare number is read)"
    return f"row {row} holds {reprlib.repr(text)}{hint}"
