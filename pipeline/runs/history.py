"""Reads and selects the runs of a root; `listing` shows them."""

import dataclasses
import difflib
import hashlib
import os
import re
from collections.abc import Sequence
from typing import Any

from components.common.config import flatten
from pipeline.runs import lock, metadata
from pipeline.runs.metadata import Artifact, Execution, Run

_LAST_STAGE = "Pusher"
# Inputs and results of a run: the output key, and the stages that may have it.
_LINEAGE = {
    "examples": ("ImageExampleGen",),
    "schema": ("ImportSchemaGen", "SchemaGen"),
    "extractor": ("FeatureExtractor",),
    "model": ("GANTrainer",),
    "evaluation": ("GANEvaluator",),
}


@dataclasses.dataclass(frozen=True)
class Row:
    """One run in the list.

    Attributes:
      id, pipeline: as of `Run`.
      started: ISO 8601, in UTC.
      state: `complete`, `failed in <stage>`, `running <stage>`, `stopped in <stage>` (killed, or
        SIGTERM while training) or `stopped after <stage>`.
      metrics: name to value; empty if the evaluator has not finished.
      blessed: by the gate and the infra validation; None before either has run.
      reasons: why it was refused.
      pushed: version that the run pushed, or that was already there; None if there is none.
      stages: by name, in the order of their start: the `state` as of `Execution`, and of a stage
        that was not cached the `seconds` that it took and the `peak_gb` of memory.
      lineage: by output key (`examples`, `schema`, `extractor`, `model`, `evaluation`): the
        artifact's `id` and `uri`, its stage's `code_version`, and, if known, the `span`, `version`
        of its data and the `content`, a hash, of a schema.
    """

    id: str
    pipeline: str
    started: str
    state: str
    metrics: dict[str, float]
    blessed: bool | None
    reasons: str
    pushed: str | None
    stages: dict[str, dict[str, Any]]
    lineage: dict[str, dict[str, Any]]


def load(root: str) -> list[Run]:
    """The runs of a root, oldest first; none in an empty folder. Nothing is written.

    Raises:
      FileNotFoundError: if the folder is missing, or does not hold runs.
      ValueError: if the metadata cannot be read.
    """
    if not os.path.isdir(root):
        raise FileNotFoundError(f"{root}: no such folder; --root names the folder of the runs")
    if not os.listdir(root):
        return []
    path = os.path.join(root, metadata.DATABASE)
    if not os.path.isfile(path):
        raise FileNotFoundError(
            f"{root}: no {metadata.DATABASE}; --root names the folder that runs were written to"
        )
    return metadata.runs(path)


def rows(root: str) -> list[Row]:
    """The rows of the list, oldest first; raises as `load`."""
    found = load(root)
    in_use = lock.is_held(root)
    return [_row(run, in_use=in_use and run is found[-1]) for run in found]


def choose(found: Sequence[Run], name: str) -> Run:
    """The run with this id or unique prefix; `latest`; or `latest~N`, N runs before it.

    Raises:
      ValueError: if no run or several match, naming the nearest.
    """
    if not found:
        raise ValueError(f"{name}: no such run; there are no runs yet")
    match = re.fullmatch(r"latest(?:~(\d+))?", name)
    if match:
        back = int(match[1] or 0)
        if back >= len(found):
            raise ValueError(f"{name}: no such run; there are {len(found)}")
        return found[-1 - back]
    exact = [run for run in found if run.id == name]
    fitting = exact or [run for run in found if name and run.id.startswith(name)]
    if len(fitting) > 1:
        raise ValueError(
            f"{name}: is a prefix of {', '.join(run.id for run in fitting)}; use a longer one"
        )
    if not fitting:
        near = difflib.get_close_matches(name, [run.id for run in found], cutoff=0)
        raise ValueError(f"{name}: no such run; the nearest are {', '.join(near)}")
    return fitting[0]


def _row(run: Run, *, in_use: bool) -> Row:
    evaluation = run.output("GANEvaluator", "evaluation")
    blessing = run.output("GANEvaluator", "blessing")
    infra_blessing = run.output("InfraValidator", "blessing")
    verdicts = [found.properties for found in (blessing, infra_blessing) if found]
    refusals = [verdict for verdict in verdicts if not verdict.get("blessed")]
    pushed = run.output(_LAST_STAGE, "pushed_model")
    return Row(
        id=run.id,
        pipeline=run.pipeline,
        started=run.started.isoformat(timespec="seconds"),
        state=state(run, in_use=in_use),
        metrics={
            name: value
            for name, value in sorted(evaluation.properties.items() if evaluation else ())
            if isinstance(value, float)
        },
        # The infra validation alone can refuse a model but not bless it.
        blessed=False if refusals else True if blessing else None,
        reasons="; ".join(
            str(verdict.get("reasons", "the model does not load in a clean process"))
            for verdict in refusals
        ),
        pushed=str(pushed.properties["pushed_version"])
        if pushed and pushed.properties.get("pushed")
        else None,
        stages=stages(run),
        lineage=_lineage(run),
    )


def stages(run: Run) -> dict[str, dict[str, Any]]:
    """The stages of a run, as in `Row`."""
    found: dict[str, dict[str, Any]] = {}
    for stage, execution in run.executions.items():
        found[stage] = {"state": execution.state}
        if execution.cost:
            found[stage]["seconds"] = round(execution.cost.seconds, 3)
            found[stage]["peak_gb"] = round(execution.cost.peak_gb, 3)
    return found


def state(run: Run, *, in_use: bool) -> str:
    """The state of a run, as in `Row`; `in_use`: whether it holds the lock of its root."""
    for stage, execution in run.executions.items():
        if execution.state == "failed":
            return f"failed in {stage}"
        if execution.state == "running":
            return f"{'running' if in_use else 'stopped in'} {stage}"
    if _LAST_STAGE in run.executions:
        return "complete"
    last = next(reversed(run.executions), "the start")
    # Between two stages, none is running.
    return f"{'running' if in_use else 'stopped'}, after {last}"


def _lineage(run: Run) -> dict[str, dict[str, Any]]:
    lineage = {}
    for key, stages in _LINEAGE.items():
        for execution in (run.executions.get(stage) for stage in stages):
            if execution and key in execution.outputs:
                lineage[key] = _origin(execution, execution.outputs[key])
    return lineage


def _origin(execution: Execution, artifact: Artifact) -> dict[str, Any]:
    origin: dict[str, Any] = {"id": artifact.id, "uri": artifact.uri}
    for name in ("span", "version"):
        if name in artifact.properties:
            origin[name] = artifact.properties[name]
    if "text" in execution.properties:
        text = str(execution.properties["text"])
        origin["content"] = hashlib.sha256(text.encode()).hexdigest()[:16]
    for key, value in flatten(execution.parameters).items():
        if key.rpartition(".")[2] == "code_version":
            origin["code_version"] = value
    return origin
