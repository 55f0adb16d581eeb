import json
import os

import numpy as np
import pytest
import tensorflow as tf
from tfx import types
from tfx.types import standard_artifacts
from tfx.utils import path_utils

from components.common import saved_models
from components.converter.component import Converter
from components.converter.config import ConverterConfig
from components.serving.generator import Generator
from components.trainer import export, networks


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    network = networks.GENERATORS.get("mlp")(latent_dim=6, width=16, data_shape=(8, 8, 1))
    network(tf.zeros([1, 6]))
    artifact = standard_artifacts.Model()
    artifact.uri = str(tmp_path_factory.mktemp("trained") / "model")
    export.save(export.ServingSignatures(network, 6), path_utils.serving_model_dir(artifact.uri))
    return artifact


def convert(model, folder, to):
    converted = standard_artifacts.Model()
    converted.uri = str(folder / "converted")
    config = ConverterConfig(to=to).model_dump_json()
    Converter.EXECUTOR_SPEC.executor_class().Do(
        {"model": [model]},
        {"converted": [converted]},
        {"config": config, "code_version": "test"},
    )
    return path_utils.serving_model_dir(converted.uri)


def test_the_model_gets_files_and_says_how_far_they_are_from_it(model, tmp_path):
    path = convert(
        model, tmp_path, {"onnx": ("serving_default", "sample"), "tflite": ("serving_default",)}
    )

    files = {"sample.onnx", "serving_default.onnx", "serving_default.tflite"}
    assert files <= set(os.listdir(os.path.join(path, saved_models.EXTRA)))
    description = json.loads(bytes(Generator(path)("describe")["description"]))
    assert set(description["conversions"]) == files
    assert description["conversions"]["sample.onnx"] == {
        "runtime": "onnx",
        "difference": "at most 0 grey levels apart in 64 rows",
    }
    before = Generator(path_utils.serving_model_dir(model.uri))
    np.testing.assert_array_equal(Generator(path).sample([3]), before.sample([3]))
    assert "conversions" not in before.description


def test_a_generator_that_cannot_be_converted_ends_the_stage(model, tmp_path):
    with pytest.raises(ValueError, match="no signature 'draw_labels', found: describe, interpol"):
        convert(model, tmp_path, {"onnx": ("draw_labels",)})


def test_contract():
    component = Converter(
        model=types.Channel(type=standard_artifacts.Model), config="{}", code_version="test"
    )

    assert component.outputs["converted"].type_name == "Model"
