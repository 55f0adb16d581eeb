"""A sample is spread over all of the data, and a census is of all of them."""

import csv
import datetime
import itertools
from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.data.columns import Column
from components.example_gen import dataset, sampling
from components.example_gen.formats.classes import Class
from components.example_gen.formats.registry import READERS


class Ranges:
    """A reader whose shards are ranges of numbers."""

    def count(self, shards):
        return sum(map(len, shards))


def chosen(shards, size):
    """The numbers in the sample, by split."""
    found = {split: [] for split in shards}
    for split, shard, places in sampling.choose(Ranges(), shards, size):
        assert places
        found[split] += [shard[place] for place in places]
    return found


def consecutive(lengths):
    ends = list(itertools.accumulate(lengths, initial=0))
    return [range(*pair) for pair in itertools.pairwise(ends)]


@given(st.lists(st.integers(0, 60), max_size=12), st.lists(st.integers(0, 9), max_size=3),
       st.integers(1, 200))  # fmt: skip
def test_one_record_of_each_stretch(train, held_out, size):
    shards = {"train": consecutive(train), "eval": consecutive(held_out)}
    records = {"train": sum(train), "eval": sum(held_out)}
    if not sum(records.values()):
        return
    found = chosen(shards, size)
    assert found == chosen(shards, size)
    for split, wanted in sampling.sizes(records, size).items():
        assert len(found[split]) == wanted
        # The n-th is in the n-th of equally long stretches.
        for place, number in enumerate(found[split]):
            assert place * records[split] // wanted <= number
            assert number < (place + 1) * records[split] // wanted


@pytest.mark.parametrize(
    ("records", "size", "expected"),
    [
        ({"all": 60_000}, 10_000, {"all": 10_000}),
        ({"train": 50_000, "eval": 10_000}, 6_000, {"train": 5_000, "eval": 1_000}),
        # A tenth of the sample at the least, or the whole split.
        ({"train": 99_000, "eval": 3_000}, 10_000, {"train": 9_706, "eval": 1_000}),
        ({"train": 99_000, "eval": 70}, 10_000, {"train": 9_993, "eval": 70}),
    ],
)
def test_a_split_of_a_sample_is_not_too_small(records, size, expected):
    assert sampling.sizes(records, size) == expected


def test_neither_an_order_nor_a_period_shows_in_a_sample():
    # In the order of their classes; and a class every seventh, of which the sample takes one.
    numbers = chosen({"all": consecutive([300, 0, 400])}, 100)["all"]
    assert Counter(number // 70 for number in numbers) == dict.fromkeys(range(10), 10)
    assert set(Counter(number % 7 for number in numbers)) == set(range(7))


COLUMNS = [
    Column(name="age", type="integer"),
    Column(name="town", type="categorical"),
    Column(name="wind", missing=True),
    Column(name="day", type="datetime", format="%Y-%m-%d", missing=True),
]
ROWS = [
    ["7", "Ulm", "0.1", "2020-01-02"],
    ["7", "Ulm", "0.1", "2020-01-02"],
    ["-3", "Bonn", "", "2019-05-06"],
    ["-1", "Bonn", "", ""],
    ["-2", "Bonn", "", ""],
]
# Neither is counted: a cell that is not of its type, and a row of another length.
BAD = [["x", "Köln", "2", ""], ["1", "Mainz"]]
DAY = 86_400_000_000


def table(folder, rows, kind, header=("age", "town", "wind", "day", "label")):
    if kind == "csv":
        with open(folder / "rows.csv", "w", newline="") as file:
            csv.writer(file).writerows([header, *rows])
    else:
        ages, towns, winds, days, labels = zip(*rows, strict=True)
        pq.write_table(
            pa.table(
                {
                    "age": [int(age) for age in ages],
                    "town": list(towns),
                    "wind": [float(wind) if wind else None for wind in winds],
                    "day": [datetime.date.fromisoformat(day) if day else None for day in days],
                    "label": list(labels),
                }
            ),
            folder / "rows.parquet",
            row_group_size=2,
        )
    return dataset.find(str(folder), READERS.get("table")(columns=COLUMNS))


@pytest.mark.parametrize(("kind", "batch"), [("csv", 2), ("csv", 100), ("parquet", 2)])
def test_a_census_of_a_table(tmp_path, monkeypatch, kind, batch):
    monkeypatch.setattr(sampling, "_BATCH", batch)
    labels = ["no", "yes", "no", "no", "no"]
    rows = [[*row, label] for row, label in zip(ROWS, labels, strict=True)]
    bad = [[*row, "no"] for row in BAD] if kind == "csv" else []
    found = table(tmp_path, [*rows, *bad], kind)
    (whole,) = sampling.census(found.reader, found.shards, 10).values()
    assert whole.classes == {Class(0, "no"): 4 + len(bad[:1]), Class(1, "yes"): 1}
    assert whole.repeated == 1
    assert whole.rows == 5 + len(bad[:1])
    assert whole.names["town"] == {"Ulm": 2, "Bonn": 3} | ({"Köln": 1} if bad else {})
    low, high = (float(np.float32(number)) for number in (0.1, 2 if bad else 0.1))
    assert whole.ranges == {
        "age": (-3, 7),
        "wind": (low, high),
        "day": (18_022 * DAY, 18_263 * DAY),
    }


def test_of_many_names_some_are_counted(tmp_path):
    rows = [[str(number), f"town {number}", "", "", ""] for number in range(50)]
    found = table(tmp_path, [[*row[:4], "no"] for row in rows * 2], "csv")
    (whole,) = sampling.census(found.reader, found.shards, 20).values()
    assert len(whole.names["town"]) == 20
    assert set(whole.names["town"].values()) == {2}
    assert whole.repeated == 50


def test_a_census_of_images_is_of_their_labels(tree, png):
    base = tree({f"{name}/{number}.png": png(number) if number else b"no image"
                 for number, name in enumerate(["cat", "dog", "cat"])})  # fmt: skip
    found = dataset.inspect(base)
    census = sampling.census(found.reader, found.shards, 10)
    assert census["all"].classes == {Class(0, "cat"): 2, Class(1, "dog"): 1}


def test_images_without_labels_have_no_classes(tree, png):
    found = dataset.inspect(tree({"1.png": png(), "2.png": png(1)}))
    assert sampling.census(found.reader, found.shards, 10)["all"].classes == {}
