"""The TFX components: FindData, and ImageExampleGen, which makes examples of images or tables."""

import json
import logging
import posixpath
from collections.abc import Mapping
from typing import Any, TypedDict

import apache_beam as beam
import tensorflow as tf
from tfx import types
from tfx.dsl.component.experimental.annotations import (
    BeamComponentParameter,
    OutputArtifact,
    Parameter,
)
from tfx.dsl.component.experimental.decorators import component
from tfx.types import artifact_utils
from tfx.types.standard_artifacts import Examples

from components.common import tfx
from components.example_gen import executor, ledger, paths
from components.example_gen.config import DataConfig
from components.example_gen.spans import SpanProcessor

_log = logging.getLogger(__name__)

# In place of a version, for data without versions.
NO_VERSION = -1


class Found(TypedDict):
    """The outputs of FindData.

    Attributes:
      base: the folder that patterns are relative to.
      splits: JSON of split name to glob patterns: train and eval, or one split.
      span: the latest; 0 for data without spans.
      version: its latest; -1 for data without versions.
      fingerprint: changes whenever a file does.
    """

    base: str
    splits: str
    span: int
    version: int
    fingerprint: str


def find(config: DataConfig) -> Found:
    """The data that a run reads.

    Raises:
      FileNotFoundError, ValueError: for data that do not exist, as `dataset.find`.
    """
    data = config.dataset()
    processor = SpanProcessor(data.base, data.patterns)
    span, version = processor.resolve_span_and_version()
    fingerprint = processor.get_input_fingerprint(span, version)
    path = posixpath.join(data.base, config.labels) if config.labels else None
    # Labels in an archive are covered by the archive's fingerprint.
    if path and tf.io.gfile.exists(path):
        fingerprint += f",labels:{paths.state(path)}"
    return Found(
        base=data.base,
        splits=json.dumps(processor.patterns(span, version)),
        span=span,
        version=NO_VERSION if version is None else version,
        fingerprint=fingerprint,
    )


class FindDataDriver(tfx.LookupDriver):
    """Looks for the data in every run."""

    def look(
        self, inputs: Mapping[str, types.Artifact], parameters: Mapping[str, Any]
    ) -> Mapping[str, object]:
        return find(DataConfig.model_validate_json(parameters["config"]))


@component
def FindData(config: Parameter[str], found: Parameter[str] = "") -> Found:
    """Finds the data: their format's files, the latest span and version, and a fingerprint.

    Args:
      config: the recipe's section `data` as JSON.
      found: from the driver, where there is one.
    """
    return json.loads(found) if found else find(DataConfig.model_validate_json(config))


FindData.DRIVER_CLASS = FindDataDriver


@component(use_beam=True)
def ImageExampleGen(
    examples: OutputArtifact[Examples],
    config: Parameter[str],
    base: Parameter[str],
    splits: Parameter[str],
    span: Parameter[int],
    version: Parameter[int],
    fingerprint: Parameter[str],
    code_version: Parameter[str],
    sample: Parameter[int] = 0,
    beam_pipeline: BeamComponentParameter[beam.Pipeline] = None,
) -> None:
    """Images or table rows of any registered format to the tf.Examples that stages share.

    Args:
      examples: the splits, and beside them what `executor.write_examples` writes about records; the
        counts are also custom properties, and so are span, version and fingerprint.
      config: `DataConfig.for_reading`.
      base, splits, span, version, fingerprint: from FindData.
      code_version: puts the stage's code into TFX's cache key.
      sample: how many of the records to read, spread over all; by default all.
      beam_pipeline: made by TFX.

    Raises:
      ValueError: naming records, for data that the recipe's section `data` does not accept.
    """
    settings = DataConfig.from_reading(config)
    patterns = json.loads(splits)
    names = list(executor.buckets_of(settings, patterns) or patterns)
    examples.split_names = artifact_utils.encode_split_names(names)
    examples.set_int_custom_property("span", span)
    if version != NO_VERSION:
        examples.set_int_custom_property("version", version)
    examples.set_string_custom_property("input_fingerprint", fingerprint)
    with beam_pipeline as pipeline:
        executor.write_examples(pipeline, examples.uri, settings, base, patterns, sample)

    found = ledger.Ledger.of(examples.uri)
    for name, count in found.properties.items():
        examples.set_int_custom_property(name, count)
    told = ", ".join(f"{count} {name}" for name, count in found.properties.items())
    _log.info("ImageExampleGen: %d records read: %s", found.count(ledger.INPUTS), told)
    found.check(settings, names)
    for line in found.rejected:
        _log.warning("set aside: %s: %s", line.source, line.reason)
