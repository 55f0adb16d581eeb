"""A search on its own: `tfx-gan tune`."""

import dataclasses
import json
import os
from collections.abc import Callable
from typing import Any

from components.common import artifact_files, files
from pipeline import config
from pipeline.runners import local

BEST = "best.yaml"


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
