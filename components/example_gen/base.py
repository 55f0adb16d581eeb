"""What a reader of a data format is."""

import abc
import posixpath
from collections.abc import Iterator, Mapping, Sequence
from typing import Generic, TypeVar

import tensorflow as tf

from components.examples import EVAL_SPLIT, TRAIN_SPLIT, ImageRecord

# The names under which data sets ship their splits.
SPLIT_OF = {
    "train": TRAIN_SPLIT,
    "eval": EVAL_SPLIT,
    "test": EVAL_SPLIT,
    "t10k": EVAL_SPLIT,
    "val": EVAL_SPLIT,
}
# The name of the one split of data that bring none; a hash of the image divides it.
UNSPLIT = "all"

ShardT = TypeVar("ShardT")


class Reader(abc.ABC, Generic[ShardT]):
    """Reads one on-disk format, without TFX and without Beam.

    A split is named by a glob pattern relative to the data's folder `base`, a path or a URI. A
    shard is a small picklable piece of a split that one worker reads.
    """

    @abc.abstractmethod
    def splits(self, base: str) -> dict[str, str]:
        """Finds the splits of a folder: {"train": …, "eval": …} or {"all": …}, to glob patterns.

        Raises:
          FileNotFoundError: for a folder that is missing or holds no data.
          ValueError: for a layout that can be understood in two ways.
        """

    @abc.abstractmethod
    def count(self, files: Sequence[str]) -> int:
        """The number of images in `files`, without reading them all."""

    @abc.abstractmethod
    def shape(self, files: Sequence[str]) -> tuple[int, int, int] | None:
        """(height, width, channels) of the first image that decodes; None where none does."""

    @abc.abstractmethod
    def shards(self, base: str, splits: Mapping[str, str]) -> dict[str, list[ShardT]]:
        """The shards of every split; all at once, so that a class has one label in all of them.

        Raises what `files` raises, and ValueError naming a file of another format.
        """

    @abc.abstractmethod
    def read(self, shard: ShardT) -> Iterator[ImageRecord]:
        """The images of a shard; raises ValueError naming a file that is damaged."""

    def files(self, base: str, splits: Mapping[str, str]) -> dict[str, list[str]]:
        """The files of every split, sorted, without hidden ones.

        Raises:
          FileNotFoundError: for a pattern that matches no file.
          ValueError: for a file in two splits.
        """
        found = {split: _glob(base, pattern) for split, pattern in splits.items()}
        owners: dict[str, str] = {}
        for split, files in found.items():
            if not files:
                raise FileNotFoundError(
                    f"{posixpath.join(base, splits[split])}: no file for split {split!r}; "
                    "check data.path and data.splits"
                )
            for file in files:
                if file in owners:
                    raise ValueError(f"{file}: in split {owners[file]!r} and in split {split!r}")
                owners[file] = split
        return found


def visible_names(base: str) -> list[str]:
    """The names in a folder, sorted, without hidden ones; FileNotFoundError if there are none."""
    if not tf.io.gfile.isdir(base):
        raise FileNotFoundError(f"{base}: no such folder; data.path must name the folder of images")
    # Object stores list their folders with a slash at the end.
    names = (name.rstrip("/") for name in tf.io.gfile.listdir(base))
    names = sorted(name for name in names if not name.startswith("."))
    if not names:
        raise FileNotFoundError(f"{base}: the folder is empty; data.path must hold images")
    return names


def _glob(base: str, pattern: str) -> list[str]:
    files = sorted(tf.io.gfile.glob(posixpath.join(base, pattern)))
    return [
        file
        for file in files
        if not any(part.startswith(".") for part in posixpath.relpath(file, base).split("/"))
    ]
