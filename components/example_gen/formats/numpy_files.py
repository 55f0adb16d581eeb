"""NumPy files: NPZ and NPY."""

import contextlib
import dataclasses
import itertools
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import ClassVar

import numpy as np

from components.example_gen.formats import layout
from components.example_gen.formats.arrays import choice
from components.example_gen.formats.arrays.array import Array, arrays_of, load
from components.example_gen.formats.classes import (
    Class,
    as_class_of_number,
    as_classes,
    check_all_labelled,
    names_of_numbers,
)
from components.example_gen.formats.reader import Reader, split_by_name
from components.example_gen.paths import ALTERNATIVE, INSIDE, parts
from components.example_gen.prepare import BadRecordError, RawImage, RawRow

# Images per shard of a file that can be read from the middle, and files of one image per shard.
_SHARD_IMAGES = 4096
_SHARD_FILES = 256
_NAMED = 4


@dataclasses.dataclass(frozen=True)
class Slice:
    """A range of an array of images and of its labels, if it has any, with all classes."""

    images: Array
    labels: Array | None
    source: str
    start: int
    stop: int
    classes: Mapping[str, Class] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Single:
    """An array that is one image, with its class, or the array of its label and all classes."""

    image: Array
    label: Array | None
    source: str
    entry: layout.Entry
    classes: Mapping[str, Class] = dataclasses.field(default_factory=dict)


class NumpyReader(Reader[Slice | list[Single]]):
    """Arrays of images [n, height, width] or [n, height, width, channels], and of labels [n].

    An NPZ file holds both, as `images` and `labels`, or splits, as `x_train`, `y_train`, `x_test`,
    `y_test`; NPY files have such names themselves. Labels are the array whose name differs only in
    that word, or the only array of labels. `features` gives other names: `{image: faces, label:
    ids}`.

    Or every file holds one image, [height, width] or [height, width, channels]; folders are then
    splits and classes, as for image files. `arrays` tells the two apart where the shapes do not.
    """

    options: ClassVar[frozenset[str]] = frozenset({"features", "arrays"})
    pattern: ClassVar[re.Pattern[str]] = re.compile(r".*\.(npz|npy)", re.IGNORECASE)
    kind: ClassVar[str] = "NPZ or NPY file"

    def check_options(self) -> None:
        known = (choice.IMAGE, choice.STACK)
        if self.arrays not in (None, *known):
            raise ValueError(f"data.arrays: found {self.arrays!r}, expected {' or '.join(known)}")

    def splits(self, base: str, names: Sequence[str] | None = None) -> dict[str, str]:
        files = self.named_files(base, names)
        arrays = [array for name in files for array in arrays_of(posixpath.join(base, name))]
        images, how = choice.choose(arrays, self.features, self.arrays, base)
        if how == choice.IMAGE:
            paths = dict.fromkeys(posixpath.relpath(array.path, base) for array in images)
            return layout.splits_of(list(paths), base)
        called = {array.source(base): array for array in images}
        splits = split_by_name(called, base)
        pairs = {
            name: self._labels(called[name], arrays)
            for chosen in splits.values()
            for name in chosen
        }
        used = [*(called[name] for name in pairs), *filter(None, pairs.values())]
        self._remark_unused(arrays, used, base)
        return {
            split: ALTERNATIVE.join(
                part for name in chosen for part in self._pattern(name, pairs[name], base)
            )
            for split, chosen in splits.items()
        }

    def _remark_unused(self, arrays: Sequence[Array], used: Iterable[Array], base: str) -> None:
        used = set(used)
        unused = [array for array in arrays if array not in used]
        if unused:
            listed = ", ".join(
                f"{array.source(base)} ({array.problem or list(array.shape)})"
                for array in unused[:_NAMED]
            )
            more = f" and {len(unused) - _NAMED} more" if len(unused) > _NAMED else ""
            self.remark(f"left out: arrays {listed}{more}")

    def _pattern(self, name: str, labels: Array | None, base: str) -> list[str]:
        return [name] if labels is None or labels.key else [name, labels.source(base)]

    def count(self, shards: Sequence[Slice | list[Single]]) -> int:
        return sum(
            len(shard) if isinstance(shard, list) else shard.stop - shard.start for shard in shards
        )

    def shards(self, base: str, splits: Mapping[str, str]) -> dict[str, list[Slice | list[Single]]]:
        """Ranges of NPY files; an NPZ file, which cannot be read from the middle, is one.

        Where every array is one image, lists of some hundred.
        """
        self.files(base, splits)
        every = {split: self._arrays(base, patterns) for split, patterns in splits.items()}
        wanted = [array for arrays, _ in every.values() for array in arrays]
        found, how = choice.choose(list(dict.fromkeys(wanted)), self.features, self.arrays, base)
        images = set(found)
        chosen = {
            split: [array for array in arrays if array in images]
            for split, (arrays, _) in every.items()
        }
        beside = {split: around for split, (_, around) in every.items()}
        if how == choice.IMAGE:
            return self._singles(base, splits, chosen, beside)
        pairs = {
            split: [(array, self._labels(array, beside[split])) for array in arrays]
            for split, arrays in chosen.items()
        }
        every_pair = [pair for listed in pairs.values() for pair in listed]
        for array, labels in every_pair:
            _check_pair(array, labels)
        check_all_labelled(
            (array.where, labels.where if labels else None) for array, labels in every_pair
        )
        classes = as_classes(
            name for _, labels in every_pair if labels for name in _names_in(labels)
        )
        return {
            split: [part for pair in listed for part in _slices(*pair, classes, base)]
            for split, listed in pairs.items()
        }

    def _arrays(self, base: str, patterns: str) -> tuple[list[Array], list[Array]]:
        """The arrays that match patterns, and all arrays of the same files."""
        found = [(path, key) for path, key in parts(base, patterns) if self.matches(path)]
        every = {path: arrays_of(path) for path in dict.fromkeys(path for path, _ in found)}
        wanted = []
        for path, key in found:
            arrays = [array for array in every[path] if key in ("", array.key)]
            if not arrays:
                known = ", ".join(array.key for array in every[path])
                raise ValueError(f"{path}: no array {key!r}, only {known or 'none'}")
            wanted += arrays
        return wanted, [array for arrays in every.values() for array in arrays]

    def _singles(
        self,
        base: str,
        splits: Mapping[str, str],
        chosen: Mapping[str, Sequence[Array]],
        beside: Mapping[str, Sequence[Array]],
    ) -> dict[str, list[Slice | list[Single]]]:
        names = {
            split: [posixpath.relpath(array.path, base) for array in arrays]
            for split, arrays in chosen.items()
        }
        found: dict[str, list[Slice | list[Single]]] = {}
        # No table names files that could exist.
        entries_of = layout.labelled(names, splits, None, lambda name: False)
        holders = {
            split: {
                array.path: array
                for array in arrays
                if array.key and choice.is_called(array.name, choice.LABEL_WORDS)
            }
            for split, arrays in beside.items()
        }
        known: set[str] = set()
        for holder in itertools.chain.from_iterable(own.values() for own in holders.values()):
            # A damaged file is one bad record, which says so.
            with contextlib.suppress(ValueError):
                known |= _names_in(holder)
        classes = as_classes(known)
        for split, entries in entries_of.items():
            own = holders[split]
            singles = [
                Single(array, own.get(array.path), array.source(base), entry, classes)
                for array, entry in zip(chosen[split], entries, strict=True)
            ]
            self._remark_unused(beside[split], [*chosen[split], *own.values()], base)
            found[split] = [
                singles[start : start + _SHARD_FILES]
                for start in range(0, len(singles), _SHARD_FILES)
            ]
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
                wanted = self.features["label"]
                raise ValueError(f"{images.where}: no array called {wanted!r} (data.features)")
            return found[0]
        if choice.is_called(images.name, choice.LABEL_WORDS):
            return None
        named = [array for array in beside if choice.is_called(array.name, choice.LABEL_WORDS)]
        stem = choice.stem(images.name)
        same = [array for array in named if choice.stem(array.name) == stem]
        if same:
            return same[0]
        if len(named) == 1 and sum(len(array.shape) > 2 for array in {images, *beside}) == 1:
            return named[0]
        return None

    def some(
        self, shard: Slice | list[Single], places: Sequence[int]
    ) -> Iterator[RawImage | RawRow]:
        if isinstance(shard, list):
            return self.records([shard[place] for place in places])
        return super().some(shard, places)

    def records(self, shard: Slice | list[Single]) -> Iterator[RawImage]:
        if isinstance(shard, list):
            yield from map(_single, shard)
            return
        images = load(shard.images)[shard.start : shard.stop]
        labels: Sequence[int | None] = [None] * len(images)
        if shard.labels is not None:
            labels = load(shard.labels).reshape(-1)[shard.start : shard.stop].tolist()
        for index, (image, label) in enumerate(zip(images, labels, strict=True), shard.start):
            source = f"{shard.source}{INSIDE if INSIDE not in shard.source else ':'}{index}"
            of, error = Class(), None
            if label is not None:
                of, error = _class(label, shard.labels, shard.classes)
            yield RawImage(np.asarray(image), source, of.label, error, of.name)


def _single(single: Single) -> RawImage:
    of, error = single.entry.of, single.entry.error
    try:
        image = np.asarray(load(single.image))
        if single.label is not None and of.label is None and error is None:
            values = load(single.label).reshape(-1)
            if values.size != 1 or values.dtype.kind not in "iu":
                error = (
                    f"{single.label.name!r} holds {values.dtype} {list(single.label.shape)}, "
                    "expected one whole number"
                )
            else:
                of, error = _class(int(values[0]), single.label, single.classes)
    except ValueError as reason:
        # A damaged file of one image is one bad record.
        return RawImage(b"", single.source, error=f"the array cannot be read ({reason})")
    return RawImage(image, single.source, of.label, error, of.name)


def _class(
    label: int, labels: Array | None, classes: Mapping[str, Class]
) -> tuple[Class, str | None]:
    """The class of a label, and what is wrong with it."""
    assert labels is not None  # The label is from it.
    try:
        return as_class_of_number(label, f"the array {labels.name!r}", classes), None
    except BadRecordError as error:
        return Class(), str(error)


def _names_in(labels: Array) -> set[str]:
    """The different labels in an array, as text; none in one that holds no whole numbers."""
    if labels.dtype.kind not in "iu":
        return set()
    return names_of_numbers(np.unique(load(labels)).tolist())


def _check_pair(images: Array, labels: Array | None) -> None:
    if labels is None:
        return
    count = images.shape[0]
    if labels.shape not in ((count,), (count, 1)) or labels.dtype.kind not in "iu":
        raise ValueError(
            f"{labels.where}: labels {labels.dtype} {list(labels.shape)} for the images "
            f"{list(images.shape)} of {images.where}; there must be one whole number per image"
        )


def _slices(
    images: Array, labels: Array | None, classes: Mapping[str, Class], base: str
) -> list[Slice | list[Single]]:
    count = images.shape[0]
    step = max(count, 1) if images.key else _SHARD_IMAGES
    return [
        Slice(images, labels, images.source(base), start, min(start + step, count), classes)
        for start in range(0, count, step)
    ]
