"""Folders of PNG and JPEG files."""

import posixpath
from collections.abc import Iterator, Mapping, Sequence

import tensorflow as tf

from components import examples
from components.example_gen.base import SPLIT_OF, UNSPLIT, Reader, visible_names

_EXTENSIONS = (".png", ".jpg", ".jpeg")
# Large enough to keep Beam's cost per shard small, small enough to spread over many workers.
_SHARD_FILES = 256
_CLASSES = "*/*"
_FLAT = "*"

# Path, source (the path relative to the data's folder) and label of an image.
Entry = tuple[str, str, int | None]


class FolderReader(Reader[list[Entry]]):
    """Images as `<class>/<file>` or flat, below `train` and one of `eval`, `test`, `val` or not.

    Where the last folder of a split's pattern holds a wildcard, that folder is the class. A class
    whose name is a number, in a data set where all are, has that label; otherwise labels count the
    classes of all splits in the order of their names.
    """

    def splits(self, base: str) -> dict[str, str]:
        """By the names of folders; a folder with one split, or none, is one of classes."""
        folders = [name for name in visible_names(base) if _is_folder(base, name)]
        named = [name for name in folders if name in SPLIT_OF]
        splits = {SPLIT_OF[name]: posixpath.join(name, _layout(base, name)) for name in named}
        if len(splits) < 2:
            return {UNSPLIT: _layout(base)}
        if len(folders) > 2:
            raise ValueError(
                f"{base}: cannot tell train from eval among the folders {', '.join(folders)}; "
                "name the files of each in data.splits"
            )
        return splits

    def files(self, base: str, splits: Mapping[str, str]) -> dict[str, list[str]]:
        """The files of every split; also raises ValueError naming one that is not an image."""
        found = super().files(base, splits)
        for file in (file for files in found.values() for file in files):
            if not _is_image(file):
                raise ValueError(
                    f"{file}: not an image ({', '.join(_EXTENSIONS)}); move it elsewhere or leave "
                    "it out with data.splits"
                )
        return found

    def count(self, files: Sequence[str]) -> int:
        """One image a file."""
        return len(files)

    def shape(self, files: Sequence[str]) -> tuple[int, int, int] | None:
        """Decodes files up to the first that does."""
        records = (examples.from_encoded(_read(file), file) for file in files)
        return next(((r.height, r.width, r.channels) for r in records if r.decode_ok), None)

    def shards(self, base: str, splits: Mapping[str, str]) -> dict[str, list[list[Entry]]]:
        """Chunks of files with their labels."""
        found = self.files(base, splits)
        labelled = [split for split, pattern in splits.items() if _has_classes(pattern)]
        labels = _labels({_class_of(file) for split in labelled for file in found[split]})
        shards = {}
        for split, files in found.items():
            entries: list[Entry] = [
                (
                    file,
                    posixpath.relpath(file, base),
                    labels[_class_of(file)] if split in labelled else None,
                )
                for file in files
            ]
            shards[split] = [
                entries[start : start + _SHARD_FILES]
                for start in range(0, len(entries), _SHARD_FILES)
            ]
        return shards

    def read(self, shard: list[Entry]) -> Iterator[examples.ImageRecord]:
        """The bytes of every file as they are; `decode_ok` says whether they decode."""
        for path, source, label in shard:
            yield examples.from_encoded(_read(path), source, label)


def _layout(*parts: str) -> str:
    """The pattern of a folder's images: in folders of classes, or flat."""
    base = posixpath.join(*parts)
    names = visible_names(base)
    if not any(_is_folder(base, name) for name in names):
        return _FLAT
    # Files of other kinds, such as a licence, may lie beside the folders.
    for name in filter(_is_image, names):
        raise ValueError(
            f"{posixpath.join(base, name)}: an image beside folders; put all images in folders of "
            "classes, or none"
        )
    return _CLASSES


def _is_folder(base: str, name: str) -> bool:
    return tf.io.gfile.isdir(posixpath.join(base, name))


def _is_image(file: str) -> bool:
    return file.lower().endswith(_EXTENSIONS)


def _has_classes(pattern: str) -> bool:
    return any(wildcard in posixpath.basename(posixpath.dirname(pattern)) for wildcard in "*?[")


def _class_of(file: str) -> str:
    return posixpath.basename(posixpath.dirname(file))


def _labels(classes: set[str]) -> dict[str, int]:
    if all(name.isascii() and name.isdigit() for name in classes):
        return {name: int(name) for name in classes}
    return {name: index for index, name in enumerate(sorted(classes))}


def _read(path: str) -> bytes:
    with tf.io.gfile.GFile(path, "rb") as file:
        return file.read()
