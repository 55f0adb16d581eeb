"""IDX files, raw or gzipped: the format of MNIST and its kin.

A file is 00 00 <element type> <number of dimensions>, every dimension as a big-endian uint32, then
the elements, the last dimension fastest (LeCun, Cortes, Burges: "The MNIST database", file
formats). Images are uint8 [n, height, width] or [n, height, width, channels], labels uint8 [n].
"""

import dataclasses
import gzip
import math
import posixpath
import re
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import tensorflow as tf

from components import examples, files
from components.example_gen.base import SPLIT_OF, UNSPLIT, Reader, visible_names

_NAME = re.compile(r"(?P<stem>.*?)(?P<kind>images|labels)[-.]idx\d-ubyte(\.gz)?")
_UNSIGNED_BYTE = 0x08
_MAX_DIMENSIONS = 4
_MAX_HEADER = 4 + 4 * _MAX_DIMENSIONS


def read_idx(path: str) -> np.ndarray:
    """The uint8 array of an IDX file.

    Raises:
      ValueError: naming the file, for another format, other elements than unsigned bytes, and
        fewer or more bytes than the header promises.
    """
    data = _read(path)
    shape = _shape(path, data)
    body = memoryview(data)[4 + 4 * len(shape) :]
    if len(body) != math.prod(shape):
        item = math.prod(shape[1:])
        raise ValueError(
            f"{path}: the header promises {shape[0]} items ({math.prod(shape)} bytes), the file "
            f"holds {len(body) // max(item, 1)} ({len(body)} bytes); fetch the file again"
        )
    return np.frombuffer(body, np.uint8).reshape(shape)


def write_idx(path: str, array: np.ndarray) -> None:
    """Writes a uint8 array of 1 to 4 dimensions; gzipped, without a date, if the path says .gz."""
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
    """A file of images and the file of their labels, if they have any."""

    images: str
    labels: str | None


class IdxReader(Reader[IdxPair]):
    """Pairs `<stem>images-idx3-ubyte[.gz]` and `<stem>labels-idx1-ubyte[.gz]`.

    The stem names the split: `train-` is train; `t10k-`, `test-`, `eval-` and `val-` are eval.
    """

    def splits(self, base: str) -> dict[str, str]:
        """By the stems of the file names."""
        matches = [_NAME.fullmatch(name) for name in visible_names(base)]
        stems = sorted({match["stem"] for match in matches if match})
        if not stems:
            raise FileNotFoundError(
                f"{base}: no IDX file; expected names like train-images-idx3-ubyte.gz"
            )
        if len(stems) == 1:
            return {UNSPLIT: _pattern(stems[0])}
        splits = {_split_of(stem): _pattern(stem) for stem in stems}
        if len(splits) < len(stems) or None in splits:
            raise ValueError(
                f"{base}: cannot tell train from eval among {', '.join(map(repr, stems))}; "
                "name the files of each in data.splits"
            )
        return splits

    def count(self, files: Sequence[str]) -> int:
        """From the headers."""
        return sum(_header(pair.images)[0] for pair in _pairs(files))

    def shape(self, files: Sequence[str]) -> tuple[int, int, int]:
        """From the header of the first file."""
        _, height, width, *channels = _header(_pairs(files)[0].images)
        return height, width, channels[0] if channels else 1

    def shards(self, base: str, splits: Mapping[str, str]) -> dict[str, list[IdxPair]]:
        """The pairs of files."""
        return {split: _pairs(found) for split, found in self.files(base, splits).items()}

    def read(self, shard: IdxPair) -> Iterator[examples.ImageRecord]:
        """The images, as PNG; nothing before both files are known to be whole and to agree."""
        images = read_idx(shard.images)
        _check_images(shard.images, images.shape)
        name = posixpath.basename(shard.images)
        labels: Sequence[int | None] = [None] * len(images)
        if shard.labels is not None:
            found = read_idx(shard.labels)
            if found.shape != images.shape[:1]:
                raise ValueError(
                    f"{shard.labels}: labels {list(found.shape)} for the images "
                    f"{list(images.shape)} of {name}; there must be one an image"
                )
            labels = found.tolist()
        for index, (image, label) in enumerate(zip(images, labels, strict=True)):
            yield examples.from_array(image, f"{name}#{index}", label)


def _split_of(stem: str) -> str | None:
    return next((split for name, split in SPLIT_OF.items() if stem.startswith(name)), None)


def _pattern(stem: str) -> str:
    return f"{stem}*-ubyte*"


def _pairs(files: Sequence[str]) -> list[IdxPair]:
    """The pairs among `files`, in the order of their names."""
    found: dict[tuple[str, str], str] = {}
    for file in files:
        folder, name = posixpath.split(file)
        match = _NAME.fullmatch(name)
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
        IdxPair(file, found.get((stem, "labels")))
        for (stem, kind), file in sorted(found.items())
        if kind == "images"
    ]


def _header(path: str) -> tuple[int, ...]:
    """The dimensions of a file of images."""
    shape = _shape(path, _read(path, _MAX_HEADER))
    _check_images(path, shape)
    return shape


def _check_images(path: str, shape: Sequence[int]) -> None:
    if len(shape) not in (3, 4) or (len(shape) == 4 and shape[3] not in (1, 3)):
        raise ValueError(
            f"{path}: the dimensions are {list(shape)}, images have [n, height, width] "
            "or [n, height, width, 1 or 3]"
        )


def _shape(path: str, data: bytes) -> tuple[int, ...]:
    """The dimensions in the header that `data` begins with."""
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


def _read(path: str, size: int = -1) -> bytes:
    """The first `size` bytes of a raw or gzipped file, all of them by default."""
    with tf.io.gfile.GFile(path, "rb") as file:
        if not path.endswith(".gz"):
            return file.read(size)
        try:
            with gzip.GzipFile(fileobj=file) as unpacked:
                return unpacked.read(size)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise ValueError(
                f"{path}: the gzip data are damaged or cut off ({error}); fetch the file again"
            ) from error
