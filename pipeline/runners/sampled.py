"""Looks at a sample of large data, and completes it by what is cheap to know of all of them."""

import dataclasses
from collections import Counter
from collections.abc import Callable, Mapping

from components.data import vectors
from components.data.examples import TRAIN_SPLIT
from components.data_validator import statistics
from components.data_validator.checks import MOST_COUNTED, Statistics
from components.data_validator.statistics import CLASS_NAMES, LABELS
from components.example_gen import ledger, sampling
from components.example_gen.config import DataConfig
from components.example_gen.dataset import Dataset
from components.example_gen.sampling import Census
from pipeline.runners import local
from pipeline.runners.local import Inspection

# ExampleGen and StatisticsGen take about 20 seconds for as many on two cores (docs/performance.md).
# With fewer than twice as many, a sample would save less than it leaves open.
_IMAGES, _ROWS = 10_000, 50_000


@dataclasses.dataclass(frozen=True)
class Sample:
    """A sample of large data.

    Attributes:
      size: how many records are looked at.
      records: how many there are, by split of the data.
      census: what all of them hold, by split of the data.
    """

    size: int
    records: Mapping[str, int]
    census: Mapping[str, Census]

    @classmethod
    def of(cls, found: Dataset) -> "Sample | None":
        """A sample of the data; None if there are so few that all are looked at."""
        records = found.preview.records
        size = _ROWS if found.columns else _IMAGES
        if sum(records.values()) <= 2 * size:
            return None
        return cls(size, records, sampling.census(found.reader, found.shards, MOST_COUNTED))

    @property
    def words(self) -> str:
        """How much is looked at."""
        looked = sum(sampling.sizes(self.records, self.size).values())
        return f"{looked:,} of {sum(self.records.values()):,} records"

    @property
    def repeated(self) -> float:
        """The share of the rows that equal an earlier one of their split."""
        rows = sum(each.rows for each in self.census.values())
        return sum(each.repeated for each in self.census.values()) / max(1, rows)

    def inspect(self, data: DataConfig, log: Callable[[str], None]) -> Inspection:
        """As `local.inspect`, of the sample; its statistics are completed, and `whole` is set."""
        seen = local.inspect(data, log, sample=self.size)
        there = {split: each.datasets[0].num_examples for split, each in seen.statistics.items()}
        divided = len(self.records) == 1
        completed, whole = dict(seen.statistics), {}
        for split, each in self.census.items():
            # Which of the values are in eval, only their division tells: there, those seen count.
            into = TRAIN_SPLIT if divided else split
            share = there[into] / sum(there.values()) if divided else 1
            completed[into] = _completed(seen.statistics[into], each, share)
        for split, count in there.items():
            (of,) = self.records if divided else (split,)
            whole[split] = round(count * self.records[of] / seen.ledger.count(ledger.INPUTS, of))
        return dataclasses.replace(seen, statistics=completed, whole=whole)


def _completed(sampled: Statistics, census: Census, share: float) -> Statistics:
    labels: Counter[str] = Counter()
    names: Counter[str] = Counter()
    for of, count in census.classes.items():
        labels[str(of.label)] += count
        if of.name is not None:
            names[of.name] += count
    counted = {
        **dict.fromkeys(LABELS, labels),
        **dict.fromkeys(CLASS_NAMES, names),
        **{vectors.COLUMN + name: each for name, each in census.names.items()},
    }
    return statistics.complete(
        sampled,
        {
            name: {value: max(1, round(count * share)) for value, count in each.items()}
            for name, each in counted.items()
        },
        {vectors.COLUMN + name: each for name, each in census.ranges.items()},
    )
