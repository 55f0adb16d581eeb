"""Files in, split and validated tf.Examples out, on Beam."""

import logging
from collections.abc import Mapping
from typing import Any

import apache_beam as beam
import tensorflow as tf
from google.protobuf import struct_pb2
from tfx.components.example_gen.base_example_gen_executor import BaseExampleGenExecutor
from tfx.proto import example_gen_pb2
from tfx.utils import proto_utils

from components import examples
from components.example_gen.readers import READERS

_log = logging.getLogger(__name__)


class Executor(BaseExampleGenExecutor):
    """Reads the format that `custom_config` names; the base class splits and writes."""

    def GetInputSourceToExamplePTransform(self) -> beam.PTransform:  # noqa: N802
        """The transform that the base class applies to the pattern of every input split."""
        return _read_split


@beam.ptransform_fn
@beam.typehints.with_input_types(beam.Pipeline)
@beam.typehints.with_output_types(tf.train.Example)
def _read_split(
    pipeline: beam.Pipeline, exec_properties: Mapping[str, Any], split_pattern: str
) -> beam.PCollection:
    reader = READERS.get(_format(exec_properties["custom_config"]))()
    inputs = example_gen_pb2.Input()
    proto_utils.json_to_proto(exec_properties["input_config"], inputs)
    splits = {split.name: split.pattern for split in inputs.splits}
    name = next(name for name, pattern in splits.items() if pattern == split_pattern)
    return (
        pipeline
        | "Shards" >> beam.Create(reader.shards(exec_properties["input_base"], splits)[name])
        | "Spread" >> beam.Reshuffle()
        | "Read" >> beam.FlatMap(reader.read)
        | "ToExample" >> beam.Map(_to_example)
    )


def _format(custom_config: str) -> str:
    custom = example_gen_pb2.CustomConfig()
    proto_utils.json_to_proto(custom_config, custom)
    values = struct_pb2.Struct()
    custom.custom_config.Unpack(values)
    return values["format"]


def _to_example(record: examples.ImageRecord) -> tf.train.Example:
    if not record.decode_ok:
        _log.warning("%s: the image does not decode", record.source)
    return examples.to_example(record)
