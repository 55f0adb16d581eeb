"""Artifacts in, artifacts out; the work itself is in `checks.py` and `proposal.py`."""

import logging
import os
from typing import Any

from tfx import types
from tfx.components.statistics_gen import stats_artifact_utils
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils
from tfx.utils import io_utils

from components.common import files, tfx
from components.data import notes
from components.data.examples import TRAIN_SPLIT
from components.data.spec import DataSpec
from components.data_validator import checks, proposal, statistics
from components.data_validator.config import ValidationConfig

_log = logging.getLogger(__name__)

# Of TFX's SchemaGen.
_SCHEMA_FILE = "schema.pbtxt"


class Executor(base_executor.BaseExecutor):
    """Writes the anomalies of each split, and blesses the splits that have none."""

    def Do(  # noqa: N802
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """See `component.DataValidator`."""
        config = ValidationConfig.model_validate_json(exec_properties["config"])
        examples = artifact_utils.get_single_instance(input_dict["examples"])
        current = artifact_utils.get_single_instance(input_dict["statistics"])
        schema = io_utils.get_only_uri_in_dir(artifact_utils.get_single_uri(input_dict["schema"]))
        previous = input_dict.get("previous", [])
        anomalies = checks.validate(
            _by_split(current),
            io_utils.SchemaReader().read(schema),
            notes.read(examples.uri),
            config,
            previous=_statistics(previous[0], TRAIN_SPLIT) if previous else None,
            reference=statistics.read(config.reference) if config.reference else None,
        )
        output = artifact_utils.get_single_instance(output_dict["anomalies"])
        output.split_names = current.split_names
        output.span = examples.get_int_custom_property("span")
        blessed = {}
        for split, found in anomalies.items():
            folder = artifact_utils.get_split_uri([output], split)
            files.write(os.path.join(folder, tfx.ANOMALIES_FILE), found.SerializeToString())
            words = tfx.in_words(split, found)
            blessed[split] = int(not words)
            for text in words:
                _log.info("anomaly: %s", text)
        output.set_json_value_custom_property("blessed", blessed)
        output.set_int_custom_property("statistics_id", current.id)


class SchemaExecutor(base_executor.BaseExecutor):
    """Writes the schema that is proposed."""

    def Do(  # noqa: N802
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """See `component.SchemaGen`."""
        found = _by_split(artifact_utils.get_single_instance(input_dict["statistics"]))
        data = DataSpec.model_validate_json(exec_properties["data"])
        text = proposal.to_text(proposal.propose(found, data), found)
        folder = artifact_utils.get_single_uri(output_dict["schema"])
        files.write(os.path.join(folder, _SCHEMA_FILE), text.encode())


def _by_split(artifact: types.Artifact) -> dict[str, checks.Statistics]:
    splits = artifact_utils.decode_split_names(artifact.split_names)
    return {split: _statistics(artifact, split) for split in splits}


def _statistics(artifact: types.Artifact, split: str) -> checks.Statistics:
    return stats_artifact_utils.load_statistics(artifact, split).proto()
