"""Folders that are called as Hive calls the partitions of a table: `split=train/label=cat`."""

import posixpath
from collections.abc import Collection, Iterable
from urllib.parse import unquote

# What a missing value is called.
_NULL = "__HIVE_DEFAULT_PARTITION__"


def parts(path: str) -> list[tuple[str, str]]:
    """The key and the value, both as they are written, of every folder of a file.

    Of a folder that is no partition, the key is its name, and the value empty.
    """
    folders = posixpath.dirname(path).split("/")
    found = (folder.partition("=") for folder in folders if folder)
    return [(key, value) for key, _, value in found]


def value_of(path: str, keys: Collection[str]) -> str | None:
    """The value, empty for a missing one, of the last folder with one of the keys; None without."""
    for key, value in reversed(parts(path)):
        if key in keys and value:
            return "" if value == _NULL else unquote(value, errors="surrogateescape")
    return None


def keys_of(paths: Iterable[str]) -> tuple[str, ...]:
    """The keys of the folders of files, if all are partitions by the same keys; else none."""
    found: tuple[str, ...] | None = None
    for path in paths:
        own = parts(path)
        keys = tuple(key for key, _ in own)
        if not all(value for _, value in own) or found not in (None, keys):
            return ()
        found = keys
    return found or ()
