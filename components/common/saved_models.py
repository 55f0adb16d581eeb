"""SavedModels on disk, and what lies in them beside the graph."""

import json
import os
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from components.common import files

FILE = "saved_model.pb"
# What belongs to a model but is not loaded with it, as TensorFlow Serving has it.
EXTRA = "assets.extra"
# The model as a page that runs in a browser.
PAGE = f"{EXTRA}/generator.html"
# Servers keep it in an int64.
_HIGHEST_VERSION = 2**63 - 1
# Where a TFX Model artifact keeps its SavedModel.
_SERVING_FOLDER = "Format-Serving"
# An asset, which the signature `describe` reads when it is called, so that it can be added to.
_DESCRIPTION_FOLDER, _DESCRIPTION_FILE = "assets", "description.json"
# The names of the classes of a generator that has no description.
_CLASSES_FILE = f"{EXTRA}/classes.json"
# Beside a pushed model: what it was blessed with.
_BLESSING_FILE = f"{EXTRA}/blessing.json"


def versions(folder: str) -> list[str]:
    """The versions in a serving folder, oldest first: the names that are numbers to a server."""
    names = (name.rstrip("/") for name in tf.io.gfile.listdir(folder))
    numbers = (name for name in names if name.isascii() and name.isdecimal())
    return sorted((name for name in numbers if int(name) <= _HIGHEST_VERSION), key=int)


def find(folder: str) -> str | None:
    """The SavedModel in a folder, in a TFX artifact, or the newest version in a serving folder."""
    if not tf.io.gfile.isdir(folder):
        return None
    for name in ("", _SERVING_FOLDER, *reversed(versions(folder))):
        path = os.path.join(folder, name) if name else folder
        # A folder of images may be named by a number too.
        if tf.io.gfile.exists(os.path.join(path, FILE)):
            return path
    return None


def write_description(folder: str, content: Mapping[str, Any]) -> str:
    """Writes the file that becomes the asset; returns its path."""
    path = os.path.join(folder, _DESCRIPTION_FILE)
    files.write(path, json.dumps(content, ensure_ascii=False, indent=1).encode())
    return path


def describe_further(path: str, **content: Any) -> None:  # noqa: ANN401
    """Adds to what `describe` says of the generator in the folder `path`."""
    write_description(os.path.join(path, _DESCRIPTION_FOLDER), {**description(path), **content})


def description(path: str) -> dict[str, Any]:
    """What a generator's export and later stages say of it; empty before contract 2.

    `contract`, `data` ("images" or "vectors"), `shape` of one, `latent_dim`, `max_rows` of a call,
    `weights` (how they are stored), `versions` of libraries; `class_shares` and `class_names` by
    label, `columns` of vectors and their `decimals`, `pretrained` (the published weights that its
    discriminator computed with), `recipe` of the training, `conversions` for other runtimes by
    file, and, of the push, `blessing`, `metrics` and `lineage`, where there are any.
    """
    return _read_json(os.path.join(path, _DESCRIPTION_FOLDER, _DESCRIPTION_FILE))


def class_names(path: str) -> dict[int, str]:
    """The names of a generator's classes by label; empty if the export has none."""
    names = description(path).get("class_names") or _read_json(os.path.join(path, _CLASSES_FILE))
    return {int(label): name for label, name in names.items()}


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
    """Of the files by name, but not of those that tell of the blessing."""
    found = {}
    for base, _, names in tf.io.gfile.walk(folder):
        for name in names:
            path = os.path.join(base, name)
            found[os.path.relpath(path, folder)] = tf.io.gfile.stat(path).length
    for name in (_BLESSING_FILE, PAGE, os.path.join(_DESCRIPTION_FOLDER, _DESCRIPTION_FILE)):
        found.pop(name, None)
    return found


def _read_json(path: str) -> dict[str, Any]:
    if not tf.io.gfile.exists(path):
        return {}
    try:
        return json.loads(files.read(path))
    except ValueError as error:
        raise ValueError(f"{path}: not JSON: {error}") from error
