"""The base class of readers, and what readers share."""

import abc
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import ClassVar, Generic, NamedTuple, TypeVar

from components.data.examples import EVAL_SPLIT, TRAIN_SPLIT, ImageRecord
from components.data.vectors import VectorRecord
from components.example_gen.paths import INSIDE, described, parts, pattern_of, visible_names, walk
from components.example_gen.prepare import BadRecordError, Preparation, RawImage, RawRow, prepare

# Names that data sets use for their splits.
SPLIT_OF = {
    "train": TRAIN_SPLIT,
    "training": TRAIN_SPLIT,
    "eval": EVAL_SPLIT,
    "test": EVAL_SPLIT,
    "testing": EVAL_SPLIT,
    "t10k": EVAL_SPLIT,
    "val": EVAL_SPLIT,
    "valid": EVAL_SPLIT,
    "validation": EVAL_SPLIT,
}
# The only split of data without splits; a hash of the content divides it.
UNSPLIT = "all"
# Usual names of the column of labels.
LABEL_COLUMNS = ("label", "labels", "class", "target")

# Records among which the first that decodes is searched.
_SEARCHED = 64

ShardT = TypeVar("ShardT")


class Reader(abc.ABC, Generic[ShardT]):
    """Reads one on-disk format, without TFX and without Beam.

    A split is given by glob patterns relative to the data's folder `base`, a path or URI; `|`
    separates several, and `#` precedes a member of a file. A shard is a small picklable piece of a
    split that one worker reads.

    Args:
      labels: CSV file with the columns `file` and `label`, relative to `base`.
      features: names of the features `image` and `label` in the records.
      columns: names of the numeric columns of a table.

    Raises:
      ValueError: for an argument that the format does not use.
    """

    # The arguments that the format uses.
    options: ClassVar[frozenset[str]] = frozenset()
    # Matches the names of the format's files; `kind` is what messages call one.
    pattern: ClassVar[re.Pattern[str]] = re.compile(r"(?!)")
    kind: ClassVar[str] = "file"

    def __init__(
        self,
        labels: str | None = None,
        features: Mapping[str, str] | None = None,
        columns: Sequence[str] | None = None,
    ) -> None:
        for name, value in (("labels", labels), ("features", features), ("columns", columns)):
            if value and name not in self.options:
                raise ValueError(
                    f"data.{name}: {type(self).__name__} does not use it, found {value!r}; "
                    "leave it out"
                )
        self.labels = labels
        self.features = dict(features or {})
        self.columns = tuple(columns or ())
        self.check_options()

    @classmethod
    def matches(cls, path: str) -> bool:
        """Whether a file has a name of the format."""
        return cls.pattern.fullmatch(posixpath.basename(path)) is not None

    def check_options(self) -> None:  # noqa: B027
        """Raises ValueError for arguments that contradict each other."""

    def splits(self, base: str, names: Sequence[str] | None = None) -> dict[str, str]:
        """Finds the splits of a folder, {"train": …, "eval": …} or {"all": …}, as glob patterns.

        By default, by the words train, test, … in the paths of the format's files.

        Args:
          base: the folder.
          names: the files and folders to read, relative to `base`; by default all of them.

        Raises:
          FileNotFoundError: for a folder that is missing or holds no data.
          ValueError: for an ambiguous layout.
        """
        by_name = split_by_name(self.named_files(base, names), base)
        return {split: pattern_of(base, chosen) for split, chosen in by_name.items()}

    def named_files(self, base: str, names: Sequence[str] | None = None) -> list[str]:
        """The format's files in a folder and below it, relative to it; arguments as of `splits`.

        Raises:
          FileNotFoundError: if there are none.
        """
        chosen = visible_names(base) if names is None else names
        found = [file for name in chosen for file in walk(base, name) if self.matches(file)]
        if not found:
            raise FileNotFoundError(f"{base}: no {self.kind}; found {described(chosen)}")
        return found

    @abc.abstractmethod
    def shards(self, base: str, splits: Mapping[str, str]) -> dict[str, list[ShardT]]:
        """The shards of all splits, found together so that a class has the same label in each.

        Raises what `files` raises, and ValueError naming a file of another format.
        """

    @abc.abstractmethod
    def records(self, shard: ShardT) -> Iterator[RawImage | RawRow]:
        """Every record of a shard, unprocessed.

        Raises:
          ValueError: naming a file too damaged to be divided into records. A single record that
            cannot be read has an `error` instead.
        """

    @abc.abstractmethod
    def count(self, shards: Sequence[ShardT]) -> int:
        """The number of records, without decoding them."""

    def read(self, shard: ShardT) -> Iterator[ImageRecord | VectorRecord]:
        """The images of a shard in their original sizes; `decode_ok` is False for bad ones.

        For a table, the rows; raises ValueError naming the first bad one.
        """
        for raw in self.records(shard):
            assert isinstance(raw, RawImage)  # The reader of tables overrides `read`.
            try:
                yield prepare(raw, Preparation()).record
            except BadRecordError:
                yield ImageRecord(
                    b"", 0, 0, 0, raw.source, raw.label, raw.class_name, decode_ok=False
                )

    def shape(self, shards: Sequence[ShardT]) -> tuple[int, int, int] | None:
        """(height, width, channels) of the first image that decodes; None if none does."""
        images = (image for shard in shards for image in self.read(shard))
        for _, image in zip(range(_SEARCHED), images, strict=False):
            assert isinstance(image, ImageRecord)  # Not called for tables.
            if image.decode_ok:
                return image.height, image.width, image.channels
        return None

    def files(self, base: str, splits: Mapping[str, str]) -> dict[str, list[str]]:
        """The visible files of every split, sorted.

        Raises:
          FileNotFoundError: for a pattern that matches no file.
          ValueError: for a file in two splits.
        """
        found = {split: [file for file, _ in parts(base, text)] for split, text in splits.items()}
        owners: dict[str, str] = {}
        for split, files in found.items():
            for file in files:
                if file in owners and INSIDE not in splits[split]:
                    raise ValueError(f"{file}: in split {owners[file]!r} and in split {split!r}")
                owners[file] = split
        return {split: sorted(set(files)) for split, files in found.items()}


def split_by_name(names: Iterable[str], where: str) -> dict[str, list[str]]:
    """Groups names by the words train, test, val, … in them; without such words, as `all`.

    Raises ValueError if the words do not give a train split and one eval split.
    """
    names = list(names)
    words = {name: [w for w in re.split(r"[^a-z0-9]+", name.lower()) if w in SPLIT_OF]
             for name in names}  # fmt: skip
    kinds = sorted({found[-1] for found in words.values() if found})
    if len({SPLIT_OF[kind] for kind in kinds}) < 2:
        return {UNSPLIT: names}
    if len(kinds) > 2 or not all(words.values()):
        listed = ", ".join(repr(name) for name in sorted(names)[:6])
        raise ValueError(
            f"{where}: cannot tell train from eval among {listed}; "
            "name the files of each in data.splits"
        )
    splits: dict[str, list[str]] = {TRAIN_SPLIT: [], EVAL_SPLIT: []}
    for name in names:
        splits[SPLIT_OF[words[name][-1]]].append(name)
    return splits


class Class(NamedTuple):
    """A class: its label, and its name if it has one; both None for no class."""

    label: int | None = None
    name: str | None = None


def as_class(value: int | str | None, column: str, classes: Mapping[str, Class] | None) -> Class:
    """The class in a cell of a column.

    Args:
      value: a whole number, a name, or None for an empty cell.
      column: its name, for messages.
      classes: by name, if classes have names.

    Raises:
      BadRecordError: for an empty cell, a negative number, and an unknown name.
    """
    if value is None:
        raise BadRecordError(f"the column {column!r} holds no label")
    if isinstance(value, str):
        assert classes is not None  # A column of text has names.
        if value not in classes:
            raise BadRecordError(
                f"the column {column!r} holds {value!r}, expected a whole number or a name"
            )
        return classes[value]
    if value < 0:
        raise BadRecordError(f"the column {column!r} holds {value}, labels count from 0")
    return Class(value)


def as_classes(values: Iterable[str]) -> dict[str, Class]:
    """Classes by name: labels are the names if all are numbers, else their sorted positions."""
    values = set(values)
    if all(value.isascii() and value.isdigit() for value in values):
        return {value: Class(int(value)) for value in values}
    return {value: Class(index, value) for index, value in enumerate(sorted(values))}
