"""Generators in ONNX files, read without TensorFlow, answer as their SavedModels do."""

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import onnx
import pytest
import tensorflow as tf

from components.common import saved_models
from components.serving import Generator, conversion
from components.serving.contract import MAX_ROWS
from components.trainer import export
from components.trainer.data.encoding import Encoding

ROOT = Path(__file__).parents[3]
SHARES = np.array([0.5, 0.0, 0.5])
ENCODING = Encoding.learn(
    np.float32([[0, -5], [1 / 3, 0.5], [30, 5]]), ["wind", "rain"], numbers="min_max"
)
SHAPES = {"images": (4, 4, 1), "classes": (4, 4, 3), "rows": (2,)}

CLIENT = """
    import json, sys

    ALLOWED = {*sys.stdlib_module_names, "components", "numpy", "onnxruntime"}
    class Refuse:
        def find_spec(self, name, path=None, target=None):
            if name.split(".")[0] not in ALLOWED:
                refused.append(name)
                raise ModuleNotFoundError(f"refused: {name}", name=name)

    refused = []
    sys.meta_path.insert(0, Refuse())
    from components.serving import Generator

    generator = Generator.load(sys.argv[1])
    seeds, labels = [0, -1, 2**62], [0, 2, 2]
    print(json.dumps({
        "plain": generator.sample(seeds).tolist(),
        "labels": generator.sample(seeds, labels).tolist(),
        "truncation": generator.sample(seeds, labels, [0.0, 0.5, 1.0]).tolist(),
        "interpolate": generator.interpolate(seeds, [5, 6, 7], 0.3, labels).tolist(),
        "drawn": generator.draw_labels(seeds).tolist(),
        "facts": [generator.kind, generator.conditional, generator.columns,
                  generator.description["shape"], generator.class_names[2]],
        "refused": sorted({name.split(".")[0] for name in refused})}))
"""


class Network(tf.Module):
    """One layer of latents and of a class."""

    def __init__(self, shape):
        super().__init__()
        self.shape = shape
        self.weights = tf.Variable(tf.random.stateless_normal([6, int(np.prod(shape))], [0, 0]))

    def __call__(self, inputs, training=None):
        latents, labels = inputs if isinstance(inputs, list) else (inputs, tf.zeros([1], tf.int64))
        level = tf.cast(labels, tf.float32)[:, None] / 5
        return tf.reshape(tf.tanh(latents @ self.weights - level), [-1, *self.shape])


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Paths of the SavedModel and of the ONNX file, by name."""
    folder = tmp_path_factory.mktemp("models")
    arguments = {"images": [], "classes": [SHARES], "rows": [None, ENCODING]}
    found = {}
    for name, shape in SHAPES.items():
        saved, file = str(folder / name), str(folder / f"{name}.onnx")
        export.save(export.ServingSignatures(Network(shape), 6, *arguments[name]), saved)
        if name == "classes":
            saved_models.describe_further(saved, class_names={0: "cat", 2: "Hündin"})
        conversion.export(Generator(saved), "onnx", "serving_default", file)
        found[name] = saved, file
    return found


@pytest.fixture(scope="module")
def generators(models):
    return {name: [Generator.load(Path(path)) for path in paths] for name, paths in models.items()}


def near(one, other):
    one, other = np.asarray(one), np.asarray(other)
    return one.shape == other.shape and np.abs(one.astype(int) - other.astype(int)).max() <= 1


def test_a_process_with_numpy_and_onnxruntime_alone_makes_the_same_images(models, generators):
    command = [sys.executable, "-c", textwrap.dedent(CLIENT), models["classes"][1]]
    process = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr[-2000:]
    found = json.loads(process.stdout)

    saved, seeds, labels = generators["classes"][0], [0, -1, 2**62], [0, 2, 2]
    assert near(found["plain"], saved.sample(seeds))
    assert near(found["labels"], saved.sample(seeds, labels))
    assert near(found["truncation"], saved.sample(seeds, labels, [0.0, 0.5, 1.0]))
    assert near(found["interpolate"], saved.interpolate(seeds, [5, 6, 7], 0.3, labels))
    assert found["drawn"] == saved.draw_labels(seeds).tolist()
    assert found["facts"] == ["images", True, None, [4, 4, 3], "Hündin"]
    assert "tensorflow" not in found["refused"], "nothing even tried"


def test_a_saved_model_needs_no_onnx_runtime(models, monkeypatch):
    # As Python itself marks a module that cannot be imported.
    monkeypatch.setitem(sys.modules, "onnxruntime", None)

    assert len(Generator.load(models["images"][0]).sample([1])) == 1
    with pytest.raises(ModuleNotFoundError, match="onnxruntime is not installed: pip install"):
        Generator.load(models["images"][1])


@pytest.mark.parametrize("name", SHAPES)
def test_both_answer_alike(generators, name):
    saved, file = generators[name]

    for rows in (0, 1, MAX_ROWS + 3):
        expected, found = saved.draw(rows, seed=3), file.draw(rows, seed=3)
        assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1 if name != "rows" else 1e-4)
    latents = {"latents": np.full((2, 6), 0.5, np.float32)}
    labels = {"labels": np.array([0, 2])} if name == "classes" else {}
    one, other = (each("serving_default", **latents, **labels) for each in (saved, file))
    assert one.keys() == other.keys()
    np.testing.assert_allclose(one[saved.kind], other[saved.kind], rtol=1e-5, atol=1e-5)
    for fact in ("kind", "conditional", "columns", "column_names", "class_names", "description"):
        assert getattr(file, fact) == getattr(saved, fact), fact
    for signature in file.signatures:
        for specs in ("inputs", "outputs"):
            theirs = getattr(saved, specs)(signature)
            assert {
                key: (spec.shape[1:], spec.dtype)
                for key, spec in getattr(file, specs)(signature).items()
            } == {
                key: (tuple(spec.shape[1:]), spec.dtype.as_numpy_dtype)
                for key, spec in theirs.items()
            }


def test_rows_are_rounded_to_the_decimals_of_their_columns(generators):
    rain = generators["rows"][1].draw(50)[:, 1]

    np.testing.assert_array_equal(rain, np.round(rain.astype(float), 1).astype(np.float32))


@pytest.mark.parametrize("form", [0, 1])
@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("classes", ([1, 2], [0, 1]), "labels: no such class; .* classes 0, 2; .* asked for.*1"),
        ("classes", ([1, 2], [0]), "labels: as many rows as seeds needed, 2, found 1"),
        ("classes", ([1, 2], [0, 0.5]), r"labels: float64 \[2\], expected whole numbers"),
        ("images", ([1, 2], [0, 0]), "labels: .* the generator has no classes"),
        ("images", ([1], None, 1.5), r"sample_truncated: .*truncation: expected numbers in \[0, 1"),
        ("images", ([1], None, np.nan), r"truncation: expected numbers in \[0, 1\]"),
        ("images", ([1], None, -0.1), r"truncation: expected numbers in \[0, 1\]"),
        ("images", ([1], None, "half"), "truncation: expected numbers: could not convert"),
        ("images", ([1], None, [0.5, 0.5]), "truncation: as many rows as seeds needed, 1, found 2"),
        ("images", ([1], None, [[0.5]]), r"truncation: of shape \[1, 1\], expected one number"),
        ("images", ([2**63],), r"seeds: expected whole numbers in \[-2\^63, 2\^63\)"),
        ("images", ([1, None],), "seeds: expected whole numbers"),
        ("images", (["a"],), r"seeds: <U1 \[1\], expected whole numbers"),
        ("images", (5,), r"seeds: int64 \[\], expected whole numbers, a list of them"),
    ],
)
def test_both_refuse_in_the_same_words(generators, form, name, arguments, message):
    with pytest.raises(ValueError, match=message):
        generators[name][form].sample(*arguments)


SOUND = np.zeros((1, 6), np.float32)


@pytest.mark.parametrize(
    ("signature", "inputs", "message"),
    [
        ("serving_default", {"latents": SOUND + np.inf}, "latents: expected finite numbers"),
        ("serving_default", {"latents": SOUND[:, 1:]}, r"latents: of shape \[1, 5\], expected \[n"),
        ("serving_default", {"latents": [["a"]]}, "latents: expected float32: Cannot cast"),
        ("serving_default", {"seeds": [1]}, "given seeds, expected latents"),
        ("sample", {"seeds": np.arange(MAX_ROWS + 1)}, "seeds: a call may have 1024 rows, not 10"),
        ("sample", {"seeds": [1.5]}, "seeds: expected int64: Cannot cast"),
        ("sample_png", {"seeds": [1]}, "no signature 'sample_png', found: interpolate, "),
        ("describe", {}, "no signature 'describe'"),
    ],
)
def test_calls_that_a_file_refuses(generators, signature, inputs, message):
    with pytest.raises(ValueError, match=message):
        generators["images"][1](signature, **inputs)


def described(model, **changes):
    """With a description that is changed, or gone."""
    (entry,) = model.metadata_props
    entry.value = json.dumps({**json.loads(entry.value), **changes})


def without(model, name):
    (entry,) = model.metadata_props
    found = json.loads(entry.value)
    del found[name]
    entry.value = json.dumps(found)


def undescribed(model):
    del model.metadata_props[:]


def not_json(model):
    model.metadata_props[0].value = "{"


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("images", undescribed, "does not describe itself; export it again with `tfx-gan export`"),
        ("images", not_json, "its description is not a JSON object"),
        ("images", lambda model: without(model, "shape"), "its description lacks shape; export"),
        ("rows", lambda model: without(model, "decimals"), "its description lacks decimals"),
        ("images", lambda model: described(model, class_shares=[1.0]), "takes latents, expected "),
        ("images", lambda model: described(model, contract=3), "is of contract 3, expected 2"),
    ],
)
def test_files_of_something_else_are_named(models, tmp_path, name, change, message):
    model = onnx.load(models[name][1])
    change(model)
    path = tmp_path / "changed.onnx"
    path.write_bytes(model.SerializeToString())

    with pytest.raises(ValueError, match=f"changed.onnx: {message}") as caught:
        Generator.load(str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("keep", [0, 3, 1000])
def test_broken_files_are_named(models, tmp_path, keep):
    path = tmp_path / "broken.onnx"
    with open(models["images"][1], "rb") as file:
        path.write_bytes(file.read(keep))

    with pytest.raises(ValueError, match=r"broken.onnx: ") as caught:
        Generator.load(str(path))
    assert "\n" not in str(caught.value)


def test_other_signatures_and_no_file_are_named(models, tmp_path):
    path = str(tmp_path / "sample.onnx")
    conversion.export(Generator(models["images"][0]), "onnx", "sample", path)
    with pytest.raises(ValueError, match="takes seeds, expected latents; .*-signature serving_def"):
        Generator.load(path)
    with pytest.raises(FileNotFoundError, match="none.onnx: no such file"):
        Generator.load(str(tmp_path / "none.onnx"))
    with pytest.raises(ValueError, match="is an ONNX file already"):
        Generator.load(models["images"][1]).function("sample")
