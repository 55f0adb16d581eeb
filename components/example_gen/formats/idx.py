"""IDX files, raw or gzipped: the format of MNIST and its variants.

A file is 00 00 <element type> <number of dimensions>, every dimension as a big-endian uint32, then
the elements, the last dimension fastest (LeCun, Cortes, Burges: "The MNIST database", file
formats). Images are uint8 [n, height, width] or [n, height, width, channels], labels uint8 [n].
"""

import contextlib
import dataclasses
import glob
import gzip
import math
import posixpath
import re
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import BinaryIO, ClassVar

import numpy as np
import tensorflow as tf

from components.common import files
from components.example_gen.formats.classes import (
    Class,
    as_classes,
    check_all_labelled,
    names_of_numbers,
)
from components.example_gen.formats.reader import ROLES, UNSPLIT, Reader, roles_of, words_of
from components.example_gen.paths import INSIDE, described, visible_names
from components.example_gen.prepare import RawImage

_NAMES = re.compile(r"(?P<stem>.*?)(?P<kind>images|labels)[-.]idx\d-ubyte(\.gz)?")
_UNSIGNED_BYTE = 0x08
_MAX_DIMENSIONS = 4
_MAX_HEADER = 4 + 4 * _MAX_DIMENSIONS


def read_idx(path: str) -> np.ndarray:
    """The uint8 array of an IDX file.

    Raises:
      ValueError: naming the file, for another format, elements other than unsigned bytes, and
        fewer or more bytes than the header declares.
    """
    data = _read(path)
    shape = _shape(path, data)
    body = memoryview(data)[4 + 4 * len(shape) :]
    _check_size(path, shape, len(body))
    return np.frombuffer(body, np.uint8).reshape(shape)


def write_idx(path: str, array: np.ndarray) -> None:
    """Writes a uint8 array of 1 to 4 dimensions; gzipped, without a date, if `path` ends in .gz."""
    if array.dtype != np.uint8 or not 1 <= array.ndim <= _MAX_DIMENSIONS:
        raise ValueError(
            f"{path}: cannot write {array.dtype} with {array.ndim} dimensions, "
            f"only uint8 with 1 to {_MAX_DIMENSIONS}"
        )
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, _UNSIGNED_BYTE, array.ndim, *array.shape)
    data = header + array.tobytes()
    files.write(path, gzip.compress(data, mtime=0) if path.endswith(".gz") else data)


@dataclasses.dataclass(frozen=True)
class IdxPair:
    """A file of images, its file of labels, if any, the name of the former, and all classes."""

    images: str
    labels: str | None
    source: str
    classes: Mapping[str, Class] = dataclasses.field(default_factory=dict)


class IdxReader(Reader[IdxPair]):
    """Pairs `<stem>images-idx3-ubyte[.gz]` and `<stem>labels-idx1-ubyte[.gz]`.

    The stem names the split: `train-` is train; `t10k-`, `test-`, `eval-` and `val-` are eval. Of
    three splits, `val-` or `eval-` is left out.
    """

    pattern: ClassVar[re.Pattern[str]] = _NAMES
    kind: ClassVar[str] = "IDX file"

    def splits(self, base: str, names: Sequence[str] | None = None) -> dict[str, str]:
        chosen = visible_names(base) if names is None else _with_labels(base, names)
        matches = [(name, _NAMES.fullmatch(posixpath.basename(name))) for name in chosen]
        stems = sorted(
            {posixpath.join(posixpath.dirname(name), match["stem"])
             for name, match in matches if match}
        )  # fmt: skip
        if not stems:
            raise FileNotFoundError(
                f"{base}: no IDX file; expected names like train-images-idx3-ubyte.gz, "
                f"found {described(chosen)}"
            )
        if len(stems) == 1:
            return {UNSPLIT: _pattern(stems[0])}
        words = {found[-1]: stem for stem in stems if (found := words_of(stem))}
        roles = roles_of(words)
        if roles is None or len(stems) > len({ROLES[word] for word in words}):
            raise ValueError(
                f"{base}: cannot tell train from eval among {', '.join(map(repr, stems))}; "
                "name the files of each in data.splits (--splits)"
            )
        return {split: _pattern(words[word]) for split, (word,) in roles.items()}

    def count(self, shards: Sequence[IdxPair]) -> int:
        return sum(_header(pair.images)[0] for pair in shards)

    def shards(self, base: str, splits: Mapping[str, str]) -> dict[str, list[IdxPair]]:
        found = {split: _pairs(files, base) for split, files in self.files(base, splits).items()}
        for pair in (pair for pairs in found.values() for pair in pairs):
            _header(pair.images)
        every = [pair for pairs in found.values() for pair in pairs]
        check_all_labelled((pair.images, pair.labels) for pair in every)
        classes = as_classes(
            name
            for pair in every
            if pair.labels is not None
            for name in names_of_numbers(np.unique(read_idx(pair.labels)).tolist())
        )
        return {
            split: [dataclasses.replace(pair, classes=classes) for pair in pairs]
            for split, pairs in found.items()
        }

    def records(self, shard: IdxPair) -> Iterator[RawImage]:
        """The images, one at a time; a truncated file is noticed only at its end."""
        shape = _header(shard.images)
        classes = [Class()] * shape[0]
        if shard.labels is not None:
            found = read_idx(shard.labels)
            if found.shape != shape[:1]:
                raise ValueError(
                    f"{shard.labels}: labels {list(found.shape)} for the images "
                    f"{list(shape)} of {shard.source}; there must be one per image"
                )
            classes = [shard.classes[str(label)] for label in found.tolist()]
        images = _items(shard.images, shape)
        for index, (image, of) in enumerate(zip(images, classes, strict=True)):
            source = f"{shard.source}{INSIDE}{index}"
            yield RawImage(image, source, of.label, class_name=of.name)


def _pattern(stem: str) -> str:
    return f"{glob.escape(stem)}*-ubyte*"


def _with_labels(base: str, names: Sequence[str]) -> list[str]:
    """The named files, the files of named folders, and the labels of named images."""
    found: dict[str, None] = {}
    for name in names:
        path = posixpath.join(base, name)
        folder = name if tf.io.gfile.isdir(path) else posixpath.dirname(name)
        for sibling in visible_names(posixpath.join(base, folder) if folder else base):
            sibling = posixpath.join(folder, sibling)
            if folder == name or sibling == name or _labels_of(name, sibling):
                found[sibling] = None
    return list(found)


def _labels_of(images: str, other: str) -> bool:
    ours, theirs = (_NAMES.fullmatch(posixpath.basename(name)) for name in (images, other))
    if ours is None or theirs is None:
        return False
    return ours["stem"] == theirs["stem"] and theirs["kind"] == "labels"


def _pairs(files: Sequence[str], base: str) -> list[IdxPair]:
    found: dict[tuple[str, str], str] = {}
    for file in files:
        folder, name = posixpath.split(file)
        match = _NAMES.fullmatch(name)
        if not match:
            raise ValueError(
                f"{file}: not the name of an IDX file; expected one like "
                "train-images-idx3-ubyte.gz or train-labels-idx1-ubyte.gz"
            )
        key = (posixpath.join(folder, match["stem"]), match["kind"])
        if key in found:
            raise ValueError(f"{file}: the same as {posixpath.basename(found[key])}? Keep one")
        found[key] = file
    for (stem, kind), file in found.items():
        if kind == "labels" and (stem, "images") not in found:
            raise ValueError(f"{file}: labels without images; expected {stem}images-idx3-ubyte.gz")
    return [
        IdxPair(file, found.get((stem, "labels")), posixpath.relpath(file, base))
        for (stem, kind), file in sorted(found.items())
        if kind == "images"
    ]


def _header(path: str) -> tuple[int, ...]:
    shape = _shape(path, _read(path, _MAX_HEADER))
    if len(shape) not in (3, 4) or (len(shape) == 4 and shape[3] not in (1, 3)):
        raise ValueError(
            f"{path}: the dimensions are {list(shape)}, images have [n, height, width] "
            "or [n, height, width, 1 or 3]"
        )
    return shape


def _shape(path: str, data: bytes) -> tuple[int, ...]:
    """The dimensions in the header at the start of `data`."""
    if len(data) < 4 or data[:2] != b"\0\0" or not 1 <= data[3] <= _MAX_DIMENSIONS:
        raise ValueError(
            f"{path}: not an IDX file: it begins with {data[:4].hex(' ') or 'nothing'}, "
            f"expected 00 00 08 and 01 to {_MAX_DIMENSIONS:02x}"
        )
    kind, dimensions = data[2], data[3]
    if kind != _UNSIGNED_BYTE:
        raise ValueError(
            f"{path}: the elements are of type {kind:02x}, only 08 (unsigned bytes) is read"
        )
    if len(data) < 4 + 4 * dimensions:
        raise ValueError(f"{path}: the file ends inside its header; fetch the file again")
    return struct.unpack_from(f">{dimensions}I", data, 4)


def _items(path: str, shape: tuple[int, ...]) -> Iterator[np.ndarray]:
    """The items of a file whose header declares `shape`; raises what `read_idx` raises."""
    size = math.prod(shape[1:])
    with _opened(path) as file:
        file.read(4 + 4 * len(shape))
        for index in range(shape[0]):
            item = file.read(size)
            if len(item) < size:
                _check_size(path, shape, index * size + len(item))
            yield np.frombuffer(item, np.uint8).reshape(shape[1:])
        # Reading to the end also verifies the checksum of a gzipped file.
        _check_size(path, shape, shape[0] * size + len(file.read()))


def _check_size(path: str, shape: Sequence[int], size: int) -> None:
    if size != math.prod(shape):
        item = math.prod(shape[1:])
        raise ValueError(
            f"{path}: the header declares {shape[0]} items ({math.prod(shape)} bytes), the file "
            f"holds {size // max(item, 1)} ({size} bytes); fetch the file again"
        )


def _read(path: str, size: int = -1) -> bytes:
    with _opened(path) as file:
        return file.read(size)


@contextlib.contextmanager
def _opened(path: str) -> Iterator[BinaryIO | gzip.GzipFile]:
    """A raw or gzipped file, decompressed as it is read; ValueError if that fails."""
    with tf.io.gfile.GFile(path, "rb") as file:
        if not path.endswith(".gz"):
            yield file
            return
        try:
            with gzip.GzipFile(fileobj=file) as unpacked:
                yield unpacked
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise ValueError(
                f"{path}: the gzip data are damaged or cut off ({error}); fetch the file again"
            ) from error
