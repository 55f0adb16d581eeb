"""Comparison of two runs: metrics under the same protocol, and configuration."""

import dataclasses
import json
import os
from collections.abc import Mapping
from typing import Any

from components.common import artifact_files
from components.common.config import flatten
from pipeline.runs import history
from pipeline.runs.metadata import Run

# Shown in place of a missing value.
NOTHING = "–"

# The sections of the recipe from which the stages' parameters come.
_SECTIONS = {
    "FindData": "data",
    "ImageExampleGen": "data",
    "FeatureExtractor": "feature_extractor",
    "GANTrainer": "trainer",
    "Converter": "converter",
    "GANEvaluator": "evaluator",
    "Pusher": "pusher",
}
# What a stage was given that says nothing that another parameter does not.
_REPEATED = {
    "FindData": ("found",),
    "ImageExampleGen": ("base", "splits"),
    "LatestGoodSpan": ("found", "span"),
    "LatestBlessed": ("found",),
}


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Two runs and how they differ.

    Attributes:
      a, b: ids of the runs.
      metrics: by name, the scores `a` and `b` as in metrics.json (`value` and, with an interval,
        `low` and `high`) and the `difference` of their values, b - a; None if a run has none.
      not_compared: why the metrics are not compared; empty if they are.
      stages: by name, as in `history.Row`, (in a, in b); None if a run has not got to it.
      config: by dotted key, (value in a, value in b), if they differ; None if a run has no value.
    """

    a: str
    b: str
    metrics: dict[str, dict[str, Any]]
    not_compared: list[str]
    stages: dict[str, tuple[dict[str, Any] | None, dict[str, Any] | None]]
    config: dict[str, tuple[Any, Any]]


def compare(a: Run, b: Run) -> Comparison:
    """How `b` differs from `a` in metrics and in configuration.

    Scores under different extractors, counts or settings are not compared, because their difference
    would say nothing about the generators.
    """
    read = [_read_metrics(run) for run in (a, b)]
    reasons = [content for content in read if isinstance(content, str)]
    contents = [content for content in read if not isinstance(content, str)]
    metrics = {}
    if not reasons:
        reasons = _protocols_differ(*(content.get("protocol", {}) for content in contents))
    if not reasons:
        metrics = _metric_differences(*(content["metrics"] for content in contents))
    ran = history.stages(a), history.stages(b)
    stages = {name: (ran[0].get(name), ran[1].get(name)) for name in {**ran[0], **ran[1]}}
    return Comparison(a.id, b.id, metrics, reasons, stages, differences(_config(a), _config(b)))


def short(value: object) -> str:
    """A value in one line: text unchanged, a dash for None, otherwise JSON."""
    return NOTHING if value is None else value if isinstance(value, str) else json.dumps(value)


def _read_metrics(run: Run) -> dict[str, Any] | str:
    """The content of the run's metrics.json, or why there is none."""
    evaluation = run.output("GANEvaluator", "evaluation")
    if evaluation is None:
        return f"{run.id} has no evaluation ({history.state(run, in_use=False)})"
    path = os.path.join(evaluation.uri, artifact_files.METRICS)
    if not os.path.isfile(path):
        return f"{path} of {run.id} is gone"
    with open(path, encoding="utf-8") as file:
        try:
            return json.load(file)
        except ValueError as error:
            raise ValueError(f"{path}: not JSON: {error}") from error


def _protocols_differ(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    """The reasons why the scores of two protocols cannot be compared."""
    words = []
    extractors = [protocol.get("extractor", {}).get("id") for protocol in (a, b)]
    if extractors[0] != extractors[1]:
        words.append(f"the extractors differ ({_in_words(*extractors)})")
    if "real" in a and "real" in b and a["real"] != b["real"]:
        words.append(f"the real data differ ({_in_words(a['real'], b['real'])})")
    counts_a, counts_b = a.get("counts", {}), b.get("counts", {})
    # Only of the sets that both have: a first run has no baseline.
    counts = {key: (counts_a[key], counts_b[key]) for key in counts_a if key in counts_b}
    for name, pairs in {
        "count": {key: pair for key, pair in counts.items() if pair[0] != pair[1]},
        "setting": differences(flatten(a.get("settings", {})), flatten(b.get("settings", {}))),
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
    """The parameters of all stages by dotted key, as in the recipe for those with a section."""
    config: dict[str, Any] = {}
    for stage, execution in run.executions.items():
        repeated = _REPEATED.get(stage, ())
        parameters = {k: value for k, value in execution.parameters.items() if k not in repeated}
        config |= flatten(parameters, _SECTIONS.get(stage, stage))
    return config


def differences(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Keys whose values differ, in the order of `a`, then of `b`."""
    return {key: (a.get(key), b.get(key)) for key in {**a, **b} if a.get(key) != b.get(key)}
