import os
import shutil

import pytest

from components.common import files, saved_models
from components.infra_validator import probe_files
from components.infra_validator.component import witness
from components.serving import conversion
from components.serving.generator import Generator

FILES = {
    "serving_default.onnx": ("onnx", "serving_default"),
    "sample.onnx": ("onnx", "sample"),
    "serving_default.tflite": ("tflite", "serving_default"),
    "serving_default.float16.tflite": ("tflite-float16", "serving_default"),
}


def convert(path):
    for name, (runtime, signature) in FILES.items():
        out = os.path.join(path, saved_models.EXTRA, name)
        conversion.export(Generator(path), runtime, signature, out)
    saved_models.describe_further(path, conversions={name: {} for name in FILES})
    return path


@pytest.fixture(scope="module")
def converted(plant, tmp_path_factory):
    """A sound generator with all files, and one of another network."""
    folder = tmp_path_factory.mktemp("converted")
    made = []
    for name, fault in (("sound", None), ("other", "collapsed")):
        path = shutil.copytree(plant(fault), folder / name)
        made.append(convert(str(path)))
    return made


@pytest.fixture
def model(converted, tmp_path):
    return str(shutil.copytree(converted[0], tmp_path / "model"))


def test_files_that_answer_like_the_model_pass(model):
    assert probe_files.probe(model, witness(model)) == sorted(FILES)


def of_another_network(name, converted):
    return files.read(os.path.join(converted[1], saved_models.EXTRA, name))


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (of_another_network, "up to .* from what the SavedModel answers"),
        (lambda name, converted: b"", "does not run: "),
        (lambda name, converted: b"\0" * 1000, "does not run: "),
        (None, "does not run: .*No such file"),
    ],
    ids=["another network", "empty", "zeros", "missing"],
)
def test_files_that_do_not_are_named(model, converted, name, content, message):
    path = os.path.join(model, saved_models.EXTRA, name)
    if content:
        files.write(path, content(name, converted))
    else:
        os.remove(path)

    with pytest.raises(ValueError, match=f"^{name}: {message}"):
        probe_files.probe(model, witness(model))
