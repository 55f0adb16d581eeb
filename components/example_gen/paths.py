"""Files and folders of the data: patterns, listings, opening; paths or URIs."""

import io
import os
import posixpath
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, BinaryIO

import tensorflow as tf

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

# Separates the alternatives of a pattern, and a file from a member in it.
ALTERNATIVE = "|"
INSIDE = "#"
WILDCARDS = "*?["

IMAGE_EXTENSIONS = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp")


def parts(base: str, patterns: str) -> list[tuple[str, str]]:
    """The files that patterns match, each with the pattern of its members; "" for all of them.

    Raises FileNotFoundError for a pattern that matches no file.
    """
    found = []
    for pattern in patterns.split(ALTERNATIVE):
        outer, _, inner = pattern.partition(INSIDE)
        # The name of a file or folder may contain the character.
        if inner and (literal := _matches(base, pattern)):
            outer, inner, files = pattern, "", literal
        else:
            files = _matches(base, outer)
        if not files:
            raise FileNotFoundError(
                f"{posixpath.join(base, outer)}: no such file; check data.path and data.splits"
            )
        found += [(file, inner) for file in files]
    return found


def _matches(base: str, pattern: str) -> list[str]:
    """The files that match a pattern below a folder, whose own name may hold wildcards."""
    *folders, last = pattern.split("/")
    found = [base]
    for part in folders:
        found = [
            path for folder in found for path in _children(folder, part) if tf.io.gfile.isdir(path)
        ]
    return [
        path
        for folder in found
        for path in _children(folder, last)
        if is_image(path) or not tf.io.gfile.isdir(path)
    ]


def _children(folder: str, part: str) -> list[str]:
    # A literal name may hold wildcards.
    path = posixpath.join(folder, part)
    if part and tf.io.gfile.exists(path):
        return [path]
    if any(wildcard in part for wildcard in WILDCARDS):
        return [
            posixpath.join(folder, name) for name in list_names(folder) if fnmatchcase(name, part)
        ]
    return []


def children(base: str, pattern: str) -> list[str]:
    """The files and folders that match a pattern, relative to `base`."""
    found = [""]
    for part in pattern.split("/"):
        found = [
            posixpath.join(name, posixpath.basename(path))
            for name in found
            if tf.io.gfile.isdir(posixpath.join(base, name) if name else base)
            for path in _children(posixpath.join(base, name) if name else base, part)
        ]
    return found


def pattern_of(base: str, names: Sequence[str]) -> str:
    """A pattern of exactly these files; a short one if their names begin and end alike."""
    folders = {posixpath.dirname(name) for name in names}
    if len(folders) == 1 and len(names) > 1:
        (folder,) = folders
        own = [posixpath.basename(name) for name in names]
        start = posixpath.commonprefix(own)
        rest = [name[len(start) :] for name in own]
        end = posixpath.commonprefix([name[::-1] for name in rest])[::-1]
        pattern = f"{start}*{end}"
        there = list_names(posixpath.join(base, folder) if folder else base)
        literal = not any(sign in start + end for sign in (*WILDCARDS, ALTERNATIVE, INSIDE))
        if literal and {n for n in there if fnmatchcase(n, pattern)} == set(own):
            return posixpath.join(folder, pattern)
    return ALTERNATIVE.join(names)


def list_names(folder: str) -> list[str]:
    """The visible names in a folder, sorted; raises ValueError if it cannot be listed."""
    try:
        names = tf.io.gfile.listdir(folder)
    except tf.errors.OpError as error:
        raise ValueError(f"{folder}: the folder cannot be listed ({error.message})") from error
    # Object stores list folders with a trailing slash.
    names = (name.rstrip("/") for name in names)
    return sorted(name for name in names if not name.startswith("."))


def visible_names(base: str) -> list[str]:
    """The names in a folder, as `list_names`; raises FileNotFoundError if there are none."""
    if not tf.io.gfile.isdir(base):
        raise FileNotFoundError(f"{base}: no such folder; data.path must name one with data")
    names = list_names(base)
    if not names:
        raise FileNotFoundError(f"{base}: the folder is empty; data.path must name one with data")
    return names


def is_image(name: str) -> bool:
    """Whether a name is that of an image file."""
    return name.lower().endswith(IMAGE_EXTENSIONS)


def walk(base: str, name: str = "") -> Iterator[str]:
    """The paths, relative to `base`, of a file, or of all files below a folder."""
    path = posixpath.join(base, name) if name else base
    if is_image(name) or not tf.io.gfile.isdir(path):
        yield name
        return
    for child in list_names(path):
        yield from walk(base, posixpath.join(name, child))


def described(names: Iterable[str]) -> str:
    """Up to four names, for an error message."""
    names = sorted(names)
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return ", ".join(names[:4]) + more if names else "nothing"


def state(path: str) -> str:
    """Size and modification time of a file, which change when it does."""
    if "://" in path:
        found = tf.io.gfile.stat(path)
        return f"{found.length},{found.mtime_nsec}"
    # TensorFlow's has a resolution of seconds.
    found = os.stat(path)
    return f"{found.st_size},{found.st_mtime_ns}"


def open_file(path: str) -> BinaryIO:
    """Opens a seekable file at a path or URI."""
    return io.BufferedReader(_Remote(path)) if "://" in path else open(path, "rb")


class _Remote(io.RawIOBase):
    """A file of any of TensorFlow's file systems, as a Python raw stream."""

    def __init__(self, path: str) -> None:
        self._file = tf.io.gfile.GFile(path, "rb")
        self._size = self._file.size()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._file.tell()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._file.tell(), io.SEEK_END: self._size}[whence]
        self._file.seek(start + offset)
        return start + offset

    def readinto(self, buffer: "WriteableBuffer") -> int:
        with memoryview(buffer) as view:
            data = self._file.read(len(view))
            view[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()
