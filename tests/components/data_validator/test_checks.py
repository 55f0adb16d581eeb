"""What is said of statistics, and of which feature; whole data sets: test_planted_faults.py."""

import re

import numpy as np
import pytest
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from components.data import examples, vectors
from components.data.notes import Noted
from components.data_validator import checks
from components.data_validator.config import ValidationConfig

DRIFT = """
feature { name: "image/mean" type: FLOAT
  skew_comparator { jensen_shannon_divergence { threshold: 0.2 } }
  drift_comparator { jensen_shannon_divergence { threshold: 0.2 } } }
feature { name: "image/class/label" type: INT not_in_environment: "SERVING"
  int_domain { min: 0 max: 1000000000 is_categorical: true } unique_constraints { min: 2 max: 10 }
  drift_comparator { infinity_norm { threshold: 0.1 } } }
feature { name: "image/encoded" type: BYTES image_domain { } }
feature { name: "image/height" type: INT }
feature { name: "image/width" type: INT } feature { name: "image/channels" type: INT }
feature { name: "image/source" type: BYTES } feature { name: "image/decode_ok" type: INT }
feature { name: "image/contrast" type: FLOAT } feature { name: "image/blank" type: BYTES }
feature { name: "image/hash" type: BYTES }
default_environment: "TRAINING" default_environment: "SERVING"
dataset_constraints { num_examples_drift_comparator { min_fraction_threshold: 0.5 } }
"""
COLUMNS = """
feature { name: "column/wind" type: FLOAT
  skew_comparator { jensen_shannon_divergence { threshold: 0.2 } } }
feature { name: "row/class/label" type: INT } feature { name: "row/source" type: BYTES }
feature { name: "row/hash" type: BYTES }
"""


@pytest.fixture(scope="module")
def images(statistics_of):
    """Statistics of gray images of a brightness, with labels in turn."""

    def make(labels, brightness=100, count=100):
        draw = np.random.default_rng(count)
        records = []
        for number in range(count):
            pixels = np.clip(draw.normal(brightness, 20, (4, 4)), 0, 255).astype(np.uint8)
            label = labels[number % len(labels)] if labels else None
            records.append(examples.from_array(pixels, f"{number}.png", label))
        return statistics_of(examples.to_example(r).SerializeToString() for r in records)

    return make


@pytest.fixture(scope="module")
def rows(statistics_of):
    """Statistics of rows of one column, with labels in turn."""

    def make(low, labels=(0, 1)):
        draw = np.random.default_rng(0)
        values = draw.uniform(low, low + 1, 100)
        return statistics_of(
            vectors.to_example(
                vectors.VectorRecord({"wind": value}, f"a.csv#{n}", labels[n % len(labels)])
            ).SerializeToString()
            for n, value in enumerate(values)
        )

    return make


def said(train, evaluated=None, schema=DRIFT, noted=None, config=None, **others):
    """Description by split and feature, of what is anomalous."""
    found = checks.validate(
        {"train": train, "eval": evaluated or train},
        text_format.Parse(schema, schema_pb2.Schema()),
        noted or {},
        config or ValidationConfig(),
        **others,
    )
    descriptions = {
        (split, name): info.description
        for split, anomalies in found.items()
        for name, info in anomalies.anomaly_info.items()
    }
    for split, anomalies in found.items():
        if anomalies.HasField("dataset_anomaly_info"):
            descriptions[split, ""] = anomalies.dataset_anomaly_info.description
    return descriptions


def test_nothing_is_said_of_data_like_the_earlier_ones(images):
    assert said(images([0, 1]), previous=images([1, 0]), reference=images([0, 1])) == {}


def test_drift_from_both_the_last_span_and_the_reference_is_said(images):
    bright = images([0, 1], brightness=200)
    found = said(bright, previous=images([0, 1]), reference=images([0, 0, 0, 1]))
    assert found.keys() == {("train", "image/mean"), ("train", "image/class/label")}
    mean, label = found["train", "image/mean"], found["train", "image/class/label"]
    assert "train against the last good span: Jensen-Shannon divergence 1" in mean
    assert "mean 0.785, not 0.393; the schema's drift_comparator allows 0.2; raise it" in mean
    assert "train against the reference: Jensen-Shannon divergence 1" in mean
    assert label.startswith("train against the reference: the share of 0 is 0.5, not 0.75; ")


def test_a_span_of_fewer_examples_is_said(images):
    found = said(images([0, 1], count=40), previous=images([0, 1]))
    assert "train against the last good span: " in found["train", ""]


def test_what_one_of_two_lacks_is_said(images):
    earlier = images([0, 1])
    kept = [f for f in earlier.datasets[0].features if f.path.step[0] != "image/mean"]
    del earlier.datasets[0].features[:]
    earlier.datasets[0].features.extend(kept)
    found = said(images([0, 1]), reference=earlier)
    assert found == {
        ("train", "image/mean"): "train against the reference: previous data is missing."
    }


def test_a_few_missing_classes_are_named_of_however_many(images):
    found = said(images([7]))
    assert "No example has label 0, 1, 2, …; add some" in found["train", "image/class/label"]


@pytest.mark.parametrize(
    ("least", "names"),
    [(0.3, set()), (0.4, {("train", "image/class/label")})],
)
def test_the_balance_of_classes_in_train_has_a_limit(images, least, names):
    found = said(images([0, 1, 0, 0]), config=ValidationConfig(min_class_balance=least))
    assert found.keys() == names


@pytest.mark.parametrize(
    ("noted", "expected"),
    [
        ({"duplicate": Noted(10, ("a", "b", "c"))}, {}),
        (
            {"duplicate": Noted(11, ("a", "b", "c"))},
            {("train", "image/hash"): r"11 of 200 examples .*\(a, b, c, …\).* 0.05 "},
        ),
        ({"misnamed": Noted(1, ("a",))}, {("train", "image/source"): r"1 of 200 .*\(a\);"}),
        ({"animated": Noted(200, ("a",)), "leak": Noted(200, ("a",))}, {}),
    ],
)
def test_what_was_noted_has_limits(images, noted, expected):
    found = said(images([0, 1]), noted=noted)
    assert found.keys() == expected.keys()
    for key, pattern in expected.items():
        assert re.search(pattern, found[key])


def test_serving_data_have_no_labels_and_are_compared_with_training(images):
    schema = text_format.Parse(DRIFT, schema_pb2.Schema())

    def serve(statistics):
        found = checks.validate(
            {"all": statistics},
            schema,
            {},
            ValidationConfig(),
            reference=images([0, 1]),
            environment=checks.SERVING,
        )
        return {name: info.description for name, info in found["all"].anomaly_info.items()}

    assert serve(images(None)) == {}
    found = serve(images(None, brightness=200))
    assert found.keys() == {"image/mean"}
    assert "all against the training data: Jensen-Shannon divergence 1" in found["image/mean"]


def test_rows_are_checked_as_images_are(rows):
    found = said(
        rows(0, labels=[0] * 19 + [1]),
        rows(5),
        schema=COLUMNS,
        noted={"duplicate": Noted(50, ("a.csv#1",))},
    )
    assert found.keys() == {
        ("train", "row/hash"),
        ("train", "row/class/label"),
        ("eval", "column/wind"),
    }
    assert "Label 1 has 5 examples, label 0 has 95" in found["train", "row/class/label"]
    assert "mean 5.55, not 0.548" in found["eval", "column/wind"]


def test_a_class_of_eval_alone_is_an_anomaly_if_it_is_no_accident(images):
    # Of 100 examples each: 25 of label 3 in eval.
    statistics = {"train": images([0, 1, 2]), "eval": images([0, 1, 2, 3])}
    found = checks.validate(
        statistics, text_format.Parse(DRIFT, schema_pb2.Schema()), {}, ValidationConfig()
    )

    description = found["eval"].anomaly_info["image/class/label"].description
    assert "No example of train has label 3, but 25 of eval have" in description
    assert checks.empty_classes(statistics) == [
        "class 3: in eval only; a conditional generator will not learn it"
    ]


def test_a_class_of_eval_alone_may_be_an_accident(images):
    statistics = {"train": images([0, 1]), "eval": images([0] * 30 + [1] * 19 + [2])}
    found = checks.validate(
        statistics, text_format.Parse(DRIFT, schema_pb2.Schema()), {}, ValidationConfig()
    )

    assert "only in eval" not in str(found["eval"])
    (line,) = checks.empty_classes(statistics)
    assert line.startswith("class 2: in eval only")


def test_gaps_between_the_labels_are_named(images):
    statistics = dict.fromkeys(("train", "eval"), images([0, 2, 7]))

    (line,) = checks.empty_classes(statistics)
    assert line.startswith("label 1, 3, 4, …: no example of train")


@pytest.mark.parametrize("labels", [[0, 1], []])
def test_complete_and_missing_labels_have_no_gaps(images, labels):
    assert checks.empty_classes(dict.fromkeys(("train", "eval"), images(labels))) == []
