"""Whole files at a path or URI, and whole folders at a path."""

import contextlib
import os
import shutil
import uuid
from collections.abc import Iterator

import tensorflow as tf


def write(path: str, content: bytes) -> None:
    """Writes a file that appears when it is whole, in place of one that is there.

    Its folder is made where it is missing.
    """
    folder = os.path.dirname(path)
    if folder:
        tf.io.gfile.makedirs(folder)
    aside = os.path.join(folder, f".{uuid.uuid4().hex}.part")
    with tf.io.gfile.GFile(aside, "wb") as file:
        file.write(content)
    tf.io.gfile.rename(aside, path, overwrite=True)


@contextlib.contextmanager
def whole_folder(path: str) -> Iterator[str]:
    """A folder beside `path` that becomes it at the end, or nothing.

    Raises:
      FileExistsError: where `path` exists.
    """
    if os.path.lexists(path):
        raise FileExistsError(f"{path}: exists already; name another --out, or remove it")
    path = os.path.abspath(path)
    aside = os.path.join(os.path.dirname(path), f".{uuid.uuid4().hex}.part")
    os.makedirs(aside)
    try:
        yield aside
        os.rename(aside, path)
    except BaseException:
        shutil.rmtree(aside)
        raise
