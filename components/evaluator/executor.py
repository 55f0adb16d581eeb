"""Artifacts in, artifacts out; the evaluation itself is in `evaluate.py`."""

import json
import logging
import os
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf
from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils
from tfx.utils import path_utils

from components.common import files, tfx
from components.data import examples
from components.data.spec import DataSpec
from components.evaluator import evaluate
from components.evaluator.config import EvaluatorConfig
from components.evaluator.evaluation import Evaluation, Verdict
from components.features import Extractor

_log = logging.getLogger(__name__)

_UNTRAINED_FOLDER = "untrained"
# What ImageExampleGen says of its examples.
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


class Executor(base_executor.BaseExecutor):
    """Scores the generator beside its references, writes the report and the blessing."""

    def Do(  # noqa: N802
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """See `component.GANEvaluator`."""
        data = DataSpec.model_validate_json(exec_properties["data"])
        model = artifact_utils.get_single_instance(input_dict["model"])
        model_run = artifact_utils.get_single_instance(input_dict["model_run"])
        extractor = artifact_utils.get_single_instance(input_dict["extractor"])
        baseline = [path_utils.serving_model_dir(b.uri) for b in input_dict.get("baseline", [])]
        train, real = (
            data.read(tfx.split_files(input_dict["examples"], split))
            for split in (examples.TRAIN_SPLIT, examples.EVAL_SPLIT)
        )
        evaluation = evaluate.evaluate(
            path_utils.serving_model_dir(model.uri),
            real,
            train,
            Extractor(extractor.uri),
            EvaluatorConfig.model_validate_json(exec_properties["config"]),
            model=model.uri,
            columns=data.columns,
            baseline=baseline[0] if baseline else None,
            references={"untrained": os.path.join(model_run.uri, _UNTRAINED_FOLDER)},
            log=[json.loads(line) for line in _read(model_run.uri, "log.jsonl").splitlines()],
            lineage=_lineage(input_dict, exec_properties),
            recipe={"trainer": json.loads(_read(model_run.uri, "configuration.json"))},
        )
        for verdict in evaluation.verdicts:
            _log.info("gate: %s", verdict)
        _write_evaluation(output_dict["evaluation"], evaluation)
        _write_blessing(output_dict["blessing"], model, evaluation.verdicts)


def _read(folder: str, name: str) -> str:
    with tf.io.gfile.GFile(os.path.join(folder, name)) as file:
        return file.read()


def _lineage(
    inputs: Mapping[str, Sequence[types.Artifact]], exec_properties: Mapping[str, Any]
) -> dict[str, Any]:
    """What ML Metadata knows about where the candidate comes from."""
    lineage: dict[str, Any] = {"evaluator code": exec_properties["code_version"]}
    for name, artifacts in sorted(inputs.items()):
        for artifact in artifacts:
            lineage[f"{name} artifact"] = artifact.id
            lineage[f"{name} uri"] = artifact.uri
            if artifact.has_custom_property("code_version"):
                code = artifact.get_string_custom_property("code_version")
                lineage[f"{name} code"] = code
    (data,) = inputs["examples"]
    for name in _DATA_PROPERTIES:
        if data.has_custom_property(name):
            lineage[f"data {name}"] = data.get_int_custom_property(name)
    return lineage


def _write_evaluation(output: Sequence[types.Artifact], evaluation: Evaluation) -> None:
    artifact = artifact_utils.get_single_instance(output)
    for name, score in evaluation.scores["model"].items():
        artifact.set_float_custom_property(name, score.value)
    artifact.set_string_custom_property("extractor_id", evaluation.protocol["extractor"]["id"])
    evaluate.write(evaluation, artifact.uri)


def _write_blessing(
    output: Sequence[types.Artifact], model: types.Artifact, verdicts: Sequence[Verdict]
) -> None:
    artifact = artifact_utils.get_single_instance(output)
    reasons = [str(verdict) for verdict in verdicts if not verdict.passed]
    artifact.set_int_custom_property("blessed", int(not reasons))
    artifact.set_string_custom_property("current_model", model.uri)
    artifact.set_int_custom_property("current_model_id", model.id)
    artifact.set_string_custom_property("verdicts", "\n".join(map(str, verdicts)))
    if reasons:
        artifact.set_string_custom_property("reasons", "; ".join(reasons))
    name = "NOT_BLESSED" if reasons else "BLESSED"
    files.write(os.path.join(artifact.uri, name), b"")
