"""The GANEvaluator stage; the evaluation itself is in `evaluate.py`."""

import json
import logging
import os
from collections.abc import Mapping, Sequence
from typing import Any

from tfx import types
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.dsl.io import fileio
from tfx.types.standard_artifacts import (
    Examples,
    Model,
    ModelBlessing,
    ModelEvaluation,
    ModelRun,
    Schema,
)
from tfx.utils import path_utils

from components.common import artifact_files, costs, files, saved_models, tfx
from components.data.examples import EVAL_SPLIT, TRAIN_SPLIT, Split
from components.data.spec import DataSpec
from components.evaluator import evaluate, protocol
from components.evaluator.baseline import Blessed, blessed_before
from components.evaluator.config import EvaluatorConfig
from components.evaluator.evaluation import Evaluation, Verdict
from components.evaluator.kept import Shelf
from components.evaluator.metrics.registry import METRICS
from components.features import Extractor
from components.serving import page

_log = logging.getLogger(__name__)

# Custom properties that ImageExampleGen sets on its examples.
_DATA_PROPERTIES = (
    "span",
    "version",
    "rejected",
    "dropped",
    "duplicates",
    "leaked",
    "animated",
    "misnamed",
)


class LatestBlessedDriver(tfx.LookupDriver):
    """Looks for the blessed models in every run."""

    def look(
        self, inputs: Mapping[str, types.Artifact], parameters: Mapping[str, Any]
    ) -> Mapping[str, object]:
        return _blessed_before(parameters["serving_dir"], inputs["model"], inputs["extractor"])


@component
def LatestBlessed(
    model: InputArtifact[Model],
    extractor: InputArtifact[Model],
    serving_dir: Parameter[str],
    found: Parameter[str] = "",
) -> Blessed:
    """Finds the models that the candidate is compared with, among those that were pushed.

    Args:
      model: the candidate.
      extractor: of its features.
      serving_dir: where Pusher pushes to.
      found: from the driver, where there is one.
    """
    return json.loads(found) if found else _blessed_before(serving_dir, model, extractor)


LatestBlessed.DRIVER_CLASS = LatestBlessedDriver


def _blessed_before(serving_dir: str, model: types.Artifact, extractor: types.Artifact) -> Blessed:
    extractor_id = extractor.get_string_custom_property("id")
    return blessed_before(serving_dir, path_utils.serving_model_dir(model.uri), extractor_id)


@component
def GANEvaluator(
    examples: InputArtifact[Examples],
    model: InputArtifact[Model],
    extractor: InputArtifact[Model],
    model_run: InputArtifact[ModelRun],
    evaluation: OutputArtifact[ModelEvaluation],
    blessing: OutputArtifact[ModelBlessing],
    config: Parameter[str],
    data: Parameter[str],
    data_name: Parameter[str],
    code_version: Parameter[str],
    baseline: Parameter[str] = "",
    best: Parameter[str] = "",
    reference_scores: Parameter[str] = "",
    schema: InputArtifact[Schema] = None,
) -> None:
    """Scores the generator against the eval split and blesses it if it passes the gate.

    Args:
      examples: splits train and eval of the contract in `components.data.examples`.
      model: the generator.
      extractor: maps the data to features.
      model_run: of the generator's training: log.jsonl, untrained/.
      evaluation: metrics.json, report.html, samples.png or samples.csv, and generator.html of a
        generator of images with an ONNX file; every score of the generator is also a custom
        property, and so is the id of its extractor.
      blessing: read by Pusher; property `verdicts` has every rule of the gate, a line each, and
        `reasons` those that failed; Pusher keeps `fid` and `extractor_id` for LatestBlessed.
      config: the recipe's section `evaluator` as JSON.
      data: the `DataSpec` as JSON.
      data_name: heading of generator.html.
      code_version: puts the stage's code into TFX's cache key.
      baseline: SavedModel of the last blessed generator, from LatestBlessed; may be empty.
      best: that of the blessed generator of the lowest FID under this extractor; it is scored only
        if it is another one than the baseline.
      reference_scores: folder for what does not depend on the generator, which later evaluations of
        the same data read; by default it is computed again.
      schema: the schema that validated the data, for the report's lineage.
    """
    spec = DataSpec.model_validate_json(data)
    splits = spec.read_splits(
        {split: tfx.split_files([examples], split) for split in (TRAIN_SPLIT, EVAL_SPLIT)}
    )
    train, real = splits[TRAIN_SPLIT], splits[EVAL_SPLIT]
    inputs = {
        "examples": examples,
        "extractor": extractor,
        "model": model,
        "model_run": model_run,
        "schema": schema,
    }
    log = _read(model_run.uri, artifact_files.LOG).splitlines()
    model_dir = path_utils.serving_model_dir(model.uri)
    settings = EvaluatorConfig.model_validate_json(config)
    others = {name: path for name, path in {"baseline": baseline, "best": best}.items() if path}
    result = evaluate.evaluate(
        model_dir,
        real,
        train,
        Extractor(extractor.uri),
        settings,
        model=tfx.address(model),
        columns=spec.columns,
        baseline=baseline or None,
        best=best if best and best != baseline else None,
        references={"untrained": os.path.join(model_run.uri, artifact_files.UNTRAINED)},
        log=[json.loads(line) for line in log],
        lineage={
            "evaluator code": code_version,
            **_lineage(inputs),
            **{f"{name} uri": path for name, path in others.items()},
            **_conversions(model_dir),
        },
        stages=_stages(inputs),
        shelf=Shelf(reference_scores, code_version) if reference_scores else None,
        recipe={"trainer": json.loads(_read(model_run.uri, artifact_files.CONFIGURATION))},
    )
    for verdict in result.verdicts:
        _log.info("gate: %s", verdict)
    for name, score in result.scores["model"].items():
        evaluation.set_float_custom_property(name, score.value)
    evaluation.set_string_custom_property("extractor_id", result.protocol["extractor"]["id"])
    shown = _page(model_dir, data_name, result, train, settings)
    evaluate.write(result, evaluation.uri, shown)
    if "fid" in result.scores["model"]:
        blessing.set_float_custom_property("fid", result.scores["model"]["fid"].value)
    blessing.set_string_custom_property("extractor_id", result.protocol["extractor"]["id"])
    _bless(blessing, model, result.verdicts)


def _conversions(model_dir: str) -> dict[str, str]:
    """Of the files for other runtimes: how far they are from the SavedModel."""
    found = saved_models.description(model_dir).get("conversions", {})
    return {f"converted {name}": each["difference"] for name, each in found.items()}


def _page(
    model_dir: str, title: str, result: Evaluation, train: Split, settings: EvaluatorConfig
) -> str | None:
    """The page that runs the generator; None for one that no page can show."""
    description = saved_models.description(model_dir)
    path = os.path.join(model_dir, page.MODEL_FILE)
    if not page.shows(description) or not fileio.exists(path):
        return None
    metrics = {
        METRICS.get(name).title: {"value": score.value, "low": score.low, "high": score.high}
        for name, score in result.scores["model"].items()
    }
    neighbours = None
    if settings.page_neighbours:
        neighbours = protocol.choose(train.data, settings.page_neighbours, settings.seed)
    return page.render(
        files.read(path), description, title=title, metrics=metrics, neighbours=neighbours
    )


def _read(folder: str, name: str) -> str:
    return files.read(os.path.join(folder, name)).decode()


def _lineage(inputs: Mapping[str, types.Artifact | None]) -> dict[str, Any]:
    """What ML Metadata knows about where the candidate comes from."""
    lineage: dict[str, Any] = {}
    given = {name: artifact for name, artifact in inputs.items() if artifact}
    for name, artifact in given.items():
        # In a pod there is no store of metadata that would know the id.
        if not artifact.has_custom_property(tfx.ADDRESS):
            lineage[f"{name} artifact"] = artifact.id
        lineage[f"{name} uri"] = tfx.address(artifact)
        if artifact.has_custom_property("code_version"):
            lineage[f"{name} code"] = artifact.get_string_custom_property("code_version")
    for name in _DATA_PROPERTIES:
        if given["examples"].has_custom_property(name):
            lineage[f"data {name}"] = given["examples"].get_int_custom_property(name)
    return lineage


def _stages(inputs: Mapping[str, types.Artifact | None]) -> dict[str, dict[str, Any]]:
    """What the stages before this one took, as `Evaluation` has it."""
    properties = [
        artifact.get_string_custom_property(costs.PROPERTY)
        for artifact in inputs.values()
        if artifact
    ]
    run = os.environ.get(costs.RUN)
    return {
        stage: {
            "seconds": cost.seconds,
            "peak_gb": cost.peak_gb,
            "cached": bool(run and cost.run and cost.run != run),
        }
        for stage, cost in costs.read(properties).items()
    }


def _bless(blessing: types.Artifact, model: types.Artifact, verdicts: Sequence[Verdict]) -> None:
    """Fills the artifact in the way Pusher reads it."""
    reasons = [str(verdict) for verdict in verdicts if not verdict.passed]
    blessing.set_int_custom_property("blessed", int(not reasons))
    blessing.set_string_custom_property("current_model", tfx.address(model))
    blessing.set_string_custom_property("verdicts", "\n".join(map(str, verdicts)))
    if reasons:
        blessing.set_string_custom_property("reasons", "; ".join(reasons))
    files.write(os.path.join(blessing.uri, "NOT_BLESSED" if reasons else "BLESSED"), b"")
