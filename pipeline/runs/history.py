"""The runs of a root, read, chosen and compared; `listing` shows them."""

import dataclasses
import difflib
import fcntl
import json
import math
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

from components.common import artifact_files
from pipeline.runs import metadata
from pipeline.runs.metadata import Artifact, Execution, Run

# In words, for what is not there.
NOTHING = "–"

_LAST_STAGE = "Pusher"
# The sections of the recipe that the stages' parameters come from.
_SECTIONS = {
    "ImageExampleGen": "data",
    "FeatureExtractor": "feature_extractor",
    "GANTrainer": "trainer",
    "GANEvaluator": "evaluator",
    "Pusher": "pusher",
}
# What a run is made from and what it makes: the output key, and the stages that may have it.
_LINEAGE = {
    "examples": ("ImageExampleGen",),
    "schema": ("ImportSchemaGen", "SchemaGen"),
    "extractor": ("FeatureExtractor",),
    "model": ("GANTrainer",),
    "evaluation": ("GANEvaluator",),
}
# What ImageExampleGen's driver finds; a cached execution has it in its output alone.
_DATA = ("span", "version", "input_fingerprint")


@dataclasses.dataclass(frozen=True)
class Row:
    """One run as it is listed.

    Attributes:
      id, pipeline: of the run.
      started: ISO 8601, in UTC.
      state: `complete`, `failed in <stage>`, `running <stage>`, `stopped in <stage>` (killed, or
        SIGTERM while training) or `stopped after <stage>`.
      metrics: name to value; empty where the evaluator has not come to its end.
      blessed: by the gate and the infra validation; None where neither was asked yet.
      reasons: why not.
      pushed: version that the run pushed, or found to be the highest already; None for none.
      lineage: by output key (`examples`, `schema`, `extractor`, `model`, `evaluation`), of those
        there are: the artifact's `id` and `uri`, its stage's `code_version`, and what is known of
        its data (`span`, `version`, `source`).
    """

    id: str
    pipeline: str
    started: str
    state: str
    metrics: dict[str, float]
    blessed: bool | None
    reasons: str
    pushed: str | None
    lineage: dict[str, dict[str, Any]]


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Two runs and how they differ.

    Attributes:
      a, b: ids of the runs.
      metrics: by name, the `a` and `b` of metrics.json (`value`, and, if it has them, `low` and
        `high`) and the `difference` of their values, b - a; None for a metric that one lacks.
      not_compared: why the metrics are not, in words; empty where they are.
      config: by dotted key, (value in a, value in b), only what differs; None for none.
    """

    a: str
    b: str
    metrics: dict[str, dict[str, Any]]
    not_compared: list[str]
    config: dict[str, tuple[Any, Any]]


def load(root: str) -> list[Run]:
    """The runs of a root, oldest first; of an empty folder, none. Writes nothing.

    Raises:
      FileNotFoundError: for a folder that is missing, or that holds other things than runs.
      ValueError: for metadata that cannot be read.
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
    """The runs of a root as they are listed, oldest first; raises as `load`."""
    found = load(root)
    in_use = _in_use(root)
    return [_row(run, in_use=in_use and run is found[-1]) for run in found]


def choose(found: Sequence[Run], name: str) -> Run:
    """The run of an id, a unique beginning of one, `latest` or `latest~N` (N runs before it).

    Raises:
      ValueError: for none or several, naming those that are near.
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
        raise ValueError(f"{name}: begins {', '.join(run.id for run in fitting)}; give more of it")
    if not fitting:
        near = difflib.get_close_matches(name, [run.id for run in found], cutoff=0)
        raise ValueError(f"{name}: no such run; the nearest are {', '.join(near)}")
    return fitting[0]


def compare(a: Run, b: Run) -> Comparison:
    """How `b` differs from `a`, in its metrics and in its configuration.

    Metrics of different extractors, counts or settings measure different things, so that their
    difference would say nothing about the generators; they are left out.
    """
    contents = [_read_metrics(run) for run in (a, b)]
    reasons = [content for content in contents if isinstance(content, str)]
    metrics = {}
    if not reasons:
        reasons = _protocols_differ(*(content.get("protocol", {}) for content in contents))
    if not reasons:
        metrics = _metric_differences(*(content["metrics"] for content in contents))
    return Comparison(a.id, b.id, metrics, reasons, _differences(_config(a), _config(b)))


def to_json(content: Any) -> str:  # noqa: ANN401
    """JSON of data classes, which has no NaN and no infinities: null stands for them."""
    return json.dumps(_finite(content), indent=2, ensure_ascii=False, allow_nan=False)


def short(value: object) -> str:
    """A value in one line: text as it is, a dash for none, else JSON."""
    return NOTHING if value is None else value if isinstance(value, str) else json.dumps(value)


def _finite(content: Any) -> Any:  # noqa: ANN401
    if dataclasses.is_dataclass(content):
        return _finite(dataclasses.asdict(content))
    if isinstance(content, Mapping):
        return {key: _finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(value) for value in content]
    if isinstance(content, float) and not math.isfinite(content):
        return None
    return content


def _in_use(root: str) -> bool:
    """Whether a run is writing, which holds a lock on this file (`local_runner`)."""
    path = os.path.join(root, ".lock")
    if not os.path.isfile(path):
        return False
    with open(path, encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _row(run: Run, *, in_use: bool) -> Row:
    blessing = _output(run, "GANEvaluator", "blessing")
    infra_blessing = _output(run, "InfraValidator", "blessing")
    verdicts = [found.properties for found in (blessing, infra_blessing) if found]
    refusals = [verdict for verdict in verdicts if not verdict.get("blessed")]
    pushed = _output(run, _LAST_STAGE, "pushed_model")
    return Row(
        id=run.id,
        pipeline=run.pipeline,
        started=run.started.isoformat(timespec="seconds"),
        state=_state(run, in_use=in_use),
        metrics=_float_properties(_output(run, "GANEvaluator", "evaluation")),
        # The infra validation alone can refuse a model, and cannot bless it.
        blessed=False if refusals else True if blessing else None,
        reasons="; ".join(
            str(verdict.get("reasons", "the model does not load in a clean process"))
            for verdict in refusals
        ),
        pushed=str(pushed.properties["pushed_version"])
        if pushed and pushed.properties.get("pushed")
        else None,
        lineage=_lineage(run),
    )


def _output(run: Run, stage: str, key: str) -> Artifact | None:
    execution = run.executions.get(stage)
    return execution.outputs.get(key) if execution else None


def _state(run: Run, *, in_use: bool) -> str:
    for stage, execution in run.executions.items():
        if execution.state == "failed":
            return f"failed in {stage}"
        if execution.state == "running":
            return f"{'running' if in_use else 'stopped in'} {stage}"
    if _LAST_STAGE in run.executions:
        return "complete"
    last = next(reversed(run.executions), "the start")
    # Between two stages a run has none that is running.
    return f"{'running' if in_use else 'stopped'}, after {last}"


def _float_properties(artifact: Artifact | None) -> dict[str, float]:
    properties = artifact.properties if artifact else {}
    return {name: value for name, value in sorted(properties.items()) if isinstance(value, float)}


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
    if "schema_file" in execution.properties:
        origin["source"] = execution.properties["schema_file"]
    for key, value in _flat(_parameters(execution)).items():
        if key.rpartition(".")[2] == "code_version":
            origin["code_version"] = value
    return origin


def _read_metrics(run: Run) -> dict[str, Any] | str:
    """The content of the run's metrics.json, or why there is none."""
    evaluation = _output(run, "GANEvaluator", "evaluation")
    if evaluation is None:
        return f"{run.id} has no evaluation ({_state(run, in_use=False)})"
    path = os.path.join(evaluation.uri, artifact_files.METRICS)
    if not os.path.isfile(path):
        return f"{path} of {run.id} is gone"
    with open(path, encoding="utf-8") as file:
        try:
            return json.load(file)
        except ValueError as error:
            raise ValueError(f"{path}: not JSON: {error}") from error


def _protocols_differ(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    """What makes the scores of two protocols incomparable, in words."""
    words = []
    extractors = [protocol.get("extractor", {}).get("id") for protocol in (a, b)]
    if extractors[0] != extractors[1]:
        words.append(f"the extractors differ ({_in_words(*extractors)})")
    if "real" in a and "real" in b and a["real"] != b["real"]:
        words.append(f"the real data differ ({_in_words(a['real'], b['real'])})")
    counts_a, counts_b = a.get("counts", {}), b.get("counts", {})
    # Of the sets that both have: a first run has no baseline.
    counts = {key: (counts_a[key], counts_b[key]) for key in counts_a if key in counts_b}
    for name, pairs in {
        "count": {key: pair for key, pair in counts.items() if pair[0] != pair[1]},
        "setting": _differences(_flat(a.get("settings", {})), _flat(b.get("settings", {}))),
    }.items():
        words += [f"{name} {key} differs ({_in_words(*pair)})" for key, pair in pairs.items()]
    return words


def _in_words(a: object, b: object) -> str:
    return f"{short(a)} and {short(b)}"


def _metric_differences(
    a: Mapping[str, Mapping[str, Any]], b: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    return {
        name: {
            "a": a.get(name),
            "b": b.get(name),
            "difference": b[name]["value"] - a[name]["value"] if name in a and name in b else None,
        }
        for name in sorted({*a, *b})
    }


def _config(run: Run) -> dict[str, Any]:
    """The parameters of every stage by dotted key, those of a recipe's section as there."""
    config = {
        key: value
        for stage, execution in run.executions.items()
        for key, value in _flat(_parameters(execution), _SECTIONS.get(stage, stage)).items()
    }
    examples = _output(run, "ImageExampleGen", "examples")
    known = examples.properties if examples else {}
    return {**config, **{f"data.{name}": known[name] for name in _DATA if name in known}}


def _parameters(execution: Execution) -> dict[str, Any]:
    """The parameters, JSON read; what `config` holds lies beside the others."""
    parameters = {
        name: _parsed(value) for name, value in execution.properties.items() if name not in _DATA
    }
    config = parameters.pop("config", {})
    return {**(config if isinstance(config, dict) else {"config": config}), **parameters}


def _parsed(value: str | int | float) -> Any:  # noqa: ANN401
    if not isinstance(value, str) or not value.startswith(("{", "[")):
        return value
    try:
        return json.loads(value)
    except ValueError:
        # A text that only looks like JSON is what it is.
        return value


def _flat(tree: Any, prefix: str = "") -> dict[str, Any]:  # noqa: ANN401
    """Dotted keys to leaves; lists are leaves unless they hold sections."""
    if isinstance(tree, Mapping):
        items = tree.items()
    elif isinstance(tree, list) and any(isinstance(value, Mapping) for value in tree):
        items = enumerate(tree)
    else:
        return {prefix: tree}
    return {
        key: value
        for name, branch in items
        for key, value in _flat(branch, f"{prefix}.{name}" if prefix else str(name)).items()
    }


def _differences(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Keys whose values differ, in the order of `a`, then of `b`."""
    return {key: (a.get(key), b.get(key)) for key in {**a, **b} if a.get(key) != b.get(key)}
