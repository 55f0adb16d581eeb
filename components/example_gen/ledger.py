"""What became of every record: counts, and whether the data are accepted."""

import dataclasses
import heapq
import json
import posixpath
from collections.abc import Iterable, Iterator, Mapping, Sequence

import tensorflow as tf

from components.data.examples import EVAL_SPLIT, TRAIN_SPLIT
from components.data.notes import ANIMATED, DUPLICATE, LEAK, MISNAMED
from components.data.notes import FILE as NOTES_FILE
from components.example_gen.config import DataConfig

REJECTED_FILE = "rejected.jsonl"
COUNTS_FILE = "counts.json"

# Kinds of lines in REJECTED_FILE; these records are not among the examples.
BAD, DROPPED_DUPLICATE, DROPPED_LEAK = "bad", "duplicate", "leak"
INPUTS, EXAMPLES = "inputs", "examples"
# 16-bit images, by the number of bits that their largest value needs.
BITS = "bits"

# Images in 16 bits whose values need no more than this are darker than a quarter of the range.
_DARK_BITS = 14
# Numbers of bits that cameras and scanners have.
_USUAL_BITS = (8, 10, 12, 14)
_ALL_BITS = 16

_NAMED = 3


@dataclasses.dataclass(frozen=True, order=True)
class Line:
    """One line about one record."""

    split: str
    source: str
    kind: str
    reason: str

    def to_json(self) -> str:
        """One line of REJECTED_FILE or NOTES_FILE."""
        return json.dumps(dataclasses.asdict(self), ensure_ascii=False)


@dataclasses.dataclass(frozen=True)
class Decision:
    """Which records of equal content are dropped, and which are kept with a note."""

    dropped: tuple[Line, ...] = ()
    noted: tuple[Line, ...] = ()


def decide(records: Iterable[tuple[str, str]], *, drop_duplicates: bool, on_leak: str) -> Decision:
    """Decides which of the records (split, source) of equal content to drop.

    Every record but the first of its split, by source, is a duplicate. Every record of train is a
    leak if eval has the content too.
    """
    sources: dict[str, list[str]] = {}
    for split, source in sorted(records):
        sources.setdefault(split, []).append(source)
    dropped: list[Line] = []
    noted: list[Line] = []
    leaks = TRAIN_SPLIT in sources and EVAL_SPLIT in sources
    for split, (first, *others) in sources.items():
        leaked = leaks and split == TRAIN_SPLIT
        if leaked:
            reason = f"the same as {sources[EVAL_SPLIT][0]} in {EVAL_SPLIT}"
            to = dropped if on_leak == "drop" else noted
            to += [Line(split, source, LEAK, reason) for source in (first, *others)]
        if not (leaked and on_leak == "drop"):
            reason = f"the same as {first}"
            to = dropped if drop_duplicates else noted
            to += [Line(split, source, DUPLICATE, reason) for source in others]
    return Decision(tuple(dropped), tuple(noted))


@dataclasses.dataclass(frozen=True)
class Ledger:
    """What became of the records of a run of ExampleGen.

    Attributes:
      counts: of events, by path: `examples/train`, `rejected/train`, `noted/leak`, …
      rejected: the first lines about rejected records.
      leaked: the first lines about records in both splits.
    """

    counts: Mapping[str, int]
    rejected: Sequence[Line] = ()
    leaked: Sequence[Line] = ()

    @classmethod
    def of(cls, folder: str) -> "Ledger":
        """Reads the ledger from the folder of an artifact."""
        with tf.io.gfile.GFile(posixpath.join(folder, COUNTS_FILE)) as file:
            counts = json.loads(file.read())
        return cls(
            counts,
            _first(posixpath.join(folder, REJECTED_FILE), _NAMED, BAD),
            _first(posixpath.join(folder, NOTES_FILE), _NAMED, LEAK),
        )

    def count(self, *path: str) -> int:
        """The number of events below a path, e.g. ("examples", "train")."""
        return sum(
            number
            for name, number in self.counts.items()
            if tuple(name.split("/"))[: len(path)] == path
        )

    @property
    def properties(self) -> dict[str, int]:
        """The custom properties of the artifact."""
        dropped = self.count("dropped")
        return {
            "examples": self.count(EXAMPLES),
            "rejected": self.count("rejected"),
            "duplicates": self.count("noted", DUPLICATE) + self.count("dropped", DROPPED_DUPLICATE),
            "leaked": self.count("noted", LEAK) + self.count("dropped", DROPPED_LEAK),
            "dropped": dropped,
            "animated": self.count("noted", ANIMATED),
            "misnamed": self.count("noted", MISNAMED),
        }

    def check(self, config: DataConfig, splits: Iterable[str]) -> None:
        """Raises ValueError, in one line that names records, if the data are refused.

        So are data whose counts do not add up, and an empty split.
        """
        inputs, found = self.count(INPUTS), self.properties
        accounted = found["examples"] + found["rejected"] + found["dropped"]
        if inputs != accounted:
            raise ValueError(
                f"{inputs} records were read, but {accounted} are accounted for: "
                f"{found['examples']} examples, {found['rejected']} rejected, "
                f"{found['dropped']} dropped; the Beam runner lost some, use another"
            )
        for refusal in self.refusals(config):
            raise ValueError(refusal)
        for split in splits:
            if not self.count(EXAMPLES, split):
                rejected, same = found["rejected"], found["duplicates"]
                bad = f", {rejected} of them bad: {_listed(self.rejected, rejected)}"
                equal = f", {same} of them repeat another, and equal ones stay in one split"
                raise ValueError(
                    f"split {split!r} has no examples out of {inputs} records"
                    f"{bad if rejected else ''}{equal if same else ''}; give it more data, or "
                    "change data.eval_fraction or data.splits"
                )

    def refusals(self, config: DataConfig) -> Iterator[str]:
        """The reasons why the recipe's section `data` refuses the records; each names some."""
        inputs, found = self.count(INPUTS), self.properties
        rejected, listed = found["rejected"], _listed(self.rejected, found["rejected"])
        if rejected and config.on_bad_record == "fail":
            yield (
                f"{rejected} of {inputs} records are bad: {listed}; data.on_bad_record: quarantine "
                "sets them aside"
            )
        elif rejected > config.max_rejected_fraction * inputs:
            yield (
                f"{rejected} of {inputs} records are bad, more than data.max_rejected_fraction, "
                f"{config.max_rejected_fraction:g}: {listed}"
            )
        paths = (name.split("/") for name in self.counts)
        bits = max((int(path[1]) for path in paths if path[0] == BITS), default=0)
        if bits and bits <= _DARK_BITS and config.bits is None:
            usual = next(each for each in _USUAL_BITS if each >= bits)
            yield (
                f"all {self.count(BITS)} images of 16 bits use at most {bits}: as they are, they "
                f"are nearly black; data.bits: {usual} scales 0 to {2**usual - 1:,} to the whole "
                f"range, data.bits: {_ALL_BITS} keeps them dark"
            )
        if found["leaked"] and config.on_leak == "fail":
            yield (
                f"{found['leaked']} records of {TRAIN_SPLIT} are in {EVAL_SPLIT} too: "
                f"{_listed(self.leaked, found['leaked'])}; data.on_leak: drop takes them out of "
                f"{TRAIN_SPLIT}, keep keeps them"
            )


def _listed(lines: Sequence[Line], count: int) -> str:
    words = "; ".join(f"{line.source}: {line.reason}" for line in lines)
    return words + (f"; and {count - len(lines)} more" if count > len(lines) else "")


def first_rejected(folder: str, count: int) -> list[tuple[str, str]]:
    """Source and reason of the first rejected records of an artifact, by split and source."""
    lines = _first(posixpath.join(folder, REJECTED_FILE), count)
    return [(line.source, line.reason) for line in lines]


def _first(path: str, count: int, kind: str | None = None) -> list[Line]:
    with tf.io.gfile.GFile(path) as file:
        lines = (Line(**json.loads(text)) for text in file)
        return heapq.nsmallest(count, (line for line in lines if kind in (None, line.kind)))
