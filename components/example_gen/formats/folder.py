"""Folders of image files."""

import dataclasses
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import ClassVar, TypeVar

import tensorflow as tf

from components.example_gen.files import labels
from components.example_gen.files import names as naming
from components.example_gen.files.names import BROKEN, IMAGE_EXTENSIONS, is_image, printable
from components.example_gen.files.packing import Packed
from components.example_gen.formats import layout
from components.example_gen.formats.classes import Class
from components.example_gen.formats.reader import UNSPLIT, LeftOut, Reader, grouped
from components.example_gen.paths import (
    described,
    exists,
    is_broken,
    open_file,
    pattern_of,
    relative,
    visible_names,
    walk,
)
from components.example_gen.prepare import RawImage

T = TypeVar("T")

# A compromise between Beam's cost per shard and parallelism.
_SHARD_FILES = 256


@dataclasses.dataclass(frozen=True)
class ImageFiles:
    """Image files, whose names are relative to the data's folder."""

    base: str
    entries: Packed[labels.Entry]


class FolderReader(Reader[ImageFiles]):
    """PNG, JPEG, WebP, GIF and BMP files, as `<class>/<file>` or flat.

    They may be divided into `train` and one of `eval`, `test`, `val`. If the last folder of a
    split's pattern holds a wildcard, that folder is the class; `as_classes` numbers those of all
    splits. `labels`, a CSV file, gives the class of each file instead, and so does the
    `dataset.json` that StyleGAN's tools write. Companions of images, such as captions, are no data.
    """

    options: ClassVar[frozenset[str]] = frozenset({"labels"})
    pattern: ClassVar[re.Pattern[str]] = re.compile(
        f".*({'|'.join(map(re.escape, IMAGE_EXTENSIONS))})", re.IGNORECASE
    )
    kind: ClassVar[str] = "image file"
    needs_text_names: ClassVar[bool] = False

    def splits(self, base: str, names: Sequence[str] | None = None) -> dict[str, str]:
        """By the names of folders; without a folder for each split, folders are classes."""
        if names is None:
            visible_names(base)
            return self._splits_below(base, "")
        loose = [name for name in names if is_image(name)]
        roots = [name for name in names if name not in loose]
        found = {root: self._splits_below(base, root) for root in roots}
        if loose:
            found[""] = {UNSPLIT: pattern_of(base, loose)}
        return layout.joined(found, base)

    def _splits_below(self, base: str, root: str) -> dict[str, str]:
        where = posixpath.join(base, root) if root else base
        # Other files, such as a licence, may lie beside the images.
        images = [name for name in walk(where) if is_image(name)]
        if not images:
            raise FileNotFoundError(
                f"{where}: no image file; found {described(visible_names(where))}"
            )
        splits = layout.splits_of(images, where)
        return {
            split: posixpath.join(root, pattern) if root else pattern
            for split, pattern in splits.items()
        }

    def count(self, shards: Sequence[ImageFiles]) -> int:
        return sum(len(shard.entries) for shard in shards)

    def shards(self, base: str, splits: Mapping[str, str]) -> dict[str, list[ImageFiles]]:
        names = self._names(base, splits)
        entries = layout.labelled(
            names,
            splits,
            self._table(base, [name for files in names.values() for name in files]),
            lambda name: exists(posixpath.join(base, name)),
        )
        return {
            split: [ImageFiles(base, Packed.of(part)) for part in chunks(listed, _SHARD_FILES)]
            for split, listed in entries.items()
        }

    def _names(self, base: str, splits: Mapping[str, str]) -> dict[str, list[str]]:
        """The files of every split, relative to `base`, without labels and other companions."""
        found = {}
        for split, files in self.files(base, splits).items():
            names = [relative(file, base) for file in files]
            others = {*naming.companions(names), posixpath.normpath(self.labels or "")}
            found[split] = [
                name
                for name in names
                if name not in others and posixpath.basename(name) != labels.DATASET_JSON
            ]
        return found

    def _table(self, base: str, names: Iterable[str]) -> labels.LabelTable | None:
        if self.labels:
            with open_file(posixpath.join(base, self.labels)) as file:
                return labels.LabelTable.parse(file.read(), self.labels, base=base)
        tables = []
        for name in labels.beside(names):
            path = posixpath.join(base, name)
            if exists(path):
                with open_file(path) as file:
                    tables.append(labels.LabelTable.parse_json(file.read(), name))
        return labels.joined([table for table in tables if table is not None])

    def left_out(
        self, base: str, splits: Mapping[str, str], names: Sequence[str] | None = None
    ) -> list[LeftOut]:
        used = {name for files in self._names(base, splits).values() for name in files}
        skipped: list[tuple[str, str]] = []
        files = [file for name in names or [""] for file in walk(base, name, skipped)]
        for reason, name in labels.unused(files, used, self.labels):
            skipped.append((BROKEN if is_broken(posixpath.join(base, name)) else reason, name))
        return grouped(skipped)

    def some(self, shard: ImageFiles, places: Sequence[int]) -> Iterator[RawImage]:
        chosen = Packed.of(shard.entries.at(places))
        return self.records(dataclasses.replace(shard, entries=chosen))

    def classes(self, shard: ImageFiles) -> Iterator[Class]:
        return (entry.of for entry in shard.entries)

    def records(self, shard: ImageFiles) -> Iterator[RawImage]:
        for entry in shard.entries:
            content, error = b"", entry.error
            if error is None:
                try:
                    with open_file(posixpath.join(shard.base, entry.name)) as opened:
                        content = opened.read()
                except (OSError, tf.errors.OpError) as reason:
                    error = f"the file cannot be read ({_reason(reason)})"
            source = printable(entry.name)
            yield RawImage(content, source, entry.of.label, error, entry.of.name)


def _reason(error: OSError | tf.errors.OpError) -> str:
    """Why a file cannot be read, without its path."""
    return (error.strerror if isinstance(error, OSError) else error.message) or str(error)


def chunks(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """At most `size` items at a time, in order."""
    return (items[start : start + size] for start in range(0, len(items), size))
