import hashlib
import os

import pytest
from google.protobuf import json_format
from tfx.proto import example_gen_pb2

from components.common.code_version import code_version
from components.example_gen import dataset, sources
from components.example_gen.component import Driver, ImageExampleGen
from components.example_gen.config import DataConfig
from components.example_gen.executor import bucket_of, read_values
from components.example_gen.formats.registry import READERS

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


SPLITS = {"train": "{SPAN}/v{VERSION}/train/*", "eval": "{SPAN}/v{VERSION}/test/*"}


def resolved(base: str, patterns: dict[str, str]) -> dict[str, str]:
    """The patterns that a run reads."""
    config = DataConfig(path=base, format="folder", image_shape=(8, 8, 3))
    properties = dict(ImageExampleGen(config, patterns).exec_properties)
    properties = Driver(None).resolve_exec_properties(properties, None, None)
    found = json_format.Parse(properties["input_config"], example_gen_pb2.Input())
    return {split.name: split.pattern for split in found.splits}


@pytest.mark.parametrize(
    ("names", "patterns", "latest"),
    [
        (["1/v3", "4/v1", "4/v12", "9/v2"], SPLITS, "9/v2"),
        (["1/v3", "4/v1", "4/v12"], SPLITS, "4/v12"),
        (["002", "017"], {"train": "{SPAN:3}/train/*", "eval": "{SPAN:3}/test/*"}, "017"),
        (
            ["2024-12-31", "2025-01-02"],
            {"train": "{YYYY}-{MM}-{DD}/train/*", "eval": "{YYYY}-{MM}-{DD}/test/*"},
            "2025-01-02",
        ),
    ],
)
def test_a_run_and_what_comes_before_it_choose_the_same_span(tree, png, names, patterns, latest):
    base = tree({f"{name}/{part}/1.png": png(1) for name in names for part in ("train", "test")})
    expected = {"train": f"{latest}/train/*", "eval": f"{latest}/test/*"}
    assert resolved(base, patterns) == sources.latest(base, patterns) == expected
    folder = patterns["train"].removesuffix("/train/*")
    found = dataset.find(f"{base}/{folder}", READERS.get("folder")())
    assert resolved(found.base, found.patterns) == found.splits == expected


@pytest.mark.parametrize(
    ("names", "patterns"),
    [
        (["1/v1/train", "1/v1/test", "2/v1/train"], SPLITS),
        (["1/v1/train", "1/v1/test", "1/v2/test"], SPLITS),
        (["1/v1/train"], SPLITS),
        (["x/v1/train", "x/v1/test"], SPLITS),
        (["1/train", "fixed"], {"eval": "fixed/*", "train": "{SPAN}/train/*"}),
    ],
)
def test_a_run_and_what_comes_before_it_refuse_the_same_spans(tree, png, names, patterns):
    base = tree({f"{name}/1.png": png(1) for name in names})
    for choose in (resolved, sources.latest):
        with pytest.raises(ValueError, match="SPAN") as refused:
            choose(base, patterns)
        assert "\n" not in str(refused.value)
