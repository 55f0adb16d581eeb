"""`generator.html` of a generator that may have no ONNX file yet."""

import os
import tempfile

import tensorflow as tf

from components.common import files, saved_models
from components.serving import conversion, page
from components.serving.generator import Generator


def write(model: str, out: str, title: str) -> None:
    """Writes the page of a generator of images to the file `out`, atomically.

    Args:
      model: as `Generator.load` takes it.
      out: a path or URI.
      title: heading of the page.

    Raises:
      FileNotFoundError: if there is no SavedModel.
      ValueError: as `page.render`, and as `conversion.export` for a model without an ONNX file.
    """
    path = Generator.load(model).path
    description = saved_models.description(path)
    page.check(description)
    files.write(out, page.render(onnx(path), description, title=title).encode())


def onnx(path: str) -> bytes:
    """The ONNX file of the SavedModel in the folder `path`: the one beside it, or converted."""
    beside = os.path.join(path, page.MODEL_FILE)
    if tf.io.gfile.exists(beside):
        return files.read(beside)
    with tempfile.TemporaryDirectory() as folder:
        converted = os.path.join(folder, "model.onnx")
        conversion.export(Generator(path), "onnx", "serving_default", converted)
        return files.read(converted)
