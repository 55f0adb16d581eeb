"""Examples in, the feature extractor out."""

import logging
from typing import Any

from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils

from components.common import tfx
from components.data import examples
from components.data.spec import DataSpec
from components.feature_extractor import making
from components.feature_extractor.config import FeatureExtractorConfig

_log = logging.getLogger(__name__)


class Executor(base_executor.BaseExecutor):
    """Makes the extractor and stores the features of both splits with it."""

    def Do(  # noqa: N802
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Fills the artifact `extractor`, as `components.features` describes it.

        Its custom properties hold what `extractor.json` does.

        Raises:
          ValueError: for data with anomalies, and as `making.make`.
        """
        tfx.refuse_anomalies(input_dict["anomalies"])
        config = FeatureExtractorConfig.model_validate_json(exec_properties["config"])
        data = DataSpec.model_validate_json(exec_properties["data"])
        splits = {
            split: data.read(tfx.split_files(input_dict["examples"], split))
            for split in (examples.TRAIN_SPLIT, examples.EVAL_SPLIT)
        }
        extractor = artifact_utils.get_single_instance(output_dict["extractor"])
        known = making.make(extractor.uri, splits, config, exec_properties["data_name"])
        _log.info("FeatureExtractor: %s", known)
        for key, value in known.items():
            if value is not None:
                _set_property(extractor, key, value)


def _set_property(artifact: types.Artifact, key: str, value: str | int | float) -> None:
    setters = {
        str: artifact.set_string_custom_property,
        bool: artifact.set_int_custom_property,
        int: artifact.set_int_custom_property,
        float: artifact.set_float_custom_property,
    }
    setters[type(value)](key, value)
