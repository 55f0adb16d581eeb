"""What the report shows of discrete columns and of columns without values."""

import numpy as np
import pytest

from components.data.columns import Column
from components.evaluator.evaluation import ColumnRow, Score, Vectors
from components.evaluator.report import plots, tables


def shown(monkeypatch, column, real, fake, categories=()):
    """The arguments that its bars are drawn with; None for another chart."""
    drawn = []

    def bars(title, names, shares, place):
        drawn.append((names, shares.round(3).tolist()))
        return plots.Chart(title, "", "")

    monkeypatch.setattr(plots, "bars", bars)
    monkeypatch.setattr(plots, "histogram", lambda *_: plots.Chart("", "", ""))
    row = ColumnRow(column, Score(0), 0, 0)
    data = [np.array(values, np.float64)[:, np.newaxis] for values in (real, fake)]
    tables.columns(Vectors([row], *data, {column.name: categories}))
    return drawn[0] if drawn else None


NAN = np.nan
KIND = Column(name="kind", type="categorical", missing=True)
NUMBER = Column(name="x", missing=True)


@pytest.mark.parametrize(
    ("column", "real", "fake", "categories", "names", "shares"),
    [
        (KIND, [0, 1, 1, 1], [1, 0], "ab", ["b", "a"], [[0.75, 0.25], [0.5, 0.5]]),
        (KIND, [0, NAN], [NAN], "ab", ["a", "b", "(missing)"], [[0.5, 0, 0.5], [0, 0, 1]]),
        (
            KIND,
            [0, 0, *range(8)],
            [8, 8, 8, 8],
            "abcdefghi",
            ["i", "a", "b", "c", "d", "e", "(3 others)"],
            [[0, 0.3, 0.1, 0.1, 0.1, 0.1, 0.3], [1, 0, 0, 0, 0, 0, 0]],
        ),
        (KIND, range(7), range(7), "abcdefg", list("abcdefg"), [[0.143] * 7] * 2),
        (NUMBER, [1, NAN], [NAN, NAN], "", ["values", "(missing)"], [[0.5, 0.5], [0, 1]]),
    ],
    ids=["two", "missing", "many", "one more than few", "a number that is never there"],
)
def test_categories_are_drawn_as_bars(monkeypatch, column, real, fake, categories, names, shares):
    assert shown(monkeypatch, column, real, fake, tuple(categories)) == (names, shares)


def test_numbers_are_drawn_as_histograms(monkeypatch):
    assert shown(monkeypatch, NUMBER, [1, NAN], [2, 3]) is None
