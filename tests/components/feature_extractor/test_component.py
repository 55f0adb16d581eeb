import json

import pytest
from tfx import types
from tfx.types import standard_artifacts

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
