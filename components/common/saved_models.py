"""SavedModels on disk, and generators among them."""

import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from components.common import files

_FILE = "saved_model.pb"
# Where a TFX Model artifact keeps its SavedModel.
_SERVING_FOLDER = "Format-Serving"
# Beside a conditional generator, where TensorFlow keeps what it does not read itself: an object of
# label to name.
_CLASSES_FILE = "assets.extra/classes.json"
# Beside a pushed model: what it was blessed with.
_BLESSING_FILE = "assets.extra/blessing.json"
# Of a generator of rows, to the names of their columns.
_COLUMNS_SIGNATURE = "columns"


def versions(folder: str) -> list[str]:
    """The versions in a serving folder, oldest first: the names that are whole numbers."""
    names = (name.rstrip("/") for name in tf.io.gfile.listdir(folder))
    return sorted((name for name in names if name.isdecimal()), key=int)


def find(folder: str) -> str | None:
    """The SavedModel in a folder, in a TFX artifact, or the newest version in a serving folder."""
    if not tf.io.gfile.isdir(folder):
        return None
    for name in ("", _SERVING_FOLDER, *reversed(versions(folder))):
        path = os.path.join(folder, name) if name else folder
        # A folder of images may be named by a number too.
        if tf.io.gfile.exists(os.path.join(path, _FILE)):
            return path
    return None


def save_class_names(path: str, names: Mapping[int, str]) -> None:
    """Writes the names of the classes, by label, beside the SavedModel in the folder `path`."""
    content = json.dumps(names, ensure_ascii=False, indent=1).encode()
    files.write(os.path.join(path, _CLASSES_FILE), content)


def save_blessing(path: str, record: Mapping[str, Any]) -> None:
    """Writes what a model was blessed with beside the SavedModel in the folder `path`."""
    files.write(os.path.join(path, _BLESSING_FILE), json.dumps(record, indent=1).encode())


def blessing(path: str) -> dict[str, Any]:
    """What `save_blessing` wrote; empty for a model that was pushed without."""
    return _read_json(os.path.join(path, _BLESSING_FILE))


def same(one: str, other: str) -> bool:
    """Whether two folders hold the same model, whatever it was blessed with."""
    found = [_sizes(folder) for folder in (one, other)]
    return found[0] == found[1] and all(
        files.read(os.path.join(one, name)) == files.read(os.path.join(other, name))
        for name in found[0]
    )


def _sizes(folder: str) -> dict[str, int]:
    """Of the files by name, but not of the blessing."""
    found = {}
    for base, _, names in tf.io.gfile.walk(folder):
        for name in names:
            path = os.path.join(base, name)
            found[os.path.relpath(path, folder)] = tf.io.gfile.stat(path).length
    found.pop(_BLESSING_FILE, None)
    return found


def _read_json(path: str) -> dict[str, Any]:
    if not tf.io.gfile.exists(path):
        return {}
    try:
        return json.loads(files.read(path))
    except ValueError as error:
        raise ValueError(f"{path}: not JSON: {error}") from error


def _reason(error: tf.errors.InvalidArgumentError) -> str:
    """What the graph says, without where in the graph."""
    lines = [line.strip() for line in error.message.splitlines() if line.strip()]
    return next((line for line in lines if line.startswith("assertion failed")), lines[0])


class Generator:
    """A generator as its SavedModel serves it: signatures of `components.trainer.export`.

    Args:
      path: folder of the SavedModel, a path or a URI.

    Attributes:
      signatures: their names.
    """

    def __init__(self, path: str) -> None:
        # Kept because a signature alone does not keep its variables alive.
        self._model = tf.saved_model.load(path)
        self.path = path
        self.signatures = frozenset(self._model.signatures)

    def inputs(self, signature: str) -> Mapping[str, tf.TensorSpec]:
        """The inputs of a signature by name; empty if the signature does not exist."""
        if signature not in self.signatures:
            return {}
        return self._model.signatures[signature].structured_input_signature[1]

    def outputs(self, signature: str) -> Mapping[str, tf.TensorSpec]:
        """The outputs of a signature by name; raises ValueError if it does not exist."""
        self._check(signature)
        return self._model.signatures[signature].structured_outputs

    @property
    def columns(self) -> list[str] | None:
        """The names of the columns of a generator of rows; None if it does not name them."""
        if _COLUMNS_SIGNATURE not in self.signatures:
            return None
        return [name.decode() for name in self(_COLUMNS_SIGNATURE)["names"]]

    @property
    def class_names(self) -> dict[int, str]:
        """The names of the classes by label; empty if the export has none."""
        names = _read_json(os.path.join(self.path, _CLASSES_FILE))
        return {int(label): name for label, name in names.items()}

    def __call__(self, signature: str, **inputs: tf.Tensor) -> dict[str, np.ndarray]:
        """The outputs by name; raises ValueError if there is none, or it refuses the inputs."""
        self._check(signature)
        try:
            outputs = self._model.signatures[signature](**inputs)
        except tf.errors.InvalidArgumentError as error:
            raise ValueError(f"{self.path}: {signature}: {_reason(error)}") from error
        return {name: tensor.numpy() for name, tensor in outputs.items()}

    def _check(self, signature: str) -> None:
        if signature not in self.signatures:
            found = ", ".join(sorted(self.signatures)) or "none"
            raise ValueError(f"{self.path}: no signature {signature!r}, found: {found}")
