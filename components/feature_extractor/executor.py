"""Examples in, the feature extractor out."""

import dataclasses
import json
import logging
import os
from typing import Any

from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils
from tfx.utils import path_utils

from components import examples, files, stage
from components.feature_extractor import classifier
from components.feature_extractor.config import FeatureExtractorConfig

_log = logging.getLogger(__name__)


class Executor(base_executor.BaseExecutor):
    """Trains the classifier on split `train`, measures it on split `eval` and exports it."""

    def Do(  # noqa: N802
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Fills the artifact `extractor`: the SavedModel, and what is known about it.

        `extractor.json` in its folder and its custom properties hold `classifier.Report` and the
        extractor's `name`.

        Raises:
          ValueError: for data with anomalies, and as `classifier.train`.
        """
        stage.refuse_anomalies(input_dict["anomalies"])
        config = FeatureExtractorConfig.model_validate_json(exec_properties["config"])
        image_shape = json.loads(exec_properties["image_shape"])
        train_split, eval_split = (
            examples.read_images(stage.split_files(input_dict["examples"], split), image_shape)
            for split in (examples.TRAIN_SPLIT, examples.EVAL_SPLIT)
        )
        model, report = classifier.train(train_split, eval_split, config)
        _log.info("FeatureExtractor: %s", report)

        extractor = artifact_utils.get_single_instance(output_dict["extractor"])
        classifier.export(model, path_utils.serving_model_dir(extractor.uri))
        known = {
            "name": f"{exec_properties['data_name']} classifier",
            **dataclasses.asdict(report),
        }
        content = json.dumps(known, indent=2) + "\n"
        files.write(os.path.join(extractor.uri, "extractor.json"), content.encode())
        for key, value in known.items():
            _set_property(extractor, key, value)


def _set_property(artifact: types.Artifact, key: str, value: str | int | float) -> None:
    setters = {
        str: artifact.set_string_custom_property,
        int: artifact.set_int_custom_property,
        float: artifact.set_float_custom_property,
    }
    setters[type(value)](key, value)
