"""Files and folders, written atomically: readers see all of the content or nothing."""

import contextlib
import hashlib
import os
import uuid
from collections.abc import Collection, Iterator

import tensorflow as tf


@contextlib.contextmanager
def atomic(path: str) -> Iterator[str]:
    """Yields a temporary path beside `path`, which is renamed to `path` at the end.

    Works for files and folders, at a path or URI. An existing file is replaced. If the block
    raises, what it wrote is removed.
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
    """Writes a file atomically, and creates its folder if needed."""
    folder = os.path.dirname(path)
    if folder:
        tf.io.gfile.makedirs(folder)
    with atomic(path) as temporary, tf.io.gfile.GFile(temporary, "wb") as file:
        file.write(content)


def read(path: str) -> bytes:
    """The content of a file, at a path or URI."""
    with tf.io.gfile.GFile(path, "rb") as file:
        return file.read()


def digest(folder: str, without: Collection[str] = ()) -> str:
    """16 hexadecimal digits of the names and contents of all files in a folder.

    Args:
      folder: a path or URI.
      without: folders in it whose files do not count.
    """
    found = hashlib.sha256()
    paths = [
        os.path.join(parent, name)
        for parent, _, names in tf.io.gfile.walk(folder)
        if os.path.relpath(parent, folder) not in without
        for name in names
    ]
    for path in sorted(paths):
        content = read(path)
        found.update(f"{os.path.relpath(path, folder)} {len(content)} ".encode() + content)
    return found.hexdigest()[:16]


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
