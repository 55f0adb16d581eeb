"""The TFX component: images or tables on disk in, examples in train and eval out."""

import posixpath
from collections.abc import Iterable, Mapping
from typing import Any

import tensorflow as tf
from google.protobuf import struct_pb2
from tfx.components.example_gen import driver, input_processor, utils
from tfx.components.example_gen.component import FileBasedExampleGen
from tfx.dsl.components.base import executor_spec
from tfx.proto import example_gen_pb2, range_config_pb2

from components.common.code_version import code_version
from components.data.examples import EVAL_SPLIT, TRAIN_SPLIT
from components.example_gen import executor, paths, sources, spans
from components.example_gen.config import DataConfig

_BUCKETS = 1000


class Driver(driver.FileBasedDriver):
    """TFX's driver, whose fingerprint covers all files, including the file of labels."""

    def get_input_processor(
        self,
        splits: Iterable[example_gen_pb2.Input.Split],
        range_config: range_config_pb2.RangeConfig | None = None,
        input_base_uri: str | None = None,
    ) -> input_processor.InputProcessor:
        patterns = {split.name: split.pattern for split in splits}
        return spans.SpanProcessor(input_base_uri or "", patterns, range_config)

    def resolve_exec_properties(
        self, exec_properties: dict[str, Any], *args: object, **kwargs: object
    ) -> dict[str, Any]:
        resolved = super().resolve_exec_properties(exec_properties, *args, **kwargs)
        labels = executor.read_config(resolved["custom_config"]).labels
        path = posixpath.join(resolved["input_base"], labels) if labels else None
        # Labels in an archive are covered by the archive's fingerprint.
        if path and tf.io.gfile.exists(path):
            resolved[utils.FINGERPRINT_PROPERTY_NAME] += f",labels:{paths.state(path)}"
        return resolved


class ImageExampleGen(FileBasedExampleGen):
    """Images or table rows of any registered format to the tf.Examples that stages share.

    Two splits are kept as they are. A single split is divided by a hash of the pixels or of a row's
    numbers, so that a record stays in its split when others are added or removed, and equal records
    are in the same split.

    Args:
      config: the recipe's section `data`.
      splits: split name to glob patterns relative to `sources.base_of(config.path)`: train and
        eval, or one split. `{SPAN}` and `{VERSION}` are resolved when the stage runs.
    """

    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(executor.Executor)
    DRIVER_CLASS = Driver

    def __init__(self, config: DataConfig, splits: Mapping[str, str]) -> None:
        values = struct_pb2.Struct()
        values.update({"data": config.for_reading(), "code_version": code_version("example_gen")})
        custom_config = example_gen_pb2.CustomConfig()
        custom_config.custom_config.Pack(values)
        super().__init__(
            input_base=sources.base_of(config.path),
            input_config=example_gen_pb2.Input(
                splits=[
                    example_gen_pb2.Input.Split(name=name, pattern=pattern)
                    for name, pattern in splits.items()
                ]
            ),
            output_config=_output_config(config.eval_fraction if len(splits) == 1 else None),
            custom_config=custom_config,
        )


def _output_config(eval_fraction: float | None) -> example_gen_pb2.Output:
    """Buckets for train and eval; without a fraction, the splits of the input."""
    if eval_fraction is None:
        return example_gen_pb2.Output()
    held_out = round(eval_fraction * _BUCKETS)
    split = example_gen_pb2.SplitConfig.Split
    return example_gen_pb2.Output(
        split_config=example_gen_pb2.SplitConfig(
            splits=[
                split(name=TRAIN_SPLIT, hash_buckets=_BUCKETS - held_out),
                split(name=EVAL_SPLIT, hash_buckets=held_out),
            ]
        )
    )
