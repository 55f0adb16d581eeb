"""The TFX components DataValidator, LatestGoodSpan, and the two sources of a schema."""

import json
import logging
import os
from collections.abc import Mapping
from typing import Any, TypedDict

from tfx import types
from tfx.components.statistics_gen import stats_artifact_utils
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import artifact_utils
from tfx.types.standard_artifacts import ExampleAnomalies, Examples, ExampleStatistics, Schema
from tfx.utils import io_utils

from components.common import files, tfx
from components.data import notes
from components.data.examples import TRAIN_SPLIT
from components.data.spec import DataSpec
from components.data_validator import checks, good_spans, proposal
from components.data_validator import statistics as data_statistics
from components.data_validator.config import ValidationConfig

_log = logging.getLogger(__name__)

# Of TFX's SchemaGen.
_SCHEMA_FILE = "schema.pbtxt"


class Previous(TypedDict):
    """The output of LatestGoodSpan: `previous`, a file of statistics, or empty."""

    previous: str


class LatestGoodSpanDriver(tfx.LookupDriver):
    """Looks for the last good span in every run."""

    def look(
        self, inputs: Mapping[str, types.Artifact], parameters: Mapping[str, Any]
    ) -> Mapping[str, object]:
        return {"previous": good_spans.latest_before(parameters["folder"], parameters["span"])}


@component
def LatestGoodSpan(
    folder: Parameter[str], span: Parameter[int], found: Parameter[str] = ""
) -> Previous:
    """Finds the statistics of the latest earlier span without anomalies, if there is one.

    A refused span is never a reference for the next.

    Args:
      folder: of `good_spans`.
      span: of the data, from FindData.
      found: from the driver, where there is one.
    """
    if found:
        return json.loads(found)
    return Previous(previous=good_spans.latest_before(folder, span))


LatestGoodSpan.DRIVER_CLASS = LatestGoodSpanDriver


@component
def DataValidator(
    examples: InputArtifact[Examples],
    statistics: InputArtifact[ExampleStatistics],
    schema: InputArtifact[Schema],
    anomalies: OutputArtifact[ExampleAnomalies],
    config: Parameter[str],
    good_spans_folder: Parameter[str],
    previous: Parameter[str],
    code_version: Parameter[str],
) -> None:
    """Validates the examples against their schema, earlier data and ExampleGen's notes.

    It replaces TFX's ExampleValidator, and also compares eval with train, and train with the last
    good span and with the data that the schema was made from.

    Args:
      examples: with ExampleGen's per-record warnings beside them.
      statistics: of the examples, from StatisticsGen with `statistics.options`.
      schema: of the examples.
      anomalies: laid out as ExampleValidator's, blessed with `tfx.bless_splits`; property `span` is
        that of the examples.
      config: the recipe's section `validation` as JSON.
      good_spans_folder: of `good_spans`, which good data enter.
      previous: statistics of an earlier span, from LatestGoodSpan; may be empty.
      code_version: puts the stage's code into TFX's cache key.
    """
    settings = ValidationConfig.model_validate_json(config)
    by_split = _by_split(statistics)
    for line in checks.empty_classes(by_split):
        _log.warning("%s", line)
    found = checks.validate(
        by_split,
        io_utils.SchemaReader().read(io_utils.get_only_uri_in_dir(schema.uri)),
        notes.read(examples.uri),
        settings,
        previous=data_statistics.read(previous) if previous else None,
        reference=data_statistics.read(settings.reference) if settings.reference else None,
    )
    anomalies.split_names = statistics.split_names
    anomalies.span = examples.get_int_custom_property("span")
    blessed: dict[str, bool] = {}
    for split, proto in found.items():
        folder = artifact_utils.get_split_uri([anomalies], split)
        files.write(os.path.join(folder, tfx.ANOMALIES_FILE), proto.SerializeToString())
        lines = tfx.in_words(split, proto)
        blessed[split] = not lines
        for line in lines:
            _log.info("anomaly: %s", line)
    tfx.bless_splits(anomalies, blessed)
    if all(blessed.values()):
        good_spans.record(good_spans_folder, anomalies.span, by_split[TRAIN_SPLIT])


@component
def ImportSchemaGen(
    schema: OutputArtifact[Schema], text: Parameter[str], code_version: Parameter[str]
) -> None:
    """Passes on a schema of the recipe, by its text: no path to a file leaves this machine.

    Args:
      schema: schema.pbtxt.
      text: its content.
      code_version: puts the stage's code into TFX's cache key.
    """
    files.write(os.path.join(schema.uri, _SCHEMA_FILE), text.encode())


@component
def SchemaGen(
    statistics: InputArtifact[ExampleStatistics],
    schema: OutputArtifact[Schema],
    data: Parameter[str],
    code_version: Parameter[str],
) -> None:
    """Proposes a schema from the data themselves, as `tfx-gan schema` does.

    TFX's own SchemaGen infers integer class labels as strings.

    Args:
      statistics: of the examples, from StatisticsGen with `statistics.options`.
      schema: schema.pbtxt.
      data: the `DataSpec` as JSON.
      code_version: puts the stage's code into TFX's cache key.
    """
    found = _by_split(statistics)
    proposed = proposal.propose(found, DataSpec.model_validate_json(data))
    text = proposal.to_text(proposed, found)
    files.write(os.path.join(schema.uri, _SCHEMA_FILE), text.encode())


def _by_split(artifact: types.Artifact) -> dict[str, checks.Statistics]:
    splits = artifact_utils.decode_split_names(artifact.split_names)
    return {split: _statistics(artifact, split) for split in splits}


def _statistics(artifact: types.Artifact, split: str) -> checks.Statistics:
    return stats_artifact_utils.load_statistics(artifact, split).proto()
