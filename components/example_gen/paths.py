"""Files and folders of the data: patterns, listings, opening; paths or URIs."""

import errno
import io
import os
import posixpath
import stat
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, BinaryIO

import tensorflow as tf

from components.example_gen.files.names import BROKEN, LINK, ignored, is_image, is_text, printable

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

# Separates the alternatives of a pattern, and a file from a member in it.
ALTERNATIVE = "|"
INSIDE = "#"
WILDCARDS = "*?["


def parts(base: str, patterns: str) -> list[tuple[str, str]]:
    """The files that patterns match, each with the pattern of its members; "" for all of them.

    Names of files and folders may hold `|`, `#` and wildcards: what exists by that name is meant.

    Raises FileNotFoundError for a pattern that matches no file.
    """
    found: list[tuple[str, str]] = []
    pieces = patterns.split(ALTERNATIVE)
    start = 0
    while start < len(pieces):
        for stop in range(start + 1, len(pieces) + 1):
            matched = _parts_of(base, ALTERNATIVE.join(pieces[start:stop]))
            if matched:
                break
        else:
            outer = pieces[start].partition(INSIDE)[0]
            raise FileNotFoundError(
                f"{posixpath.join(base, outer)}: no such file; check data.path and data.splits"
            )
        found += matched
        start = stop
    return found


def _parts_of(base: str, pattern: str) -> list[tuple[str, str]]:
    """The files of one pattern: the longest name that there is, and what is inside."""
    outer, inner = pattern, ""
    while True:
        if files := _matches(base, outer):
            return [(file, inner) for file in files]
        outer, sign, _ = outer.rpartition(INSIDE)
        if not sign:
            return []
        inner = pattern[len(outer) + 1 :]


# What a name in a folder stands for.
_FILE, _FOLDER, _LINKED_FOLDER = "file", "folder", "link to a folder"


def _matches(base: str, pattern: str) -> list[str]:
    """The files that match a pattern below a folder, whose own name may hold wildcards."""
    *folders, last = pattern.split("/")
    found = [base]
    for part in folders:
        found = _once([child for folder in found for child in _children(folder, part)])
    return [path for folder in found for path, kind in _children(folder, last) if kind == _FILE]


def _once(children: Sequence[tuple[str, str]]) -> list[str]:
    """The folders among them, without links to others of them, or to a folder around them."""
    real = [path for path, kind in children if kind == _FOLDER]
    links = [path for path, kind in children if kind == _LINKED_FOLDER]
    known = {os.path.realpath(path) for path in real} if links else set()
    for path in links:
        target = os.path.realpath(path)
        if target not in known and not _holds(target, path):
            known.add(target)
            real.append(path)
    return sorted(real) if links else real


def _holds(folder: str, path: str) -> bool:
    """Whether a real folder is the one that a path lies in, or around that."""
    place = os.path.realpath(posixpath.dirname(path))
    return folder == place or place.startswith(folder.rstrip("/") + "/")


def _children(folder: str, part: str) -> list[tuple[str, str]]:
    # A literal name may hold wildcards, and is meant even if it is hidden.
    path = posixpath.join(folder, part)
    if part and exists(path):
        return [(path, _FOLDER if is_folder(path) else _FILE)]
    if any(wildcard in part for wildcard in WILDCARDS):
        return [
            (posixpath.join(folder, name), kind)
            for name, kind in _listed(folder)
            if fnmatchcase(name, part) and not ignored(name)
        ]
    return []


def children(base: str, pattern: str) -> list[str]:
    """The files and folders that match a pattern, relative to `base`."""
    found = [""]
    for part in pattern.split("/"):
        found = [
            posixpath.join(name, posixpath.basename(path))
            for name in found
            if is_folder(posixpath.join(base, name) if name else base)
            for path, _ in _children(posixpath.join(base, name) if name else base, part)
        ]
    return found


def pattern_of(base: str, names: Sequence[str]) -> str:
    """A pattern of exactly these files; a short one if their names begin and end alike.

    Raises ValueError for a name that is not UTF-8, because a pattern is text.
    """
    for name in names:
        if not is_text(name):
            raise ValueError(f"{base}: {printable(name)}: the name is not UTF-8; rename it")
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


def is_remote(path: str) -> bool:
    """Whether a path is a URI."""
    return "://" in path


def exists(path: str) -> bool:
    """Whether there is such a file or folder; a broken link is none."""
    return tf.io.gfile.exists(path) if is_remote(path) else os.path.exists(path)


def is_folder(path: str) -> bool:
    """Whether a path is that of a folder, or of a link to one."""
    return tf.io.gfile.isdir(path) if is_remote(path) else os.path.isdir(path)


def is_broken(path: str) -> bool:
    """Whether a path is that of a link to nothing."""
    return not is_remote(path) and os.path.islink(path) and not os.path.exists(path)


def _listed(folder: str) -> list[tuple[str, str]]:
    """All names in a folder and what they stand for, sorted; ValueError if it cannot be listed."""
    try:
        if is_remote(folder):
            # Object stores list folders with a trailing slash.
            names = sorted(name.rstrip("/") for name in tf.io.gfile.listdir(folder))
            # Names of images are not looked up, which would take a request each.
            return [(name, _FILE if is_image(name) else _remote_kind(folder, name))
                    for name in names]  # fmt: skip
        with os.scandir(folder) as entries:
            return sorted((entry.name, _kind(entry)) for entry in entries)
    except (tf.errors.OpError, OSError) as error:
        reason = error.message if isinstance(error, tf.errors.OpError) else error.strerror
        raise ValueError(f"{folder}: the folder cannot be listed ({reason})") from error


def _remote_kind(folder: str, name: str) -> str:
    return _FOLDER if tf.io.gfile.isdir(posixpath.join(folder, name)) else _FILE


def _kind(entry: os.DirEntry) -> str:
    if not entry.is_dir():
        return _FILE
    return _LINKED_FOLDER if entry.is_symlink() else _FOLDER


def list_names(folder: str) -> list[str]:
    """The names in a folder except ignored ones, sorted; ValueError if it cannot be listed."""
    return [name for name, _ in _listed(folder) if not ignored(name)]


def visible_names(base: str) -> list[str]:
    """The names in a folder, as `list_names`; raises FileNotFoundError if there are none."""
    if not is_folder(base):
        raise FileNotFoundError(f"{base}: no such folder; data.path must name one with data")
    names = list_names(base)
    if not names:
        raise FileNotFoundError(f"{base}: the folder is empty; data.path must name one with data")
    return names


def walk(base: str, name: str = "", skipped: list[tuple[str, str]] | None = None) -> Iterator[str]:
    """The paths, relative to `base`, of a file, or of all files below a folder, each once.

    A link to a folder is followed if the folder is not among the others. Files behind such links
    come last.

    Args:
      base: the folder.
      name: the file or folder in it.
      skipped: receives what is left out, as pairs of the reason and the path.
    """
    path = posixpath.join(base, name) if name else base
    if is_folder(path) and not (is_remote(path) and is_image(name)):
        yield from _Walk(base, [] if skipped is None else skipped).below(name)
    else:
        yield name


class _Walk:
    """All files below folders; see `walk`."""

    def __init__(self, base: str, skipped: list[tuple[str, str]]) -> None:
        self._base = base
        self._skipped = skipped
        self._links: list[str] = []
        self._seen: set[tuple[int, int]] = set()

    def below(self, name: str) -> Iterator[str]:
        yield from self._below(name)
        # Real folders come first, so that a class keeps its own name.
        while self._links:
            link = self._links.pop(0)
            path = posixpath.join(self._base, link)
            if _holds(os.path.realpath(path), path) or self._identity(path) in self._seen:
                self._skipped.append((LINK, link))
            else:
                yield from self._below(link)

    def _below(self, name: str) -> Iterator[str]:
        path = posixpath.join(self._base, name) if name else self._base
        if not is_remote(path):
            identity = self._identity(path)
            if identity in self._seen:
                self._skipped.append((LINK, name))
                return
            self._seen.add(identity)
        for child, kind in _listed(path):
            relative = posixpath.join(name, child)
            if reason := ignored(child):
                self._skipped.append((reason, relative))
            elif kind == _LINKED_FOLDER:
                self._links.append(relative)
            elif kind == _FOLDER:
                yield from self._below(relative)
            else:
                yield relative

    @staticmethod
    def _identity(path: str) -> tuple[int, int]:
        found = os.stat(path)
        return found.st_dev, found.st_ino


def relative(path: str, base: str) -> str:
    """A path below a folder relative to it; for many paths, faster than `relpath`."""
    start = base if base.endswith("/") else f"{base}/"
    return path[len(start) :] if path.startswith(start) else posixpath.relpath(path, base)


def described(names: Iterable[str]) -> str:
    """Up to four names, for an error message."""
    names = sorted(map(printable, names))
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return ", ".join(names[:4]) + more if names else "nothing"


def state(path: str) -> str:
    """Size and modification time of a file, which change when it does; a broken link has none."""
    if is_remote(path):
        found = tf.io.gfile.stat(path)
        return f"{found.length},{found.mtime_nsec}"
    if is_broken(path):
        return BROKEN
    # TensorFlow's has a resolution of seconds.
    found = os.stat(path)
    return f"{found.st_size},{found.st_mtime_ns}"


def open_file(path: str) -> BinaryIO:
    """Opens a seekable file at a path or URI.

    Raises OSError, also for a pipe or a device, on which reading could wait forever.
    """
    if is_remote(path):
        return io.BufferedReader(_Remote(path))
    if is_broken(path):
        raise FileNotFoundError(errno.ENOENT, f"a broken link, to {os.readlink(path)}", path)
    mode = os.stat(path).st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise OSError(errno.EINVAL, "not a regular file but a pipe, socket or device", path)
    return open(path, "rb")


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
