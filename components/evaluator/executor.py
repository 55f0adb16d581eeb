"""Artifacts in, artifacts out; the measuring itself is in `protocol.py` and `scores.py`."""

import dataclasses
import functools
import json
import logging
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils
from tfx.utils import path_utils

from components import examples, files, images, stage
from components.evaluator import gate, protocol, report
from components.evaluator.config import EvaluatorConfig

_log = logging.getLogger(__name__)

METRICS_FILE = "metrics.json"
REPORT_FILE = "report.html"
SAMPLES_FILE = "samples.png"

_SHOWN = 64


class Executor(base_executor.BaseExecutor):
    """Scores the generator beside its references, writes the report and the blessing."""

    def Do(  # noqa: N802
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """See `component.GANEvaluator`."""
        config = EvaluatorConfig.model_validate_json(exec_properties["config"])
        image_shape = json.loads(exec_properties["image_shape"])
        model = artifact_utils.get_single_instance(input_dict["model"])
        model_run = artifact_utils.get_single_instance(input_dict["model_run"])
        extractor = artifact_utils.get_single_instance(input_dict["extractor"])

        train, real = (
            examples.read_images(stage.split_files(input_dict["examples"], split), image_shape)
            for split in (examples.TRAIN_SPLIT, examples.EVAL_SPLIT)
        )
        real = real.images
        count = config.num_fake or len(real)
        sample = functools.partial(
            _sample,
            count=count,
            seed=config.seed,
            batch_size=config.batch_size,
            image_shape=image_shape,
        )
        subjects = {"model": sample(path_utils.serving_model_dir(model.uri))}
        for baseline in input_dict.get("baseline", []):
            subjects["baseline"] = sample(path_utils.serving_model_dir(baseline.uri))
        subjects["train"] = protocol.choose(train.images, len(real), config.seed)
        subjects["untrained"] = sample(os.path.join(model_run.uri, "untrained"))
        subjects["noise"] = protocol.noise(count, config.seed, image_shape)
        scores = protocol.measure(
            protocol.SavedModel(path_utils.serving_model_dir(extractor.uri), "serving_default"),
            real,
            subjects,
            config,
        )

        evaluation = report.Evaluation(
            model=model.uri,
            verdicts=gate.judge(scores["model"], scores.get("baseline"), config.gate),
            scores=scores,
            real=protocol.choose(real, _SHOWN, config.seed),
            fake=subjects["model"][:_SHOWN],
            log=[json.loads(line) for line in _read(model_run.uri, "log.jsonl").splitlines()],
            protocol=protocol.describe(
                json.loads(_read(extractor.uri, "extractor.json")),
                {"eval": len(real), **{name: len(fakes) for name, fakes in subjects.items()}},
                config,
            ),
            config=config.model_dump(mode="json", exclude_none=True),
        )
        for verdict in evaluation.verdicts:
            _log.info("gate: %s", verdict)
        _write_evaluation(output_dict["evaluation"], evaluation)
        _write_blessing(output_dict["blessing"], model, evaluation.verdicts)


def _sample(path: str, **arguments: Any) -> np.ndarray:
    return protocol.sample(protocol.SavedModel(path, "sample"), **arguments)


def _read(folder: str, name: str) -> str:
    with tf.io.gfile.GFile(os.path.join(folder, name)) as file:
        return file.read()


def _write_evaluation(output: Sequence[types.Artifact], evaluation: report.Evaluation) -> None:
    artifact = artifact_utils.get_single_instance(output)
    scores = {
        subject: {name: dataclasses.asdict(score) for name, score in of_subject.items()}
        for subject, of_subject in evaluation.scores.items()
    }
    for name, score in scores["model"].items():
        artifact.set_float_custom_property(name, score["value"])
    content = {
        "model": evaluation.model,
        "blessed": evaluation.blessed,
        "metrics": scores.pop("model"),
        "references": scores,
        "gate": [dataclasses.asdict(verdict) for verdict in evaluation.verdicts],
        "protocol": evaluation.protocol,
    }
    for name, data in {
        METRICS_FILE: json.dumps(content, indent=2).encode(),
        REPORT_FILE: report.render(evaluation).encode(),
        SAMPLES_FILE: images.png(images.grid(evaluation.fake)),
    }.items():
        files.write(os.path.join(artifact.uri, name), data)


def _write_blessing(
    output: Sequence[types.Artifact], model: types.Artifact, verdicts: Sequence[gate.Verdict]
) -> None:
    artifact = artifact_utils.get_single_instance(output)
    reasons = [str(verdict) for verdict in verdicts if not verdict.passed]
    artifact.set_int_custom_property("blessed", int(not reasons))
    artifact.set_string_custom_property("current_model", model.uri)
    artifact.set_int_custom_property("current_model_id", model.id)
    if reasons:
        artifact.set_string_custom_property("reasons", "; ".join(reasons))
    name = "NOT_BLESSED" if reasons else "BLESSED"
    files.write(os.path.join(artifact.uri, name), b"")
