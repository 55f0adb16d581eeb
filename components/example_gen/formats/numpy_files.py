"""NumPy files: NPZ and NPY."""

import contextlib
import dataclasses
import posixpath
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

import numpy as np

from components.example_gen.formats.reader import Reader, split_by_name
from components.example_gen.paths import ALTERNATIVE, INSIDE, described, open_file, parts
from components.example_gen.prepare import RawImage

# Images per shard of a file that can be read from the middle.
_SHARD_IMAGES = 4096
_IMAGE_WORDS = ("x", "image", "images", "img", "imgs", "data", "pixels")
_LABEL_WORDS = ("y", "label", "labels", "target", "targets", "class", "classes")


@dataclasses.dataclass(frozen=True)
class Array:
    """An array of a file: `key` in an NPZ file, "" in an NPY file."""

    path: str
    key: str
    shape: tuple[int, ...]
    dtype: np.dtype

    @property
    def name(self) -> str:
        """The array's name, without an extension."""
        return self.key or posixpath.splitext(posixpath.basename(self.path))[0]

    @property
    def where(self) -> str:
        """For messages and sources."""
        return f"{self.path}{INSIDE}{self.key}" if self.key else self.path


@dataclasses.dataclass(frozen=True)
class Slice:
    """A range of an array of images and of its labels, if it has any."""

    images: Array
    labels: Array | None
    source: str
    start: int
    stop: int


class NumpyReader(Reader[Slice]):
    """Arrays of images [n, height, width] or [n, height, width, channels], and of labels [n].

    An NPZ file holds both, as `images` and `labels`, or splits, as `x_train`, `y_train`, `x_test`,
    `y_test`; NPY files have such names themselves. Labels are the array whose name differs only in
    that word, or the only array of labels. `features` gives other names: `{image: faces, label:
    ids}`.
    """

    options: ClassVar[frozenset[str]] = frozenset({"features"})
    pattern: ClassVar[re.Pattern[str]] = re.compile(r".*\.(npz|npy)", re.IGNORECASE)
    kind: ClassVar[str] = "NPZ or NPY file"

    def splits(self, base: str, names: Sequence[str] | None = None) -> dict[str, str]:
        files = self.named_files(base, names)
        arrays = [array for name in files for array in _arrays(posixpath.join(base, name))]
        images = self._images(arrays, base)
        called = {
            f"{posixpath.relpath(array.path, base)}{INSIDE if array.key else ''}{array.key}": array
            for array in images
        }
        return {
            split: ALTERNATIVE.join(
                part for name in chosen for part in self._pattern(name, called[name], arrays, base)
            )
            for split, chosen in split_by_name(called, base).items()
        }

    def _pattern(self, name: str, images: Array, arrays: list[Array], base: str) -> list[str]:
        labels = self._labels(images, arrays)
        if labels is None or labels.path == images.path:
            return [name]
        return [name, posixpath.relpath(labels.path, base)]

    def count(self, shards: Sequence[Slice]) -> int:
        return sum(shard.stop - shard.start for shard in shards)

    def shards(self, base: str, splits: Mapping[str, str]) -> dict[str, list[Slice]]:
        """Ranges of NPY files; an NPZ file, which cannot be read from the middle, is one."""
        self.files(base, splits)
        return {
            split: [
                shard
                for images, labels in self._pairs(base, patterns)
                for shard in _slices(images, labels, base)
            ]
            for split, patterns in splits.items()
        }

    def _pairs(self, base: str, patterns: str) -> list[tuple[Array, Array | None]]:
        found = parts(base, patterns)
        every = [array for path in dict.fromkeys(path for path, _ in found)
                 for array in _arrays(path)]  # fmt: skip
        wanted = []
        for path, key in found:
            arrays = [array for array in every if array.path == path]
            if key:
                arrays = [array for array in arrays if array.key == key]
                if not arrays:
                    known = ", ".join(array.key for array in every if array.path == path)
                    raise ValueError(f"{path}: no array {key!r}, only {known or 'none'}")
            wanted += arrays
        pairs = []
        for images in self._images(wanted, base):
            labels = self._labels(images, every)
            _check_pair(images, labels)
            pairs.append((images, labels))
        return pairs

    def _images(self, arrays: Sequence[Array], where: str) -> list[Array]:
        """The arrays of images; raises ValueError if there are none."""
        if "image" in self.features:
            found = [array for array in arrays if array.name == self.features["image"]]
        else:
            found = [array for array in arrays if len(array.shape) in (3, 4)]
        if not found:
            listed = described(f"{array.where} {list(array.shape)}" for array in arrays)
            raise ValueError(
                f"{where}: no array [n, height, width] or [n, height, width, channels]"
                f"{_called(self.features, 'image')}; found {listed}"
            )
        return found

    def _labels(self, images: Array, arrays: Sequence[Array]) -> Array | None:
        """The labels of an array of images, in the same file or beside it."""
        beside = [
            array
            for array in arrays
            if bool(array.key) == bool(images.key)
            and (array.path == images.path if array.key else array.path != images.path)
        ]
        if "label" in self.features:
            found = [array for array in beside if array.name == self.features["label"]]
            if not found:
                raise ValueError(f"{images.where}: no array {_called(self.features, 'label')}")
            return found[0]
        if _words(images.name, _LABEL_WORDS):
            return None
        named = [array for array in beside if _words(array.name, _LABEL_WORDS)]
        if len(named) == 1 and sum(len(array.shape) > 2 for array in {images, *beside}) == 1:
            return named[0]
        stem = _stem(images.name)
        return next((array for array in named if _stem(array.name) == stem), None)

    def records(self, shard: Slice) -> Iterator[RawImage]:
        images = _load(shard.images)[shard.start : shard.stop]
        labels: Sequence[int | None] = [None] * len(images)
        if shard.labels is not None:
            labels = _load(shard.labels).reshape(-1)[shard.start : shard.stop].tolist()
        for index, (image, label) in enumerate(zip(images, labels, strict=True), shard.start):
            source = f"{shard.source}{INSIDE if INSIDE not in shard.source else ':'}{index}"
            yield RawImage(np.asarray(image), source, label)


def _check_pair(images: Array, labels: Array | None) -> None:
    if labels is None:
        return
    count = images.shape[0]
    if labels.shape not in ((count,), (count, 1)) or labels.dtype.kind not in "iu":
        raise ValueError(
            f"{labels.where}: labels {labels.dtype} {list(labels.shape)} for the images "
            f"{list(images.shape)} of {images.where}; there must be one whole number per image"
        )


def _slices(images: Array, labels: Array | None, base: str) -> list[Slice]:
    source = posixpath.relpath(images.path, base) + (f"{INSIDE}{images.key}" if images.key else "")
    count = images.shape[0]
    step = max(count, 1) if images.key else _SHARD_IMAGES
    return [
        Slice(images, labels, source, start, min(start + step, count))
        for start in range(0, count, step)
    ]


def _words(name: str, words: Sequence[str]) -> list[str]:
    return [word for word in re.split(r"[^a-z0-9]+", name.lower()) if word in words]


def _stem(name: str) -> list[str]:
    """The words of a name without those for images and labels."""
    return [
        word
        for word in re.split(r"[^a-z0-9]+", name.lower())
        if word and word not in (*_IMAGE_WORDS, *_LABEL_WORDS)
    ]


def _called(features: Mapping[str, str], feature: str) -> str:
    return f" called {features[feature]!r} (data.features)" if feature in features else ""


@contextlib.contextmanager
def _named(path: str) -> Iterator[None]:
    """Adds the file's name to errors of NumPy."""
    try:
        yield
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        if isinstance(error, FileNotFoundError):
            raise
        reason = " ".join(str(error).split())
        raise ValueError(f"{path}: not a whole NumPy file of numbers ({reason})") from error


def _arrays(path: str) -> list[Array]:
    """The arrays of a file, read from the headers."""
    with open_file(path) as file, _named(path):
        if path.lower().endswith(".npy"):
            return [Array(path, "", *_header(file))]
        with zipfile.ZipFile(file) as archive:
            found = []
            for name in archive.namelist():
                with archive.open(name) as member:
                    found.append(Array(path, name.removesuffix(".npy"), *_header(member)))
            return found


def _header(file: object) -> tuple[tuple[int, ...], np.dtype]:
    version = np.lib.format.read_magic(file)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }.get(version)
    if read is None:
        raise ValueError(f"version {version} of the format")
    shape, _, dtype = read(file)
    if dtype.hasobject:
        raise ValueError("Python objects, which are never loaded")
    return shape, dtype


def _load(array: Array) -> np.ndarray:
    with _named(array.path):
        if array.key:
            with open_file(array.path) as file, np.load(file, allow_pickle=False) as arrays:
                return arrays[array.key]
        if "://" not in array.path:
            return np.load(array.path, mmap_mode="r", allow_pickle=False)
        with open_file(array.path) as file:
            return np.load(file, allow_pickle=False)
