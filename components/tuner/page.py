"""The page of a search: Optuna's plots, the best trials' samples, and what was changed."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from components.common import artifact_files, files, templates
from components.tuner import search, studies
from components.tuner.search import Outcome
from components.tuner.studies import SEARCH
from components.tuner.task import Task

if TYPE_CHECKING:
    from optuna import Study

_TEMPLATE = Path(__file__).with_name("page.html.jinja")
_PICTURES = 6


def render(task: Task, outcome: Outcome) -> str:
    """The page, which needs nothing from the network."""
    import plotly.offline

    study = task.study(SEARCH)
    best = [search.START, *(t.user_attrs[studies.ENTRY] for t in search.best(study, _PICTURES - 1))]
    return templates.load(_TEMPLATE).render(
        task=task,
        outcome=outcome,
        trials=[
            {
                "entry": trial.user_attrs[studies.ENTRY],
                "words": search.ended_in_words(trial),
                "scores": trial.user_attrs.get("scores") or {},
                "changes": search.differences(task, trial.user_attrs.get("tree", {})),
            }
            for trial in studies.entered(study)
        ],
        pictures=[(entry, url) for entry in best if (url := _picture(task, entry))],
        plots=_plots(study),
        plotly=plotly.offline.get_plotlyjs(),
    )


def _plots(study: Study) -> dict[str, str]:
    """Optuna's plots by title, as HTML; without those that need more trials than there are."""
    from optuna import visualization
    from optuna.trial import TrialState

    ended = [trial for trial in study.trials if trial.state == TrialState.COMPLETE and trial.params]
    makers: dict[str, Callable[..., Any]] = {"History": visualization.plot_optimization_history}
    if ended:
        makers |= {
            "Learning curves": visualization.plot_intermediate_values,
            "Slices": visualization.plot_slice,
            "Parallel coordinates": visualization.plot_parallel_coordinate,
        }
    names = [tuple(trial.params) for trial in ended]
    if len({trial.value for trial in ended}) > 1 and set.intersection(*map(set, names)):
        makers["Importance"] = visualization.plot_param_importances
    found = {}
    for title, make in makers.items():
        figure = make(study)
        figure.update_layout(title=None, paper_bgcolor="rgba(0,0,0,0)", margin={"t": 20})
        found[title] = figure.to_html(
            include_plotlyjs=False, full_html=False, config={"displayModeBar": False}
        )
    return found


def _picture(task: Task, entry: int) -> str | None:
    """The samples of a trial as a data URL; None for tables, and for trials that made none."""
    path = os.path.join(task.trial_folder(entry), artifact_files.TRIAL_SAMPLES)
    if not tf.io.gfile.exists(path):
        return None
    return "data:image/png;base64," + base64.b64encode(files.read(path)).decode()
