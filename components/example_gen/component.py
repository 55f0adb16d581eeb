"""The contract of the stage: a folder of images in, examples in train and eval out."""

from collections.abc import Mapping

from google.protobuf import struct_pb2
from tfx.components.example_gen.component import FileBasedExampleGen
from tfx.dsl.components.base import executor_spec
from tfx.proto import example_gen_pb2

from components.example_gen import executor
from components.example_gen.config import DataConfig
from components.examples import ENCODED, EVAL_SPLIT, TRAIN_SPLIT
from components.stage import code_version

_BUCKETS = 1000


class ImageExampleGen(FileBasedExampleGen):
    """Images of any registered format to the tf.Examples of `components/examples.py`.

    Two splits are kept as they are. One is divided by a hash of the encoded image, so that an
    image stays in its split when others come and go, and equal images never lie in both.

    Args:
      config: the recipe's section `data`.
      splits: split name to glob pattern relative to `config.path`: train and eval, or one split.
    """

    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(executor.Executor)

    def __init__(self, config: DataConfig, splits: Mapping[str, str]) -> None:
        values = struct_pb2.Struct()
        values.update({"format": config.format, "code_version": code_version("example_gen")})
        custom_config = example_gen_pb2.CustomConfig()
        custom_config.custom_config.Pack(values)
        super().__init__(
            input_base=config.path,
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
    """Buckets for train and eval, or, without a fraction, the splits of the input."""
    if eval_fraction is None:
        return example_gen_pb2.Output()
    held_out = round(eval_fraction * _BUCKETS)
    split = example_gen_pb2.SplitConfig.Split
    return example_gen_pb2.Output(
        split_config=example_gen_pb2.SplitConfig(
            splits=[
                split(name=TRAIN_SPLIT, hash_buckets=_BUCKETS - held_out),
                split(name=EVAL_SPLIT, hash_buckets=held_out),
            ],
            partition_feature_name=ENCODED,
        )
    )
