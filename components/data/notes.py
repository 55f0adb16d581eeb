"""What is remarkable about records that are examples nevertheless, as ExampleGen leaves it."""

import dataclasses
import json
import posixpath

import tensorflow as tf

FILE = "notes.jsonl"

# Kinds of a line of FILE.
ANIMATED, DUPLICATE, LEAK, MISNAMED = "animated", "duplicate", "leak", "misnamed"

_NAMED = 3


@dataclasses.dataclass(frozen=True)
class Noted:
    """Records of one kind.

    Attributes:
      count: of them.
      sources: of a few.
    """

    count: int = 0
    sources: tuple[str, ...] = ()


def read(folder: str) -> dict[str, Noted]:
    """What is noted beside the examples, by kind; nothing where FILE is not there."""
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
