"""`tfx-gan page`: models with and without an ONNX file, and what gets no page."""

import numpy as np
import pytest
import tensorflow as tf
from click.testing import CliRunner

from components.common import saved_models
from components.serving import Generator, conversion, page
from components.trainer import export
from components.trainer.data.encoding import Encoding
from pipeline import cli

ENCODING = Encoding.learn(
    np.float32([[0, -5], [1 / 3, 0], [30, 5]]), ["wind", "rain"], numbers="min_max"
)


class Network(tf.Module):
    def __init__(self, shape):
        super().__init__()
        self.shape = shape
        self.weights = tf.Variable(tf.random.stateless_normal([4, int(np.prod(shape))], [0, 0]))

    def __call__(self, inputs, training=None):
        return tf.tanh(tf.reshape(inputs @ self.weights, [-1, *self.shape]))


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    scaled = {"table": ENCODING}
    for name, shape in {"images": (8, 8, 1), "many bands": (8, 8, 5), "table": (2,)}.items():
        signatures = export.ServingSignatures(Network(shape), 4, None, scaled.get(name))
        export.save(signatures, str(folder / name / "3"))
    (folder / "empty").mkdir()
    return folder


def invoke(*arguments):
    return CliRunner().invoke(cli.main, ["page", *map(str, arguments)])


def test_the_page_is_that_of_the_newest_version(models, tmp_path):
    out = tmp_path / "pages" / "generator.html"
    result = invoke(models / "images", "--out", out, "--title", "Mine & yours")

    assert (result.exit_code, result.output) == (0, f"{out}\n")
    text = out.read_text()
    assert "<title>Mine &amp; yours</title>" in text
    assert text.endswith("</html>\n")
    assert [path.name for path in out.parent.iterdir()] == ["generator.html"]
    # The model is left as it was.
    assert not list(models.rglob("*.onnx"))


def test_a_model_with_its_onnx_file_is_not_converted(models, monkeypatch):
    folder = models / "images" / "3"
    beside = folder / page.MODEL_FILE
    conversion.export(Generator(str(folder)), "onnx", "serving_default", str(beside))
    try:
        monkeypatch.setattr(conversion, "export", None)
        out = models.parent / "generator.html"
        result = invoke(folder, "--out", out)
        assert result.exit_code == 0, result.output
        description = saved_models.description(str(folder))
        assert out.read_text() == page.render(beside.read_bytes(), description)
    finally:
        beside.unlink()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("table", "a page shows images, and this generator makes rows of a table"),
        ("many bands", "a page shows images of 1 to 4 channels, and this generator's have 5"),
        ("empty", "neither a SavedModel nor versions of one"),
        ("nowhere", "no such folder"),
    ],
)
def test_what_gets_no_page_is_said_in_a_line(models, tmp_path, name, reason):
    out = tmp_path / "generator.html"
    result = invoke(models / name, "--out", out)

    assert result.exit_code == 1
    assert result.output.count("\n") == 1
    assert reason in result.output
    assert not out.exists()
