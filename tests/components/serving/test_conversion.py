"""Generators in ONNX Runtime answer as the SavedModel does."""

import json

import numpy as np
import onnxruntime
import openvino
import pytest
import tensorflow as tf

from components.data.columns import Column
from components.serving import conversion, numpy_draws
from components.serving.contract import row_seeds
from components.serving.generator import Generator
from components.trainer import export, networks
from components.trainer.data.encoding import Encoding

SHARES = np.array([0.5, 0.0, 0.5])
ENCODING = Encoding.learn(
    np.float32([[0, -5], [1 / 3, 0], [30, 5]]), ["wind", "rain"], numbers="min_max"
)
COLOUR = (32, 32, 3)
DAY = 86_400_000_000
TABLE = Encoding.learn(
    np.array([[0.5, 0, 3 * DAY], [np.nan, 1, 9 * DAY], [7.5, np.nan, 90 * DAY]]),
    [
        Column(name="rain", missing=True),
        Column(name="sky", type="categorical", missing=True),
        Column(name="day", type="datetime"),
    ],
    {"sky": ("blue", "gray")},
)
NETWORKS = {
    "mlp": ("mlp", {"data_shape": (8, 8, 1)}),
    "dcgan": ("dcgan", {"data_shape": (28, 28, 1)}),
    "resnet": ("resnet", {"data_shape": COLOUR}),
    "r3gan": ("r3gan", {"data_shape": COLOUR}),
    "attention": ("dcgan", {"data_shape": COLOUR, "self_attention": True}),
    "classes": ("dcgan", {"data_shape": (28, 28, 1), "num_classes": 3}),
    "rows": ("mlp", {"data_shape": (2,)}),
    "table": ("mlp", {"data_shape": (TABLE.width,), "groups": TABLE.groups}),
}
ENCODINGS = {"rows": ENCODING, "table": TABLE}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """The SavedModel of an untrained generator, made once."""
    made = {}

    def save(name):
        if name not in made:
            kind, options = NETWORKS[name]
            size = 6 + sum(options.get("groups", ()))
            network = networks.GENERATORS.get(kind)(latent_dim=size, width=16, **options)
            conditional = "num_classes" in options
            latents, label = tf.zeros([1, size]), tf.zeros([1], tf.int64)
            network([latents, label] if conditional else latents)
            arguments = (
                [SHARES] if conditional else [None, ENCODINGS[name]] if name in ENCODINGS else []
            )
            made[name] = str(tmp_path_factory.mktemp("models") / name)
            export.save(export.ServingSignatures(network, size, *arguments), made[name])
        return made[name]

    return save


@pytest.fixture(scope="module")
def converted(saved, tmp_path_factory):
    """A file, made once, and its difference from the SavedModel."""
    made = {}

    def convert(name, runtime, signature):
        key = (name, runtime, signature)
        if key not in made:
            out = str(tmp_path_factory.mktemp("converted") / "generator")
            made[key] = out, conversion.export(Generator(saved(name)), runtime, signature, out)
        return made[key]

    return convert


def onnx(path, **inputs):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, inputs)[0]


def tflite(path, **inputs):
    interpreter = tf.lite.Interpreter(model_path=str(path))
    (output,) = interpreter.get_signature_runner()(**inputs).values()
    return output


def open_vino(path, **inputs):
    """A reader of ONNX files that nobody here or at ONNX Runtime wrote."""
    core = openvino.Core()
    model = core.compile_model(
        core.read_model(str(path)), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    return model(inputs)[0]


def labels_of(name, count):
    return {"labels": np.resize(np.array([0, 2, 2]), count)} if name == "classes" else {}


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_samples_the_same_from_the_same_seeds(saved, converted, name):
    out, difference = converted(name, "onnx", "sample")

    assert "apart in 64 rows" in str(difference)
    seeds = row_seeds(-7, 5)
    labels = labels_of(name, 5)
    found = onnx(out, seeds=seeds, **labels)
    expected = Generator(saved(name)).sample(seeds, *labels.values())
    assert found.dtype == expected.dtype
    near = 1 if found.dtype == np.uint8 else 1e-3 * np.nanmax(np.abs(expected))
    np.testing.assert_allclose(found.astype(float), expected, rtol=0, atol=near)


@pytest.mark.parametrize(
    ("runtime", "read", "most_apart"),
    [
        ("onnx", onnx, 1e-4),
        ("onnx", open_vino, 1e-4),
        ("tflite", tflite, 1e-4),
        ("tflite-float16", tflite, 2 / 255),
    ],
)
@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_is_the_same_of_the_same_latents(
    saved, converted, name, runtime, read, most_apart
):
    if name in ENCODINGS and read is tflite:
        pytest.skip("has no float64: test_config.py")
    out, _ = converted(name, runtime, "serving_default")
    generator = Generator(saved(name))
    # More, and other ones, than those that the conversion compares.
    inputs = {
        "latents": numpy_draws.latents(row_seeds(9, 7), generator.description["latent_dim"]),
        **labels_of(name, 7),
    }
    (expected,) = generator("serving_default", **inputs).values()
    found = read(out, **inputs)
    np.testing.assert_allclose(found, expected, rtol=most_apart, atol=most_apart)


@pytest.mark.parametrize(
    ("name", "signature"),
    [
        ("classes", "interpolate"),
        ("classes", "sample_mixed"),
        ("classes", "draw_labels"),
        ("rows", "sample_truncated"),
    ],
)
def test_other_signatures_too(saved, converted, name, signature):
    out, _ = converted(name, "onnx", signature)

    session = onnxruntime.InferenceSession(str(out), providers=["CPUExecutionProvider"])
    names = {each.name for each in session.get_inputs()}
    assert names == set(Generator(saved(name)).inputs(signature))


def test_an_onnx_file_says_what_it_makes(converted):
    out, _ = converted("classes", "onnx", "serving_default")

    session = onnxruntime.InferenceSession(str(out), providers=["CPUExecutionProvider"])
    found = json.loads(session.get_modelmeta().custom_metadata_map["description"])
    assert found["class_shares"] == SHARES.tolist()
    assert found["shape"] == [28, 28, 1]


@conversion.RUNTIMES.register("another network, for tests")
class _AnotherNetwork:
    """What a converter that loses the weights makes."""

    suffix, most_apart, ranks = "lost", 1e-3, (1, 3)
    signatures = ("sample", "serving_default", "sample_class")

    @staticmethod
    def convert(generator, signature):
        return b"weights"

    @staticmethod
    def load(content):
        def call(inputs):
            if "latents" in inputs:
                return np.full((64, 28, 28, 1), np.nan, np.float32)
            return np.zeros((64, 28, 28, 1), np.uint8)

        return call


@pytest.mark.parametrize(
    ("name", "runtime", "signature", "message"),
    [
        ("dcgan", "another network, for tests", "sample", "is up to .* grey levels from the Saved"),
        ("dcgan", "another network, for tests", "serving_default", "is up to nan relative from"),
        (
            "rows",
            "another network, for tests",
            "sample",
            r"answers uint8 \[64, 28, 28, 1\], expect",
        ),
        ("dcgan", "another network, for tests", "sample_class", "no signature 'sample_class', fou"),
        ("dcgan", "tensorrt", "sample", "unknown runtime 'tensorrt': "),
        ("dcgan", "onnx", "sample_class", "onnx: sample_class: it has no operations for it, only"),
        ("dcgan", "onnx", "sample_png", "onnx: sample_png: it has no operations for it, only for"),
        ("dcgan", "tflite", "sample", "tflite: sample: it has no operations for it, only for serv"),
        ("rows", "tflite", "serving_default", "tflite: tables need float64, for which it has no"),
    ],
)
def test_what_is_not_the_same_is_not_written(saved, tmp_path, name, runtime, signature, message):
    out = tmp_path / "generator.onnx"
    with pytest.raises(ValueError, match=message):
        conversion.export(Generator(saved(name)), runtime, signature, str(out))
    assert not list(tmp_path.iterdir())


def test_a_model_of_the_contract_before_is_named(tmp_path):
    tf.saved_model.save(tf.Module(), str(tmp_path / "before"))
    with pytest.raises(ValueError, match="before: not of contract 2; export it again"):
        conversion.export(
            Generator(str(tmp_path / "before")), "onnx", "sample", str(tmp_path / "out")
        )
