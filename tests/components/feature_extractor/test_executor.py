import json

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx.types import artifact_utils, standard_artifacts
from tfx.utils import path_utils

from components import features
from components.data import examples
from components.data.spec import DataSpec
from components.feature_extractor.component import FeatureExtractor

SPLITS = ["train", "eval"]


@pytest.fixture(scope="module")
def split_examples(digits, tmp_path_factory):
    artifact = standard_artifacts.Examples()
    artifact.uri = str(tmp_path_factory.mktemp("examples"))
    artifact.split_names = artifact_utils.encode_split_names(SPLITS)
    for split, content in digits.items():
        folder = artifact_utils.get_split_uri([artifact], split)
        tf.io.gfile.makedirs(folder)
        with tf.io.TFRecordWriter(f"{folder}/data.gz", options="GZIP") as writer:
            for image, label in zip(content.data, content.labels, strict=True):
                record = examples.from_array(image, split, int(label))
                writer.write(examples.to_example(record).SerializeToString())
    return artifact


@pytest.fixture
def anomalies(tmp_path):
    """Makes the ExampleValidator's artifact; `found` is what it says about split `eval`."""

    def make(found=None):
        artifact = standard_artifacts.ExampleAnomalies()
        artifact.uri = str(tmp_path / "anomalies")
        artifact.split_names = artifact_utils.encode_split_names(SPLITS)
        blessed = {"train": 1, "eval": int(found is None)}
        artifact.set_json_value_custom_property("blessed", blessed)
        if found:
            folder = artifact_utils.get_split_uri([artifact], "eval")
            tf.io.gfile.makedirs(folder)
            with tf.io.gfile.GFile(f"{folder}/SchemaDiff.pb", "wb") as file:
                file.write(found.SerializeToString())
        return artifact

    return make


@pytest.fixture
def run(split_examples, tmp_path):
    """Runs the stage and returns the artifact `extractor`."""

    def do(anomalies, **section):
        extractor = standard_artifacts.Model()
        extractor.uri = str(tmp_path / "extractor")
        FeatureExtractor.EXECUTOR_SPEC.executor_class().Do(
            {"examples": [split_examples], "anomalies": [anomalies]},
            {"extractor": [extractor]},
            {
                "config": json.dumps(section or {"epochs": 4, "seed": 3}),
                "data": DataSpec(image_shape=(8, 8, 1)).model_dump_json(),
                "data_name": "digits",
                "code_version": "0",
            },
        )
        return extractor

    return do


def test_the_extractor_and_what_is_known_about_it(run, anomalies, digits):
    extractor = run(anomalies())

    with open(f"{extractor.uri}/extractor.json") as file:
        known = json.load(file)
    assert known["name"] == "digits classifier"
    assert known["kind"] == "classifier"
    assert (known["seed"], known["train_examples"], known["eval_examples"]) == (3, 1497, 300)
    properties = {
        "name": extractor.get_string_custom_property("name"),
        "id": extractor.get_string_custom_property("id"),
        "num_classes": extractor.get_int_custom_property("num_classes"),
        "eval_accuracy": extractor.get_float_custom_property("eval_accuracy"),
        "skill": extractor.get_float_custom_property("skill"),
    }
    assert properties == {key: known[key] for key in properties}

    model = tf.saved_model.load(path_utils.serving_model_dir(extractor.uri))
    held_out = digits["eval"]
    outputs = model.signatures["serving_default"](images=tf.constant(held_out.data))
    accuracy = (outputs["probabilities"].numpy().argmax(axis=1) == held_out.labels).mean()
    assert accuracy == pytest.approx(known["eval_accuracy"])


def test_data_with_anomalies_is_refused(run, anomalies, tmp_path):
    found = anomalies_pb2.Anomalies()
    found.anomaly_info["image/height"].short_description = "Out-of-range values"

    with pytest.raises(ValueError, match=r"'eval'.*'image/height'.*Out-of-range values"):
        run(anomalies(found))

    assert not (tmp_path / "extractor").exists()


def test_the_features_of_both_splits_are_stored(run, anomalies, digits):
    artifact = run(anomalies(), kind="identity")

    extractor = features.Extractor(artifact.uri)
    assert path_utils.serving_model_dir(artifact.uri).endswith(features.SAVED_MODEL_FOLDER)
    for split, content in digits.items():
        stored = extractor.stored(split, content.data)
        assert stored.features.shape == (len(content), 64)
        np.testing.assert_array_equal(stored.labels, content.labels)
    # A property has no null: the identity has no classes.
    assert artifact.get_string_custom_property("kind") == "identity"
    assert artifact.get_int_custom_property("classes_are_labels") == 0
    assert not artifact.has_custom_property("num_classes")
