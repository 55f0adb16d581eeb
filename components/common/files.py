"""Atomic writes of files and folders: a reader sees all of what was written, or nothing."""

import contextlib
import os
import uuid
from collections.abc import Iterator

import tensorflow as tf


@contextlib.contextmanager
def atomic(path: str) -> Iterator[str]:
    """Yields a temporary path beside `path`, and renames what was written there at the end.

    Works for files and folders, at a path or URI. A file replaces one of the same name. If the
    block raises, what it wrote is removed.
    """
    temporary = os.path.join(os.path.dirname(path), f".{uuid.uuid4().hex}.part")
    try:
        yield temporary
        tf.io.gfile.rename(temporary, path, overwrite=True)
    except BaseException:
        if tf.io.gfile.isdir(temporary):
            tf.io.gfile.rmtree(temporary)
        elif tf.io.gfile.exists(temporary):
            tf.io.gfile.remove(temporary)
        raise


def write(path: str, content: bytes) -> None:
    """Writes a file atomically, and makes its folder if that is missing."""
    folder = os.path.dirname(path)
    if folder:
        tf.io.gfile.makedirs(folder)
    with atomic(path) as temporary, tf.io.gfile.GFile(temporary, "wb") as file:
        file.write(content)


@contextlib.contextmanager
def atomic_folder(path: str) -> Iterator[str]:
    """Yields a new local folder that becomes `path` at the end.

    Raises:
      FileExistsError: if `path` exists.
    """
    if os.path.lexists(path):
        raise FileExistsError(f"{path}: exists already; name another --out, or remove it")
    with atomic(os.path.abspath(path)) as temporary:
        os.makedirs(temporary)
        yield temporary
