"""Whole files at a path or URI."""

import os
import uuid

import tensorflow as tf


def write(path: str, content: bytes) -> None:
    """Writes a file that appears when it is whole, in place of one that is there."""
    aside = os.path.join(os.path.dirname(path), f".{uuid.uuid4().hex}.part")
    with tf.io.gfile.GFile(aside, "wb") as file:
        file.write(content)
    tf.io.gfile.rename(aside, path, overwrite=True)
