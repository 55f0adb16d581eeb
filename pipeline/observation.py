"""Data looked at without the run of a recipe."""

import dataclasses
import heapq
import json
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence

from components.data import notes
from components.data.examples import SPLIT_FOLDER, TRAIN_SPLIT
from components.data.notes import Noted
from components.data_validator import statistics
from components.data_validator.checks import Statistics
from components.example_gen import ledger, sources
from components.example_gen.config import DataConfig
from pipeline import config
from pipeline.runners import local

_STATISTICS_FILE = "FeatureStats.pb"
# Of the records that are set aside.
_NAMED = 20


@dataclasses.dataclass(frozen=True)
class Observed:
    """What ExampleGen and StatisticsGen have to say of data.

    Attributes:
      statistics: by split, train first.
      ledger: what became of every record.
      noted: what is remarkable about some, by kind.
      rejected: source and reason of the first of those that are set aside.
    """

    statistics: Mapping[str, Statistics]
    ledger: ledger.Ledger
    noted: Mapping[str, Noted]
    rejected: Sequence[tuple[str, str]]


def observe(
    data: DataConfig, tell: Callable[[str], None], beam: Sequence[str] = config.LOCAL_BEAM
) -> Observed:
    """Reads all of the data, in a folder that is gone at the end.

    Args:
      data: what they are.
      tell: receives one line as a stage starts and one as it ends.
      beam: arguments of the runner.

    Raises:
      FileNotFoundError, ValueError: for data that are missing, unreadable or refused.
    """
    found = sources.find(data.reader(), data.path, data.splits)
    with tempfile.TemporaryDirectory(prefix="tfx-gan-") as root:
        examples, counted = local.examine(data, found.patterns, root, tell, beam)
        splits = [name.removeprefix(SPLIT_FOLDER) for name in os.listdir(counted)]
        return Observed(
            {
                split: statistics.read(
                    os.path.join(counted, SPLIT_FOLDER + split, _STATISTICS_FILE)
                )
                for split in sorted(splits, key=lambda split: (split != TRAIN_SPLIT, split))
            },
            ledger.Ledger.of(examples),
            notes.read(examples),
            _rejected(examples),
        )


def _rejected(examples: str) -> list[tuple[str, str]]:
    with open(os.path.join(examples, ledger.REJECTED_FILE), encoding="utf-8") as file:
        lines = (ledger.Line(**json.loads(text)) for text in file)
        return [(line.source, line.reason) for line in heapq.nsmallest(_NAMED, lines)]
