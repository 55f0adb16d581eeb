"""Statistics of the spans of data that were good, in a folder that outlives runs."""

import hashlib
import posixpath

import tensorflow as tf

from components.common import files
from components.data_validator.checks import Statistics


def record(folder: str, span: int, train: Statistics) -> None:
    """Writes the statistics of a span's train split, under a name that follows from them."""
    content = train.SerializeToString(deterministic=True)
    name = hashlib.sha256(content).hexdigest()[:16]
    files.write(posixpath.join(folder, str(span), f"{name}.pb"), content)


def latest_before(folder: str, span: int) -> str:
    """The file of the latest good span before `span`; empty if there is none.

    If a span was good with several contents, it is the one that was validated last.
    """
    earlier = [number for number in _spans(folder) if number < span]
    if not earlier:
        return ""
    of_span = posixpath.join(folder, str(max(earlier)))
    paths = [
        posixpath.join(of_span, name)
        for name in tf.io.gfile.listdir(of_span)
        if name.endswith(".pb")
    ]
    return max(paths, key=lambda path: tf.io.gfile.stat(path).mtime_nsec, default="")


def _spans(folder: str) -> list[int]:
    if not tf.io.gfile.isdir(folder):
        return []
    names = (name.rstrip("/") for name in tf.io.gfile.listdir(folder))
    return [int(name) for name in names if name.isdecimal()]
