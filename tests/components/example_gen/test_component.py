import pytest
from google.protobuf import json_format, struct_pb2
from tfx.proto import example_gen_pb2

from components.example_gen.component import ImageExampleGen
from components.example_gen.config import DataConfig
from components.stage import code_version


def component(splits: dict[str, str], eval_fraction: float = 0.1) -> ImageExampleGen:
    config = DataConfig(
        path="images", format="folder", image_shape=(8, 8, 3), eval_fraction=eval_fraction
    )
    return ImageExampleGen(config, splits)


def output_splits(stage: ImageExampleGen) -> dict[str, int]:
    output = json_format.Parse(stage.exec_properties["output_config"], example_gen_pb2.Output())
    return {split.name: split.hash_buckets for split in output.split_config.splits}


def test_output_type():
    assert component({"all": "*"}).outputs["examples"].type_name == "Examples"


def test_input():
    stage = component({"train": "train/*", "eval": "test/*"})
    found = json_format.Parse(stage.exec_properties["input_config"], example_gen_pb2.Input())
    assert stage.exec_properties["input_base"] == "images"
    assert {split.name: split.pattern for split in found.splits} == {
        "train": "train/*",
        "eval": "test/*",
    }


@pytest.mark.parametrize(
    ("fraction", "buckets"),
    [
        (0.1, {"train": 900, "eval": 100}),
        (0.25, {"train": 750, "eval": 250}),
        (0.001, {"train": 999, "eval": 1}),
        (0.999, {"train": 1, "eval": 999}),
    ],
)
def test_one_split_is_divided(fraction, buckets):
    assert output_splits(component({"all": "*"}, fraction)) == buckets


def test_two_splits_are_kept():
    assert output_splits(component({"train": "train/*", "eval": "test/*"})) == {}


def test_the_cache_key_holds_format_and_code():
    custom = example_gen_pb2.CustomConfig()
    json_format.Parse(component({"all": "*"}).exec_properties["custom_config"], custom)
    values = struct_pb2.Struct()
    assert custom.custom_config.Unpack(values)
    assert dict(values) == {"format": "folder", "code_version": code_version("example_gen")}
