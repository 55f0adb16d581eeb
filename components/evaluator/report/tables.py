"""What the report shows of rows: charts of columns, their associations, a table."""

from collections.abc import Callable
from typing import Any

import numpy as np

from components.data.columns import Column
from components.evaluator.evaluation import ColumnRow, Vectors
from components.evaluator.metrics.tables import pairs
from components.evaluator.report import plots

# Columns that are drawn, the worst ones; names are too small to be read on more.
_DRAWN = 24
# Rows that associations are drawn of, at most: a colour needs no more digits.
_ASSOCIATED = 10_000
_MOST_CATEGORIES = 6
_MICROSECONDS_A_DAY = 86400e6


def columns(vectors: Vectors | None) -> dict[str, Any]:
    """`rows`, the worst column first, `charts` and `matrices` of the worst; empty without rows."""
    if vectors is None:
        return {}
    worst = np.argsort([-row.distance.value for row in vectors.columns], kind="stable")
    drawn = worst[:_DRAWN]
    together = np.sort(drawn)
    names = [vectors.columns[place].name for place in together]
    discrete = np.array([vectors.columns[place].column.kind.discrete for place in together])
    sets = {"Real": vectors.real, "Generated": vectors.fake}
    return {
        "rows": [vectors.columns[place] for place in worst],
        "charts": [_chart(vectors, int(place)) for place in drawn],
        "matrices": [
            plots.matrix(title, pairs.associations(data[:_ASSOCIATED, together], discrete), names)
            for title, data in sets.items()
            if len(names) > 1
        ],
    }


def cell(row: ColumnRow, name: str, number: Callable[[float], str]) -> str:
    """A mean or deviation of a column in the column's own terms.

    Args:
      row: of the column.
      name: of the attribute.
      number: what a number is shown by.
    """
    value = getattr(row, name)
    if row.column.type != "datetime":
        return number(value)
    if name.endswith("deviation"):
        return f"{number(value / _MICROSECONDS_A_DAY)} days"
    return row.column.kind.text(row.column, value)


def _chart(vectors: Vectors, place: int) -> plots.Chart:
    column = vectors.columns[place].column
    real, fake = vectors.real[:, place], vectors.fake[:, place]
    if not column.kind.discrete and not (np.isnan(real).all() or np.isnan(fake).all()):
        return plots.histogram(column, real, fake, place)
    return plots.bars(column.name, *_shares(column, vectors, place), place)


def _shares(column: Column, vectors: Vectors, place: int) -> tuple[list[str], np.ndarray]:
    """The names of the most frequent categories and their shares, [2, names].

    Then that of all others and that of missing values, where there are any.
    """
    sets = [data[:, place].astype(np.float64) for data in (vectors.real, vectors.fake)]
    there = [values[~np.isnan(values)] for values in sets]
    if column.kind.discrete:
        known = list(vectors.categories[column.name])
    else:
        known, there = ["values"], [np.zeros(len(values)) for values in there]
    counts = [np.bincount(values.astype(np.int64), minlength=len(known)) for values in there]
    shares = np.stack([found / len(of) for found, of in zip(counts, sets, strict=True)])
    order = np.argsort(-shares.sum(axis=0), kind="stable")
    first, rest = order[:_MOST_CATEGORIES], order[_MOST_CATEGORIES:]
    if len(rest) == 1:
        first, rest = order, rest[:0]
    names, parts = [known[code] for code in first], [shares[:, first]]
    missing = np.array([[np.isnan(values).mean()] for values in sets])
    for name, share in (
        (f"{len(rest)} others", shares[:, rest].sum(axis=1, keepdims=True)),
        ("missing", missing),
    ):
        if share.any():
            names.append(f"({name})")
            parts.append(share)
    return names, np.concatenate(parts, axis=1)
