"""Whole files at a path or URI."""

import os
import uuid

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
