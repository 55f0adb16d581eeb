"""What became of every record: the counts, and the verdict that follows from them."""

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

# Kinds of a line of REJECTED_FILE: not in the examples.
BAD, DROPPED_DUPLICATE, DROPPED_LEAK = "bad", "duplicate", "leak"
INPUTS, EXAMPLES = "inputs", "examples"

_NAMED = 3


@dataclasses.dataclass(frozen=True, order=True)
class Line:
    """What is to be said about one record."""

    split: str
    source: str
    kind: str
    reason: str

    def to_json(self) -> str:
        """One line of REJECTED_FILE or NOTES_FILE."""
        return json.dumps(dataclasses.asdict(self), ensure_ascii=False)


@dataclasses.dataclass(frozen=True)
class Judgement:
    """Of the records of one content: those to take out, those to remark on."""

    dropped: tuple[Line, ...] = ()
    noted: tuple[Line, ...] = ()


def judge(records: Iterable[tuple[str, str]], *, drop_duplicates: bool, on_leak: str) -> Judgement:
    """Looks at all records, (split, source), whose content is the same.

    A duplicate is every record but the first, by source, of its split. A leak is every record of
    train where eval has the content too.
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
    return Judgement(tuple(dropped), tuple(noted))


@dataclasses.dataclass(frozen=True)
class Ledger:
    """What became of the records of a run of ExampleGen.

    Attributes:
      counts: of events, see `Ledger.of`.
      rejected: a few lines of those that are set aside.
      leaked: a few lines of records in both splits.
    """

    counts: Mapping[str, int]
    rejected: Sequence[Line] = ()
    leaked: Sequence[Line] = ()

    @classmethod
    def of(cls, folder: str) -> "Ledger":
        """What the stage left in the folder of its artifact."""
        with tf.io.gfile.GFile(posixpath.join(folder, COUNTS_FILE)) as file:
            counts = json.loads(file.read())
        return cls(
            counts,
            _first(posixpath.join(folder, REJECTED_FILE), _NAMED, BAD),
            _first(posixpath.join(folder, NOTES_FILE), _NAMED, LEAK),
        )

    def count(self, *path: str) -> int:
        """The events whose path begins so, e.g. ("examples", "train")."""
        return sum(
            number
            for name, number in self.counts.items()
            if tuple(name.split("/"))[: len(path)] == path
        )

    @property
    def properties(self) -> dict[str, int]:
        """What the artifact is given as custom properties."""
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
        """Raises ValueError where the data are refused, in one line that names records.

        Also where the counts do not add up, or a split is empty.
        """
        inputs, found = self.count(INPUTS), self.properties
        accounted = found["examples"] + found["rejected"] + found["dropped"]
        if inputs != accounted:
            raise ValueError(
                f"{inputs} records were read, but {accounted} are accounted for: "
                f"{found['examples']} examples, {found['rejected']} rejected, "
                f"{found['dropped']} dropped; the Beam runner has lost some, use another"
            )
        for refusal in self.refusals(config):
            raise ValueError(refusal)
        for split in splits:
            if not self.count(EXAMPLES, split):
                rejected = found["rejected"]
                bad = f", {rejected} of them bad: {_listed(self.rejected, rejected)}"
                raise ValueError(
                    f"split {split!r} has no example, of {inputs} records"
                    f"{bad if rejected else ''}; give it more data, or change "
                    "data.eval_fraction or data.splits"
                )

    def refusals(self, config: DataConfig) -> Iterator[str]:
        """Why the recipe's section `data` refuses the records, in words that name some."""
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
