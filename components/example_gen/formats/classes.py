"""Classes of records: from cells, names and numbers."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from components.example_gen.prepare import BadRecordError

# Of a number that may be a label: more classes than any data set has.
_MOST_DIGITS = 7


class Class(NamedTuple):
    """A class: its label, and its name if it has one; both None for no class."""

    label: int | None = None
    name: str | None = None


def as_class(value: int | str | None, column: str, classes: Mapping[str, Class]) -> Class:
    """The class in a cell of a column.

    Args:
      value: a whole number, a name, or None for an empty cell.
      column: its name, for messages.
      classes: by name, as of `as_classes`.

    Raises:
      BadRecordError: for an empty cell, a negative number, and an unknown name.
    """
    if value is None:
        raise BadRecordError(f"the column {column!r} holds no label")
    if not isinstance(value, str):
        return as_class_of_number(value, f"the column {column!r}", classes)
    if value not in classes:
        raise BadRecordError(
            f"the column {column!r} holds {value!r}, expected a whole number or a name"
        )
    return classes[value]


def as_class_of_number(value: int, where: str, classes: Mapping[str, Class]) -> Class:
    """The class that a whole number stands for; BadRecordError, naming the place, if negative."""
    if value < 0:
        raise BadRecordError(f"{where} holds {value}, labels count from 0")
    return classes[str(value)]


def names_of_numbers(values: Iterable[int]) -> set[str]:
    """The names, for `as_classes`, of labels that are stored as whole numbers."""
    return {str(value) for value in values if value >= 0}


def check_all_labelled(labels: Iterable[tuple[str, str | None]]) -> None:
    """Raises ValueError, naming one of each, if only some parts of the data have labels.

    Args:
      labels: of every part, its place and what holds its labels, or None.
    """
    labelled: tuple[str, str] | None = None
    bare: str | None = None
    for where, label in labels:
        if label is None:
            bare = bare or where
        else:
            labelled = labelled or (where, label)
        if bare and labelled:
            raise ValueError(
                f"{bare}: no labels, but {labelled[0]} has some ({labelled[1]}); label all or none"
            )


def as_classes(values: Iterable[str]) -> dict[str, Class]:
    """Classes by name: numbers are their own labels if they number the classes; others are names.

    They do if they are written without zeros in front, and fewer are missing below the largest than
    there are, so that a class without examples does not rename others. Labels of names are their
    positions in sorted order, of numbers in numeric order. So `01`, dates and identifiers are
    names: as labels, they would merge, or ask for millions of outputs.
    """
    values = set(values)
    if values and all(value.isascii() and value.isdigit() for value in values):
        # By value; Python does not convert numbers of thousands of digits.
        ordered = sorted(values, key=lambda v: (len(v.lstrip("0")), v.lstrip("0"), v))
        plain = all(value == "0" or not value.startswith("0") for value in values)
        if plain and len(ordered[-1]) < _MOST_DIGITS and int(ordered[-1]) < 2 * len(values):
            return {value: Class(int(value)) for value in ordered}
    else:
        ordered = sorted(values)
    return {value: Class(index, value) for index, value in enumerate(ordered)}
