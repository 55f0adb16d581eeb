"""A search on its own: `tfx-gan tune`."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from components.common import artifact_files, files
from components.tuner import search, space, studies
from pipeline import config
from pipeline.runners import local

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

BEST = "best.yaml"
# Trials at the top of the live table; those at work come below.
_BEST_SHOWN = 8


@dataclasses.dataclass(frozen=True)
class Search:
    """The result of a search.

    Attributes:
      report: as in tuner_results.json.
      page: the HTML page.
      best: a recipe with the best values, and without the section `tuner`.
    """

    report: dict[str, Any]
    page: str
    best: str


def tune(
    recipe: config.Recipe,
    root: str,
    log: Callable[[str], None],
    out: str | None = None,
) -> Search:
    """Runs the stages up to GANTuner; a search that was stopped goes on.

    Args:
      recipe: the resolved recipe, with a section `tuner`.
      root: as of `local.run`.
      log: receives a line as a stage starts and ends, and as a trial ends.
      out: where to write the best recipe; default: best.yaml in `root`.

    Raises:
      Exception: as `local.run`.
    """
    # With the precision that a run takes, so that it finds the search in the cache.
    outputs = local.search(recipe.settled(), root, log)
    report = json.loads(files.read(os.path.join(outputs["tuner_results"], artifact_files.TRIALS)))
    content = files.read(os.path.join(outputs["hyperparameters"], artifact_files.HYPERPARAMETERS))
    trainer = recipe.trainer.with_values(json.loads(content)["values"])
    best = out or os.path.join(root, BEST)
    found = recipe.model_copy(update={"trainer": trainer, "tuner": None})
    files.write(best, found.to_yaml().encode())
    page = os.path.join(outputs["tuner_results"], artifact_files.SEARCH_PAGE)
    return Search(report, page, best)


@contextlib.contextmanager
def shown_live(console: Console) -> Iterator[None]:
    """Shows a table of the best trials and of those at work while a search in the block goes on."""
    with Live(console=console, transient=True, auto_refresh=False) as live:
        handler = logging.Handler()
        handler.emit = lambda record: live.update(  # type: ignore[method-assign]
            table(record.study),  # type: ignore[attr-defined]
            refresh=True,
        )
        search.LIVE.addHandler(handler)
        search.LIVE.setLevel(logging.DEBUG)
        try:
            yield
        finally:
            search.LIVE.setLevel(logging.NOTSET)
            search.LIVE.removeHandler(handler)


def table(study: Study) -> Table:
    """The best trials of a search, and those at work."""
    from optuna.trial import TrialState

    trials = studies.entered(study)
    running = [trial for trial in trials if trial.state == TrialState.RUNNING]
    ended = sum(trial.state.is_finished() for trial in trials)
    made = Table(title=f"{ended} of {len(trials)} trials have ended")
    for head in ("trial", "images", "score", "recall", "coverage"):
        made.add_column(head, justify="right")
    made.add_column("changes", ratio=1)
    for trial in [*search.best(study, _BEST_SHOWN), *running]:
        made.add_row(*_cells(trial), style="dim" if trial in running else None)
    return made


def _cells(trial: FrozenTrial) -> tuple[str | Text, ...]:
    last = trial.last_step
    scores = trial.user_attrs.get("scores", {})
    values = space.leaves(trial.user_attrs.get("tree", {}))
    return (
        str(trial.user_attrs[studies.ENTRY]),
        "" if last is None else f"{last:,}",
        "" if last is None else f"{trial.intermediate_values[last]:.4g}",
        *(f"{scores[name]:.2f}" if name in scores else "" for name in ("recall", "coverage")),
        Text(", ".join(f"{key}: {search.short(value)}" for key, value in values.items())),
    )
