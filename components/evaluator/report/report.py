"""The evaluation as one HTML file that needs nothing beside it."""

import base64
import dataclasses
import functools
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image

from components.common import grids, templates
from components.evaluator.evaluation import ClassRow, Evaluation, Pictures, Score
from components.evaluator.metrics.registry import METRICS
from components.evaluator.report import plots, tables

_TEMPLATE = Path(__file__).with_name("report.html.jinja")
# Pixels; what is larger is scaled down, or a page of photographs is too large to be sent.
_LARGEST_SIDE = 1024
# Pictures that are about as wide on the page as they have pixels, or wider, are drawn in squares.
_SQUARES_TO = 480

_EXTREMES_A_ROW = 8

# What is scored, in the order of its columns: the head, and what it is.
_SUBJECTS = {
    "model": ("This model", "the candidate"),
    "on_train": (
        "On train",
        "this model against as many images of the train split as there are of the eval split; an "
        "FID clearly below that against the eval split means that the generator, or the choice of "
        "its checkpoint, fits the training data; a large train split is remembered without this "
        "trace",
    ),
    "baseline": ("Last blessed", "the last blessed generator, under the same protocol"),
    "best": ("Best blessed", "the blessed generator of the lowest FID, under the same protocol"),
    "train": ("Real", "the train split: what a perfect generator would score"),
    "halves": (
        "Real halves",
        "one half of the real data against the other: the floor, at half their number",
    ),
    "untrained": ("Untrained", "the same generator before training"),
    "noise": (
        "Noise",
        "uniformly random pixels, or independent columns with the mean and spread of the data's "
        "and equally frequent categories: the score of knowing nothing",
    ),
}
# Scores that only a class has.
_CLASS_TITLES = {"accuracy": "Accuracy"}


def render(evaluation: Evaluation, page: str | None = None) -> str:
    """The report as HTML; pictures and curves are in it, so that it can be sent on its own.

    Cells with a number of metrics.json have `data-subject` (`class 0`, … for a class, `change` for
    a difference), `data-metric` and `data-value`, and `data-low` and `data-high` where there is an
    interval: JSON's way to write it, while the cell's text is `number` or `percent` of it.

    Args:
      evaluation: what is shown.
      page: address, seen from the report, of the page that runs the generator; None for none.

    Raises:
      ValueError: for scores of an unknown subject or metric.
    """
    content = {
        "pictures": _pictures(evaluation.pictures),
        "columns": tables.columns(evaluation.vectors),
        "curves": plots.curves(evaluation.log),
        "data": _facts(evaluation.data),
        "protocol": _facts(evaluation.protocol),
        "stages": evaluation.stages,
        "lineage": _facts(evaluation.lineage),
        "config": _yaml(evaluation.config),
    }
    template = templates.load(
        _TEMPLATE, number=number, signed=signed, percent=percent, exact=json.dumps
    )
    return template.render(
        evaluation=evaluation,
        page=page,
        sections=_sections(evaluation, content),
        outcome=_outcome(evaluation),
        subjects={name: _SUBJECTS[name] for name in _ordered(evaluation.scores)},
        metrics={name: METRICS.get(name) for name in _rows(evaluation)},
        judged=_judged(evaluation),
        standings={name: _standing(name, change) for name, change in evaluation.changes.items()},
        classes=_classes(evaluation.classes),
        column_cell=functools.partial(tables.cell, number=number),
        **content,
    )


def number(value: float) -> str:
    """A score as it is shown: four digits, and no powers of ten before a billion."""
    return f"{value:,.0f}" if 1e4 <= abs(value) < 1e9 else f"{value:.4g}"


def signed(value: float) -> str:
    """A difference as it is shown: `number` with its sign."""
    return f"+{number(value)}" if value > 0 else number(value)


def percent(value: float) -> str:
    """A share in [0, 1] as it is shown."""
    return f"{100 * value:.1f} %"


@dataclasses.dataclass(frozen=True)
class _Picture:
    """A PNG picture to put into the page."""

    url: str
    width: int
    height: int
    alt: str

    @property
    def squares(self) -> bool:
        """Whether its pixels are to be seen as such."""
        return self.width <= _SQUARES_TO


@dataclasses.dataclass(frozen=True)
class _Standing:
    """What a change against the last blessed model means: in words, as a sign, as a colour."""

    words: str
    sign: str
    tone: str


def _sections(
    evaluation: Evaluation,
    content: Mapping[str, Any],
) -> dict[str, str]:
    """Id to heading of what there is to show."""
    pictures = content["pictures"]
    sections = {
        "samples": ("Samples", {"real", "fake", "interpolations"} & pictures.keys()),
        "columns": ("Columns", content["columns"]),
        "metrics": ("Metrics", True),
        "gate": ("Gate", evaluation.verdicts),
        "training": ("Training", content["curves"]),
        "classes": ("Classes", evaluation.classes),
        "neighbours": ("Nearest training images", "nearest" in pictures),
        "extremes": ("Best and worst", {"best", "worst"} & pictures.keys()),
        "data": ("Data", content["data"]),
        "protocol": ("Protocol", content["protocol"]),
        "lineage": ("Lineage", content["lineage"]),
        "stages": ("Stages", content["stages"]),
        "configuration": ("Configuration", content["config"]),
    }
    return {name: title for name, (title, shown) in sections.items() if shown}


def _outcome(evaluation: Evaluation) -> _Standing:
    if not evaluation.verdicts:
        return _Standing("measured", "", "quiet")
    if evaluation.blessed:
        return _Standing("blessed", "✓", "good")
    return _Standing("refused", "✗", "bad")


def _ordered(scores: Mapping[str, Mapping[str, Score]]) -> list[str]:
    return sorted(scores, key=list(_SUBJECTS).index)


def _rows(evaluation: Evaluation) -> list[str]:
    names = {name for of_subject in evaluation.scores.values() for name in of_subject}
    return sorted(names, key=lambda name: METRICS.get(name).title.lower())


def _judged(evaluation: Evaluation) -> list[str]:
    """The metrics that decide, in the order of the rules."""
    named = dict.fromkeys(verdict.metric for verdict in evaluation.verdicts)
    return [name for name in named if name and name in evaluation.scores["model"]]


def _standing(name: str, change: Score) -> _Standing:
    if change.low is None or change.high is None:
        return _Standing("no interval", "", "quiet")
    if change.low > 0:
        better = METRICS.get(name).higher_is_better
    elif change.high < 0:
        better = not METRICS.get(name).higher_is_better
    else:
        return _Standing("not distinguishable", "≈", "quiet")
    return _Standing("better", "✓", "good") if better else _Standing("worse", "✗", "bad")


def _classes(rows: Sequence[ClassRow]) -> dict[str, Any]:
    names = sorted({name for row in rows for name in row.scores})
    shares = [share for row in rows for share in (row.real_share, row.fake_share)]
    return {
        "rows": rows,
        "titles": {name: _CLASS_TITLES.get(name) or METRICS.get(name).title for name in names},
        # So that the longest bar fills its cell.
        "largest": max((share for share in shares if math.isfinite(share)), default=0) or 1,
    }


def _pictures(pictures: Pictures | None) -> dict[str, Any]:
    """By place in the page; a place is left out where there is nothing to show."""
    if pictures is None:
        return {}
    columns = pictures.interpolations.shape[1] if pictures.interpolations.size else None
    between = pictures.interpolations.reshape(-1, *pictures.interpolations.shape[2:])
    neighbours = pictures.nearest.shape[1] - 1 if pictures.nearest.size else 0
    places = {
        "real": _picture(pictures.real, f"Grid of {len(pictures.real)} real images"),
        "fake": _picture(pictures.fake, f"Grid of {len(pictures.fake)} generated images"),
        "interpolations": _picture(
            between, f"Rows of {columns} generated images that change step by step", columns
        ),
        "best": _picture(
            pictures.best, f"The {len(pictures.best)} most realistic fakes", _EXTREMES_A_ROW
        ),
        "worst": _picture(
            pictures.worst, f"The {len(pictures.worst)} least realistic fakes", _EXTREMES_A_ROW
        ),
        "nearest": [
            (
                _picture(fakes[:1], f"Fake {place}"),
                _picture(fakes[1:], f"Its {neighbours} nearest images of the train split", 1),
            )
            for place, fakes in enumerate(pictures.nearest, start=1)
            if neighbours
        ],
    }
    return {place: shown for place, shown in places.items() if shown}


def _picture(samples: np.ndarray, alt: str, columns: int | None = None) -> _Picture | None:
    if not samples.size:
        return None
    grid = grids.grid(samples, columns and min(columns, len(samples)))
    grid.thumbnail((_LARGEST_SIDE, _LARGEST_SIDE), Image.Resampling.LANCZOS)
    data = base64.b64encode(grids.png(grid)).decode()
    return _Picture(f"data:image/png;base64,{data}", *grid.size, alt)


def _facts(mapping: Mapping[str, Any], above: str = "") -> dict[str, str]:
    """What is known, by what it is; mappings of mappings are laid out in one list."""
    facts = {}
    for key, value in mapping.items():
        name = f"{above}{key}".replace("_", " ")
        inner = value.values() if isinstance(value, Mapping) else ()
        if any(isinstance(part, Mapping) for part in inner):
            facts.update(_facts(value, f"{name}: "))
        else:
            facts[name] = _in_words(value)
    return facts


def _in_words(value: Any) -> str:  # noqa: ANN401
    if value is None or (isinstance(value, Mapping | list | tuple) and not value):
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return number(value)
    if isinstance(value, Mapping):
        parts = (f"{str(key).replace('_', ' ')} {_in_words(part)}" for key, part in value.items())
        return ", ".join(parts)
    if isinstance(value, list | tuple):
        return ", ".join(map(_in_words, value))
    return str(value)


def _yaml(config: Mapping[str, Any]) -> str:
    return yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True) if config else ""
