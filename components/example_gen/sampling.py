"""Data too large to look at whole: a sample of the records, and what is known of all of them."""

import contextlib
import dataclasses
import itertools
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from components.data.columns import Cell, Column
from components.example_gen.formats.classes import Class
from components.example_gen.formats.reader import Reader
from components.example_gen.prepare import RawRow

# Any; the same sample every time.
_SEED = 17
# A split has at least this share of the sample, or is in it whole: statistics of a few are noise.
_LEAST = 0.1
# Rows whose different cells are looked at together.
_BATCH = 16_384


def sizes(records: Mapping[str, int], size: int) -> dict[str, int]:
    """How many records of each split are in a sample.

    Args:
      records: their number by split.
      size: of the sample; more where a split would have less than a tenth of it.
    """
    total = sum(records.values())
    least = round(_LEAST * size)
    return {
        split: min(count, max(least, round(size * count / total)))
        for split, count in records.items()
    }


def choose(
    reader: Reader, shards: Mapping[str, Sequence[Any]], size: int
) -> Iterator[tuple[str, Any, list[int]]]:
    """A sample spread evenly over all records: one of each of as many equally long stretches.

    Data in an order (by class, by time) are in it in their proportions, and a period in them does
    not repeat in it, since the place within a stretch is random.

    Args:
      reader: of the data.
      shards: by split.
      size: as of `sizes`.

    Yields:
      The split, the shard and the places in it, for `Reader.some`; a shard without any is left out.
    """
    counts = {split: [reader.count([shard]) for shard in own] for split, own in shards.items()}
    wanted = sizes({split: sum(own) for split, own in counts.items()}, size)
    random = np.random.default_rng(_SEED)
    for split, own in shards.items():
        ends = np.cumsum(counts[split])
        edges = np.arange(wanted[split] + 1) * int(ends[-1] if own else 0) // max(1, wanted[split])
        places = random.integers(edges[:-1], edges[1:])
        of = np.searchsorted(ends, places, side="right")
        for number, shard in enumerate(own):
            here = places[of == number] - (ends[number] - counts[split][number])
            if len(here):
                yield split, shard, here.tolist()


@dataclasses.dataclass
class Census:
    """What all records of a split hold, as far as it is known without decoding images.

    Attributes:
      classes: records by class.
      names: rows by name, of columns of names; the first so many names of a column that has more.
      ranges: the least and the largest value, as it is stored, of other columns.
      rows: those that can be divided into cells.
      repeated: rows whose cells are written as those of an earlier one.
    """

    classes: Counter[Class] = dataclasses.field(default_factory=Counter)
    names: dict[str, Counter[str]] = dataclasses.field(default_factory=dict)
    ranges: dict[str, tuple[float, float]] = dataclasses.field(default_factory=dict)
    rows: int = 0
    repeated: int = 0


def census(reader: Reader, shards: Mapping[str, Sequence[Any]], most: int) -> dict[str, Census]:
    """Looks at the labels of all images, or at all cells of a table.

    Args:
      reader: of the data.
      shards: by split.
      most: names of a column that are counted.
    """
    found = {}
    for split, own in shards.items():
        found[split] = Census()
        if reader.columns:
            _count_rows(found[split], reader, own, most)
        else:
            for shard in own:
                found[split].classes.update(reader.classes(shard))
        # Of records without a label.
        del found[split].classes[Class()]
    return found


def _count_rows(found: Census, reader: Reader, shards: Sequence[Any], most: int) -> None:
    hashes = array("q")
    every = (raw for shard in shards for raw in reader.records(shard))
    rows = (raw for raw in every if isinstance(raw, RawRow) and raw.error is None)
    while batch := list(itertools.islice(rows, _BATCH)):
        found.classes.update(Class(raw.label, raw.class_name) for raw in batch)
        cells = [[raw.values[column.name] for column in reader.columns] for raw in batch]
        # As they are written: nearly all equal rows are, and it takes a fraction of the time.
        hashes.extend(hash(repr(row)) for row in cells)
        for place, column in enumerate(reader.columns):
            _count_cells(found, column, Counter(row[place] for row in cells), most)
    found.rows = len(hashes)
    found.repeated = found.rows - len(np.unique(np.asarray(hashes)))


def _count_cells(found: Census, column: Column, counts: Mapping[Cell, int], most: int) -> None:
    values: Counter[Any] = Counter()
    for cell, count in counts.items():
        with contextlib.suppress(ValueError):
            value = column.value(cell)
            if value is not None:
                values[value] += count
    if column.kind.discrete:
        names = found.names.setdefault(column.name, Counter())
        for value, count in values.items():
            if value in names or len(names) < most:
                names[value] += count
    elif values:
        # As they are stored, which is in 32 bits for numbers.
        stored = [column.kind.feature.as_numpy_dtype(of(values)).item() for of in (min, max)]
        low, high = found.ranges.get(column.name, stored)
        found.ranges[column.name] = (min(low, stored[0]), max(high, stored[1]))
