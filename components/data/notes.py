"""Per-record warnings written by ExampleGen."""

import dataclasses
import json
import posixpath

import tensorflow as tf

FILE = "notes.jsonl"

# Kinds of warnings.
ANIMATED, DUPLICATE, LEAK, MISNAMED = "animated", "duplicate", "leak", "misnamed"

_NAMED = 3


@dataclasses.dataclass(frozen=True)
class Noted:
    """Records with one kind of warning: their number, and the sources of the first few."""

    count: int = 0
    sources: tuple[str, ...] = ()


def read(folder: str) -> dict[str, Noted]:
    """The warnings beside the examples, by kind; empty if there is no FILE."""
    path = posixpath.join(folder, FILE)
    noted: dict[str, Noted] = {}
    if not tf.io.gfile.exists(path):
        return noted
    with tf.io.gfile.GFile(path) as file:
        for text in file:
            line = json.loads(text)
            found = noted.get(line["kind"], Noted())
            sources = (*found.sources, line["source"])[:_NAMED]
            noted[line["kind"]] = Noted(found.count + 1, sources)
    return noted
