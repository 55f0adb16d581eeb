import json

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx import types
from tfx.types import artifact_utils, standard_artifacts
from tfx.utils import path_utils

from components import features
from components.common import tfx
from components.data import examples
from components.data.spec import DataSpec
from components.feature_extractor.component import FeatureExtractor, extractor_version
from components.feature_extractor.config import FeatureExtractorConfig


def version_of(**section):
    return extractor_version(FeatureExtractorConfig(**section))


def test_contract():
    stage = FeatureExtractor(
        examples=types.Channel(type=standard_artifacts.Examples),
        anomalies=types.Channel(type=standard_artifacts.ExampleAnomalies),
        config=FeatureExtractorConfig(seed=7).model_dump_json(),
        data=DataSpec(image_shape=(28, 28, 1)).model_dump_json(),
        data_name="fashion_mnist",
        code_version=version_of(),
    )

    assert stage.id == "FeatureExtractor"
    assert stage.outputs["extractor"].type_name == "Model"
    properties = stage.exec_properties
    assert json.loads(properties["config"])["seed"] == 7
    assert json.loads(properties["data"])["image_shape"] == [28, 28, 1]
    assert properties["data_name"] == "fashion_mnist"
    assert len(properties["code_version"]) == 16


def test_an_edit_to_a_model_of_ones_own_is_another_version(own_module):
    def version():
        return version_of(kind="their_features:make")

    own_module("def make(): ...\n")
    before = version()
    assert version() == before
    own_module("def make(): return None\n")
    assert version() != before


def test_other_weights_in_the_same_file_are_another_version(tmp_path):
    path = tmp_path / "inception.weights.h5"

    def version():
        return version_of(kind="inception_v3", weights=str(path))

    with pytest.raises(FileNotFoundError, match=r"feature_extractor\.weights: .*no such file"):
        version()
    path.write_bytes(b"some weights")
    before = version()
    path.write_bytes(b"others")
    assert version() != before


def test_a_missing_module_is_named():
    with pytest.raises(ValueError, match=r"feature_extractor\.kind: nowhere:make: no module"):
        version_of(kind="nowhere:make")


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
    """Makes an anomalies artifact; `found` are the anomalies of split `eval`."""

    def make(found=None):
        artifact = standard_artifacts.ExampleAnomalies()
        artifact.uri = str(tmp_path / "anomalies")
        artifact.split_names = artifact_utils.encode_split_names(SPLITS)
        tfx.bless_splits(artifact, {"train": True, "eval": found is None})
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
                "config": json.dumps(section or {"images": 6000, "seed": 3}),
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
    # Properties cannot be null, and the identity has no classes.
    assert artifact.get_string_custom_property("kind") == "identity"
    assert artifact.get_int_custom_property("classes_are_labels") == 0
    assert not artifact.has_custom_property("num_classes")
