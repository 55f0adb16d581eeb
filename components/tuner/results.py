"""What a search came to, as files."""

from __future__ import annotations

import math
from typing import Any

from components.tuner import space, studies
from components.tuner.search import Outcome, ended_in_words
from components.tuner.task import Task


def best(outcome: Outcome) -> dict[str, Any]:
    """The winner, as `keras_tuner.HyperParameters.from_config` takes it."""
    return {"space": [], "values": outcome.values}


def rows(task: Task) -> list[dict[str, Any]]:
    """The trials of a search in the order of their entry, for JSON."""
    return [
        {
            "trial": trial.user_attrs[studies.ENTRY],
            "state": trial.state.name.lower(),
            "score": trial.value,
            "images": trial.last_step,
            "scores": trial.user_attrs.get("scores"),
            "values": space.leaves(trial.user_attrs.get("tree", {})),
            "ended": ended_in_words(trial),
        }
        for trial in studies.entered(task.study(studies.SEARCH))
    ]


def report(task: Task, outcome: Outcome) -> dict[str, Any]:
    """Trials, finalists and the verdict, for JSON; a score that is infinite is null."""
    return {
        "winner": outcome.winner,
        "words": outcome.words,
        "changes": list(outcome.changes),
        "finalists": [
            {
                "trial": each.candidate,
                "mean": _finite(each.mean),
                "values": [_finite(value) for value in each.values],
                "scores": list(each.scores),
            }
            for each in outcome.finalists
        ],
        "trials": rows(task),
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
