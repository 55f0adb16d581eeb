import hashlib
import json
import os

import pytest

from components.common.code_version import code_version
from components.example_gen import dataset, sources
from components.example_gen.component import find
from components.example_gen.config import DataConfig
from components.example_gen.executor import bucket_of, buckets_of
from components.example_gen.formats.registry import READERS
from pipeline.pipeline import data_stages

BUCKETS = {"train": 900, "eval": 100}


def test_the_stages_contract():
    find_data, example_gen, _ = data_stages(DataConfig(path="images", image_shape=(8, 8, 3)))
    outputs = {name: channel.type_name for name, channel in find_data.outputs.items()}
    assert outputs == {
        "base": "String",
        "splits": "String",
        "span": "Integer",
        "version": "Integer",
        "fingerprint": "String",
    }
    assert example_gen.outputs["examples"].type_name == "Examples"
    assert {*outputs, "config", "code_version"} == {
        name for name, value in example_gen.exec_properties.items() if value is not None
    }


@pytest.mark.parametrize(
    ("splits", "fraction", "buckets"),
    [
        (["all"], 0.1, {"train": 900, "eval": 100}),
        (["all"], 0.25, {"train": 750, "eval": 250}),
        (["all"], 0.001, {"train": 999, "eval": 1}),
        (["all"], 0.999, {"train": 1, "eval": 999}),
        (["train", "eval"], 0.1, {}),
        (["all"], None, {}),
    ],
)
def test_one_split_is_divided_and_two_are_kept(splits, fraction, buckets):
    config = DataConfig(path="images", image_shape=(8, 8, 3), eval_fraction=fraction)
    assert buckets_of(config, splits) == buckets


def test_the_cache_key_holds_what_the_examples_depend_on_and_no_more():
    config = DataConfig(path="images", image_shape=(8, 8, 3), fit="crop", schema="a.pbtxt")
    _, example_gen, _ = data_stages(config)
    assert example_gen.exec_properties["code_version"] == code_version("example_gen")
    found = DataConfig.from_reading(example_gen.exec_properties["config"])
    assert found == config.model_copy(update={"path": "?", "schema_path": None})


def test_buckets_have_their_shares():
    digests = [hashlib.sha256(bytes([n % 256, n // 256])).hexdigest()[:16] for n in range(4000)]
    # 400 expected, with a standard deviation of 19.
    assert 320 < sum(bucket_of(digest, BUCKETS) == "eval" for digest in digests) < 480


def fingerprint(base: str, pattern: str, labels: str | None = None) -> str:
    config = DataConfig(
        path=base,
        format="folder",
        image_shape=(8, 8, 3),
        labels=labels,
        splits={"all": pattern},
    )
    return find(config)["fingerprint"]


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
    config = DataConfig(path=base, format="folder", image_shape=(8, 8, 3), splits=patterns)
    return json.loads(find(config)["splits"])


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
    whole = DataConfig(path=f"{base}/{folder}", format="folder", image_shape=(8, 8, 3))
    assert json.loads(find(whole)["splits"]) == found.splits == expected


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
