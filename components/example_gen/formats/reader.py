"""The base class of readers, and what readers share."""

import abc
import dataclasses
import itertools
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Generic, TypeVar

from components.data.columns import Column
from components.data.examples import EVAL_SPLIT, TRAIN_SPLIT, ImageRecord
from components.data.vectors import VectorRecord
from components.example_gen.files.names import BROKEN, companions, is_text, printable
from components.example_gen.formats.classes import Class
from components.example_gen.paths import (
    INSIDE,
    described,
    is_broken,
    parts,
    pattern_of,
    visible_names,
    walk,
)
from components.example_gen.prepare import BadRecordError, Preparation, RawImage, RawRow, prepare

# Names that data sets use for their splits. Of data with three, `test` is eval.
TEST, VALIDATION = "test", "validation"
ROLES = {
    "train": TRAIN_SPLIT,
    "training": TRAIN_SPLIT,
    "eval": VALIDATION,
    "val": VALIDATION,
    "valid": VALIDATION,
    "validation": VALIDATION,
    "test": TEST,
    "testing": TEST,
    "t10k": TEST,
}
# The only split of data without splits; a hash of the content divides it.
UNSPLIT = "all"
# Why a file is left out.
UNUSED = "in no split"
# Usual names of the column of labels.
LABEL_COLUMNS = ("label", "labels", "class", "target")

# Records among which the first that decodes is searched.
_SEARCHED = 64

ShardT = TypeVar("ShardT")


@dataclasses.dataclass(frozen=True)
class LeftOut:
    """Files or members that are not read: why, how many, and the first by name."""

    reason: str
    count: int
    first: str

    def __str__(self) -> str:
        more = f" and {self.count - 1:,} more" if self.count > 1 else ""
        return f"{self.first}{more}: {self.reason}"


def grouped(skipped: Iterable[tuple[str, str]]) -> list[LeftOut]:
    """By reason, from pairs of the reason and the path."""
    by_reason: dict[str, list[str]] = {}
    for reason, path in skipped:
        by_reason.setdefault(reason, []).append(printable(path))
    return [LeftOut(reason, len(paths), min(paths)) for reason, paths in sorted(by_reason.items())]


class Reader(abc.ABC, Generic[ShardT]):
    """Reads one on-disk format, without TFX and without Beam.

    A split is given by glob patterns relative to the data's folder `base`, a path or URI; `|`
    separates several, and `#` precedes a member of a file. A shard is a small picklable piece of a
    split that one worker reads.

    Args:
      labels: CSV file with the columns `file` and `label`, relative to `base`.
      features: names of the features `image` and `label` in the records.
      columns: of a table, those of a row.
      arrays: what a NumPy array holds: `image`, one image, or `stack`, images along its first axis.
      encoding: the encoding of the text of a CSV file.
      header: whether the first row of a CSV file names the columns.

    Attributes:
      remarks: what was left out of the data, or may not be as intended, a line each.

    Raises:
      ValueError: for an argument that the format does not use.
    """

    # The arguments that the format uses.
    options: ClassVar[frozenset[str]] = frozenset()
    # Matches the names of the format's files; `kind` is what messages call one.
    pattern: ClassVar[re.Pattern[str]] = re.compile(r"(?!)")
    kind: ClassVar[str] = "file"
    # Whether names that are not UTF-8 stop it.
    needs_text_names: ClassVar[bool] = True

    def __init__(
        self,
        labels: str | None = None,
        features: Mapping[str, str] | None = None,
        columns: Sequence[Column] | None = None,
        arrays: str | None = None,
        encoding: str | None = None,
        header: bool | None = None,
    ) -> None:
        given: dict[str, Any] = {
            "labels": labels,
            "features": features,
            "columns": columns,
            "arrays": arrays,
            "encoding": encoding,
            "header": header,
        }
        for name, value in given.items():
            if value not in (None, "", (), [], {}) and name not in self.options:
                raise ValueError(
                    f"data.{name}: {type(self).__name__} does not use it, found {value!r}; "
                    "leave it out"
                )
        self.given = given
        self.labels = labels
        self.features = dict(features or {})
        self.columns = tuple(columns or ())
        self.arrays = arrays
        self.encoding = encoding
        self.header = header
        self.remarks: list[str] = []
        self.check_options()

    @classmethod
    def matches(cls, path: str) -> bool:
        """Whether a file has a name of the format."""
        # In a pattern, `.` is not a line break, which a name may hold.
        name = posixpath.basename(path).replace("\n", " ")
        return cls.pattern.fullmatch(name) is not None

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

    def remark(self, text: str) -> None:
        """Adds a line to `remarks`, once."""
        if text not in self.remarks:
            self.remarks.append(text)

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

    def some(self, shard: ShardT, places: Sequence[int]) -> Iterator[RawImage | RawRow]:
        """The records at some places of a shard, which count from 0 in the order of `records`.

        Others are read no further than the format demands; raises as `records`.
        """
        chosen = set(places)
        until = itertools.islice(self.records(shard), max(chosen) + 1)
        return (raw for place, raw in enumerate(until) if place in chosen)

    def classes(self, shard: ShardT) -> Iterator[Class]:
        """The class of every record of a shard, of a bad one possibly none; decodes no image.

        Raises as `records`.
        """
        return (Class(raw.label, raw.class_name) for raw in self.records(shard))

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

    def left_out(
        self, base: str, splits: Mapping[str, str], names: Sequence[str] | None = None
    ) -> list[LeftOut]:
        """What is there, but in no split, by reason: the other files, and ignored names.

        Args:
          base: the folder.
          splits: the patterns of the splits.
          names: the files and folders that were given, relative to `base`; by default all of them.

        Raises what `shards` raises.
        """
        used = {file for listed in self.files(base, splits).values() for file in listed}
        skipped: list[tuple[str, str]] = []
        files = [file for name in names or [""] for file in walk(base, name, skipped)]
        others = [file for file in files if posixpath.join(base, file) not in used]
        why = companions(others)
        for file in others:
            broken = is_broken(posixpath.join(base, file))
            skipped.append((BROKEN if broken else why.get(file, UNUSED), file))
        return grouped(skipped)

    def files(self, base: str, splits: Mapping[str, str]) -> dict[str, list[str]]:
        """The visible files of every split, sorted.

        Raises:
          FileNotFoundError: for a pattern that matches no file.
          ValueError: for a file in two splits, and a name that is not UTF-8.
        """
        found = {split: [file for file, _ in parts(base, text)] for split, text in splits.items()}
        if self.needs_text_names:
            for file in itertools.chain.from_iterable(found.values()):
                if not is_text(file):
                    raise ValueError(f"{printable(file)}: the name is not UTF-8; rename the file")
        for (one, files), (split, others) in itertools.combinations(found.items(), 2):
            both = set(files).intersection(others) if INSIDE not in splits[split] else ()
            if both:
                raise ValueError(f"{min(both)}: in split {one!r} and in split {split!r}")
        return {split: sorted(set(files)) for split, files in found.items()}


def split_by_name(names: Iterable[str], where: str) -> dict[str, list[str]]:
    """Groups names by the words train, test, val, … in them; without such words, as `all`.

    Of train, val and test, val is left out.

    Raises ValueError if the words do not give a train split and one eval split.
    """
    names = list(names)
    words = {name: words_of(name) for name in names}
    kinds = sorted({found[-1] for found in words.values() if found})
    chosen = roles_of(kinds)
    if chosen is None:
        return {UNSPLIT: names}
    if len(kinds) > len({ROLES[kind] for kind in kinds}) or not all(words.values()):
        listed = ", ".join(repr(printable(name)) for name in sorted(names)[:6])
        raise ValueError(
            f"{where}: cannot tell train from eval among {listed}; "
            "name the files of each in data.splits (--splits)"
        )
    return {
        split: [name for name in names if words[name][-1] in kinds]
        for split, kinds in chosen.items()
    }


def words_of(name: str) -> list[str]:
    """The words in a name that name a split, also with a number, as in `train2017`."""
    words = (word if word in ROLES else word.rstrip("0123456789")
             for word in re.split(r"[^a-z0-9]+", name.lower()))  # fmt: skip
    return [word for word in words if word in ROLES]


def roles_of(words: Iterable[str]) -> dict[str, list[str]] | None:
    """The words of the train split and of the eval split; None if that is not what they are."""
    by_role: dict[str, list[str]] = {}
    for word in words:
        by_role.setdefault(ROLES[word.lower()], []).append(word)
    held_out = by_role.get(TEST) or by_role.get(VALIDATION)
    if TRAIN_SPLIT in by_role and held_out:
        return {TRAIN_SPLIT: by_role[TRAIN_SPLIT], EVAL_SPLIT: held_out}
    return None
