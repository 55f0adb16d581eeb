"""Generators in ONNX Runtime answer as the SavedModel does."""

import sys

import numpy as np
import onnxruntime
import pytest
import tensorflow as tf

from components.serving.contract import row_seeds
from components.serving.generator import Generator
from components.trainer import export, networks
from components.trainer.data.scaling import Scaling
from pipeline import exporting

SHARES = np.array([0.5, 0.0, 0.5])
SCALING = Scaling(("wind", "rain"), (0.0, -5.0), (30.0, 5.0), (None, 0))
COLOUR = (32, 32, 3)
NETWORKS = {
    "mlp": ("mlp", {"data_shape": (8, 8, 1)}),
    "dcgan": ("dcgan", {"data_shape": (28, 28, 1)}),
    "resnet": ("resnet", {"data_shape": COLOUR}),
    "r3gan": ("r3gan", {"data_shape": COLOUR}),
    "attention": ("dcgan", {"data_shape": COLOUR, "self_attention": True}),
    "classes": ("dcgan", {"data_shape": (28, 28, 1), "num_classes": 3}),
    "rows": ("mlp", {"data_shape": (2,)}),
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """The SavedModel of an untrained generator, made once."""
    made = {}

    def save(name):
        if name not in made:
            kind, options = NETWORKS[name]
            network = networks.GENERATORS.get(kind)(latent_dim=6, width=16, **options)
            conditional = "num_classes" in options
            latents, label = tf.zeros([1, 6]), tf.zeros([1], tf.int64)
            network([latents, label] if conditional else latents)
            arguments = [SHARES] if conditional else [None, SCALING] if name == "rows" else []
            made[name] = str(tmp_path_factory.mktemp("models") / name)
            export.save(export.ServingSignatures(network, 6, *arguments), made[name])
        return made[name]

    return save


def answer(path, **inputs):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, inputs)[0]


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_samples_the_same_from_the_same_seeds(saved, tmp_path, name):
    out = tmp_path / "generator.onnx"
    difference = exporting.export(saved(name), "onnx", "sample", str(out))

    assert "apart in 64 rows" in str(difference)
    seeds = row_seeds(-7, 5)
    labels = {"labels": np.array([0, 2, 2, 0, 0])} if name == "classes" else {}
    found = answer(out, seeds=seeds, **labels)
    expected = Generator(saved(name)).sample(seeds, *labels.values())
    assert found.dtype == expected.dtype
    apart = np.abs(found.astype(float) - expected)
    assert apart.max() <= (1 if found.dtype == np.uint8 else 1e-3 * np.abs(expected).max())


@pytest.mark.parametrize(
    ("name", "signature"),
    [("classes", "interpolate"), ("classes", "serving_default"), ("rows", "sample_truncated")],
)
def test_other_signatures_too(saved, tmp_path, name, signature):
    out = tmp_path / "generator.onnx"
    exporting.export(saved(name), "onnx", signature, str(out))

    session = onnxruntime.InferenceSession(str(out), providers=["CPUExecutionProvider"])
    names = {each.name for each in session.get_inputs()}
    assert names == set(Generator(saved(name)).inputs(signature))


@exporting.RUNTIMES.register("another network, for tests")
def _of_another_network(function):
    """What a converter that loses the weights makes."""

    def call(inputs):
        (images,) = function(*inputs.values()).values()
        return np.zeros_like(images) if inputs["seeds"][0] == 0 else images.numpy()

    return b"weights", call


@pytest.mark.parametrize(
    ("name", "runtime", "signature", "message"),
    [
        ("dcgan", "another network, for tests", "sample", "is up to .* grey levels from the Saved"),
        ("rows", "another network, for tests", "sample", "is up to .* relative from the SavedMod"),
        ("dcgan", "tensorrt", "sample", "unknown runtime 'tensorrt': "),
        ("dcgan", "onnx", "sample_class", "no signature 'sample_class', found: describe, "),
        ("dcgan", "onnx", "sample_png", "--signature sample_png: makes no numbers from numbers"),
        ("dcgan", "onnx", "describe", "--signature describe: makes no numbers from numbers"),
    ],
)
def test_what_is_not_the_same_is_not_written(saved, tmp_path, name, runtime, signature, message):
    out = tmp_path / "generator.onnx"
    with pytest.raises(ValueError, match=message):
        exporting.export(saved(name), runtime, signature, str(out))
    assert not list(tmp_path.iterdir())


def test_a_model_of_the_contract_before_is_named(tmp_path):
    tf.saved_model.save(tf.Module(), str(tmp_path / "before"))
    with pytest.raises(ValueError, match="before: not of contract 2; export it again"):
        exporting.export(str(tmp_path / "before"), "onnx", "sample", str(tmp_path / "out"))


def test_a_converter_that_is_not_there_is_named(saved, tmp_path, monkeypatch):
    # As Python itself marks a module that cannot be imported.
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    with pytest.raises(ModuleNotFoundError, match=r"tf2onnx is not installed: .*tfx-gan\[onnx\]"):
        exporting.export(saved("mlp"), "onnx", "sample", str(tmp_path / "out"))
