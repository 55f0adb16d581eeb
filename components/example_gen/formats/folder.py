"""Folders of image files."""

import dataclasses
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

import tensorflow as tf

from components.example_gen.formats import layout
from components.example_gen.formats.reader import UNSPLIT, Reader
from components.example_gen.paths import (
    IMAGE_EXTENSIONS,
    described,
    is_image,
    open_file,
    pattern_of,
    visible_names,
    walk,
)
from components.example_gen.prepare import RawImage

# A compromise between Beam's cost per shard and parallelism.
_SHARD_FILES = 256


@dataclasses.dataclass(frozen=True)
class ImageFile:
    """An image file; the entry's name is relative to the data's folder."""

    path: str
    entry: layout.Entry


class FolderReader(Reader[list[ImageFile]]):
    """PNG, JPEG, WebP, GIF and BMP files, as `<class>/<file>` or flat.

    They may be divided into `train` and one of `eval`, `test`, `val`. If the last folder of a
    split's pattern holds a wildcard, that folder is the class. If the names of all classes are
    numbers, these are the labels; otherwise labels number the classes of all splits by name.
    `labels`, a CSV file, gives the class of each file instead.
    """

    options: ClassVar[frozenset[str]] = frozenset({"labels"})
    pattern: ClassVar[re.Pattern[str]] = re.compile(
        f".*({'|'.join(map(re.escape, IMAGE_EXTENSIONS))})", re.IGNORECASE
    )
    kind: ClassVar[str] = "image file"

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

    def count(self, shards: Sequence[list[ImageFile]]) -> int:
        return sum(len(shard) for shard in shards)

    def shards(self, base: str, splits: Mapping[str, str]) -> dict[str, list[list[ImageFile]]]:
        found = self.files(base, splits)
        names = {
            split: [posixpath.relpath(file, base) for file in files]
            for split, files in found.items()
        }
        table = None
        if self.labels:
            with open_file(posixpath.join(base, self.labels)) as file:
                table = layout.LabelTable.parse(file.read(), self.labels)
            names = {
                split: [name for name in files if name != posixpath.normpath(self.labels)]
                for split, files in names.items()
            }
        entries = layout.labelled(names, splits, table)
        return {
            split: [
                [ImageFile(posixpath.join(base, entry.name), entry) for entry in chunk]
                for chunk in chunks(listed, _SHARD_FILES)
            ]
            for split, listed in entries.items()
        }

    def records(self, shard: list[ImageFile]) -> Iterator[RawImage]:
        for file in shard:
            entry = file.entry
            content, error = b"", entry.error
            if error is None:
                try:
                    with open_file(file.path) as opened:
                        content = opened.read()
                except (OSError, tf.errors.OpError) as reason:
                    error = f"the file cannot be read ({reason})"
            yield RawImage(content, entry.name, entry.of.label, error, entry.of.name)


def chunks(items: Sequence, size: int) -> list[list]:
    """Lists of at most `size` items, in order."""
    return [list(items[start : start + size]) for start in range(0, len(items), size)]
