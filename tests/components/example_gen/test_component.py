import hashlib
import os

import pytest
from google.protobuf import json_format
from tfx.proto import example_gen_pb2

from components.common.code_version import code_version
from components.example_gen.component import Driver, ImageExampleGen
from components.example_gen.config import DataConfig
from components.example_gen.executor import bucket_of, read_values

BUCKETS = {"train": 900, "eval": 100}


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


def test_the_cache_key_holds_what_the_examples_depend_on_and_no_more():
    config = DataConfig(path="images", image_shape=(8, 8, 3), fit="crop", schema="a.pbtxt")
    values = read_values(ImageExampleGen(config, {"all": "*"}).exec_properties["custom_config"])
    assert values["code_version"] == code_version("example_gen")
    found = DataConfig.from_reading(values["data"])
    assert found == config.model_copy(update={"path": "?", "schema_path": None})


def test_buckets_have_their_shares():
    digests = [hashlib.sha256(bytes([n % 256, n // 256])).hexdigest()[:16] for n in range(4000)]
    # 400 expected, with a standard deviation of 19.
    assert 320 < sum(bucket_of(digest, BUCKETS) == "eval" for digest in digests) < 480


def fingerprint(base: str, pattern: str, labels: str | None = None) -> str:
    config = DataConfig(path=base, format="folder", image_shape=(8, 8, 3), labels=labels)
    stage = ImageExampleGen(config, {"all": pattern})
    resolved = Driver(None).resolve_exec_properties(dict(stage.exec_properties), None, None)
    return resolved["input_fingerprint"]


def test_every_change_of_a_file_changes_the_fingerprint(tree, png):
    base = tree({"a/1.png": png(0), "a/2.png": png(1), "b/3.png": png(2), "labels.csv": b"x"})
    seen = {fingerprint(base, "a/*|b/*")}

    def is_new(pattern="a/*|b/*", labels=None):
        found = fingerprint(base, pattern, labels)
        assert fingerprint(base, pattern, labels) == found
        new = found not in seen
        seen.add(found)
        return new

    assert not is_new()
    assert is_new("a/*")
    assert is_new(labels="labels.csv")
    os.utime(f"{base}/b/3.png", ns=(1, 1))
    assert is_new()
    # TFX's own would take two dates within a second for one.
    os.utime(f"{base}/b/3.png", ns=(1, 2))
    assert is_new()
    os.rename(f"{base}/b/3.png", f"{base}/b/4.png")
    assert is_new()
    os.utime(f"{base}/labels.csv", ns=(1, 1))
    assert is_new(labels="labels.csv")
