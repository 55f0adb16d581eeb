"""The same table through every format, and what is wrong with tables."""

import csv
import gzip
import io
import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from components.data.columns import Column
from components.example_gen import dataset
from components.example_gen.formats.registry import AUTO, READERS, table_files
from components.example_gen.formats.table import TableReader
from components.example_gen.formats.tables.inspection import inspect
from components.example_gen.prepare import BadRecordError, prepare_row

COLUMNS = ("wind", "rain")
ROWS = [
    {"day": day, "wind": day / 2, "kind": kind, "rain": -1.25 * day}
    for day, kind in enumerate(["sun", "fog", "sun", "rain", "fog"])
]
LABELS = [2, 0, 2, 1, 0]


def named(*names):
    return [Column(name=name) for name in names]


def typed(columns):
    words = ((c.name, c.type, c.format, "missing" if c.missing else None) for c in columns)
    return ", ".join(" ".join(filter(None, each)) for each in words)


def text(rows=ROWS, delimiter=",", **options):
    buffer = io.StringIO(newline="")
    writer = csv.DictWriter(buffer, list(rows[0]), delimiter=delimiter, **options)
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()


def parquet(columns, **options):
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer, **options)
    return buffer.getvalue()


def by_column(rows):
    return {name: [row[name] for row in rows] for name in rows[0]}


def write(base, files):
    tf.io.gfile.makedirs(str(base))
    for name, content in files.items():
        with tf.io.gfile.GFile(f"{base}/{name}", "wb") as file:
            file.write(content if isinstance(content, bytes) else content.encode())
    return str(base)


def read(base, **options):
    """The rows of every split, by source: values and class."""
    reader = READERS.get(AUTO)(columns=named(*options.pop("columns", COLUMNS)), **options)
    found = dataset.find(base, reader)
    shards = reader.shards(found.base, found.splits)
    records = {
        split: {
            r.source: ([r.values[c.name] for c in reader.columns], (r.label, r.class_name))
            for r in rows
        }
        for split, listed in shards.items()
        for rows in [[record for shard in listed for record in reader.read(shard)]]
    }
    for split, listed in shards.items():
        assert reader.count(listed) == len(records[split])
    return records


ALL = [
    ([row["wind"], row["rain"]], (label, row["kind"]))
    for row, label in zip(ROWS, LABELS, strict=True)
]
FORMATS = {
    "csv": {"all.csv": text()},
    "csv with a byte order mark and carriage returns": {
        "all.csv": "\ufeff" + text(lineterminator="\r\n")
    },
    "csv in quotes": {"all.csv": text(quoting=csv.QUOTE_ALL)},
    "csv with spaces and blank lines": {
        "all.csv": text().replace(",", " , ").replace("\n", "\n\n")
    },
    "semicolons": {"all.csv": text(delimiter=";")},
    "tabs": {"all.tsv": text(delimiter="\t")},
    "csv.gz": {"all.csv.gz": gzip.compress(text().encode())},
    "parquet": {"all.parquet": parquet(by_column(ROWS), row_group_size=2)},
    "parquet with categories": {
        "all.pq": parquet(
            {**by_column(ROWS), "kind": pa.array(by_column(ROWS)["kind"]).dictionary_encode()}
        )
    },
}


@pytest.mark.parametrize("place", ["local", "ram"])
@pytest.mark.parametrize("files", FORMATS.values(), ids=FORMATS)
def test_every_format_gives_the_same(tmp_path, request, place, files):
    ram = f"ram://{re.sub('[^a-z]', '-', request.node.name)}"
    base = write(ram if place == "ram" else tmp_path / "data", files)
    (name,) = files

    expected = {f"{name}#{index}": row for index, row in enumerate(ALL)}
    assert read(base, features={"label": "kind"}) == {"all": expected}
    assert read(f"{base}/{name}", features={"label": "kind"}) == {"all": expected}
    unlabelled = {source: (values, (None, None)) for source, (values, _) in expected.items()}
    assert read(base) == {"all": unlabelled}


def test_splits_by_name_and_classes_over_all_of_them(tmp_path):
    rows = [{**row, "label": row.pop("kind")} for row in map(dict, ROWS)]
    base = write(
        tmp_path / "data",
        {
            "train-0.csv": text(rows[:2]),
            "train-1.parquet": parquet(by_column(rows[2:4])),
            "test.csv": text(rows[4:]),
            "README.md": "",
        },
    )
    train = ("train-0.csv#0", "train-0.csv#1", "train-1.parquet#0", "train-1.parquet#1")
    assert read(base) == {
        "train": dict(zip(train, ALL[:4], strict=True)),
        "eval": {"test.csv#0": ALL[4]},
    }


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["0", "1", "0"], [0, 1, 0]),
        (["3", "12", "3"], [0, 1, 0]),
        (["-1", "1", "-1"], [0, 1, 0]),
        (["b", "a", "7"], [2, 1, 0]),
    ],
)
def test_labels_in_text(tmp_path, labels, expected):
    rows = [{"x": index, "class": label} for index, label in enumerate(labels)]
    base = write(tmp_path / "data", {"a.csv": text(rows)})
    found = read(base, columns=("x",))["all"]
    names = [None] * len(labels) if labels == ["0", "1", "0"] else labels
    assert [of for _, of in found.values()] == list(zip(expected, names, strict=True))


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(*[st.floats(width=32, allow_nan=False, allow_infinity=False)] * 2)))
def test_numbers_come_back_exactly(tmp_path_factory, rows):
    base = tmp_path_factory.mktemp("numbers")
    table = {name: [row[place] for row in rows] for place, name in enumerate(("a", "b"))}
    (base / "a.csv").write_text(
        "".join(f"{a!r},{b!r}\n" for a, b in [("a", "b"), *rows]).replace("'", "")
    )
    pq.write_table(
        pa.table({n: pa.array(v, pa.float32()) for n, v in table.items()}), base / "b.pq"
    )
    for name in ("a.csv", "b.pq"):
        found = read(str(base / name), columns=("a", "b"))["all"].values()
        np.testing.assert_array_equal(
            np.reshape([values for values, _ in found], (-1, 2)), np.reshape(rows, (-1, 2))
        )


# Content of a file of the columns a and label; what is wrong with each row, or None.
FAULTS = {
    "cells": (
        "a.csv",
        "a,label\n1,x\nn/a,x\n,x\n2,\n3,2.5\n4,y\n",
        [
            None,
            "the column 'a' holds 'n/a', but has no missing values",
            "the column 'a' holds nothing",
            "the column 'label' holds no label",
            "the column 'label' holds '2.5', expected a whole number or a name",
            None,
        ],
    ),
    "fields": (
        "a.csv",
        "a,label\n1\n1,x,2\n \n1,x\n",
        ["1 fields, the first row has 2", "3 fields", "1 fields", None],
    ),
    "bytes that are no text": (
        "a.csv",
        b"a,label,other\n1,x,\xff\n\xfe2\x00,x,\n3,x,\n",
        [None, r"the column 'a' holds '.*\\xfe2", None],
    ),
    "nulls": (
        "a.parquet",
        parquet({"a": [1.0, None, float("nan"), 2.0], "label": [0, 0, 1, None]}),
        [None, "'a' holds nothing", "'a' holds nan", "'label' holds no label"],
    ),
    "negative labels": (
        "a.parquet",
        parquet({"a": [1, 2], "label": [0, -4]}),
        [None, "'label' holds -4, labels count from 0"],
    ),
}


@pytest.mark.parametrize(("name", "content", "expected"), FAULTS.values(), ids=FAULTS)
def test_a_bad_row_is_one_record(tmp_path, name, content, expected):
    base = write(tmp_path / "data", {name: content})
    reader = TableReader(columns=named("a"))
    (shard,) = reader.shards(base, {"all": name})["all"]
    found = list(reader.records(shard))

    assert [raw.source for raw in found] == [f"{name}#{index}" for index in range(len(expected))]
    assert reader.count([shard]) == len(expected)
    for raw, reason in zip(found, expected, strict=True):
        if reason is None:
            prepare_row(raw, reader.columns)
        else:
            with pytest.raises(BadRecordError, match=reason) as caught:
                prepare_row(raw, reader.columns)
            assert "\n" not in str(caught.value)
    first = next(index for index, reason in enumerate(expected) if reason)
    with pytest.raises(ValueError, match=f"{name}#{first}: .*{expected[first]}"):
        list(reader.read(shard))


DAMAGE = {
    "open quote": ("a.csv", 'a,b\n1,2\n"3,4\n5,6\n', r"a\.csv: not a whole CSV file"),
    "cut gzip": ("a.csv.gz", gzip.compress(b"a\n" + b"1\n" * 99)[:-9], "not a whole CSV file"),
    "no gzip": ("a.csv.gz", b"a\n1\n", "not a whole CSV file"),
    "empty": ("a.csv", "", "the file is empty"),
    "cut parquet": ("a.pq", parquet({"a": [1.0]})[:-9], "not a whole Parquet file"),
    "no such column": ("a.csv", "b,c\n1,2\n", r"no columns are called 'a' .*the columns are b, c"),
    "column twice": ("a.csv", "a,a\n1,2\n", r"2 columns are called 'a' \(data\.columns\)"),
    "truth in parquet": (
        "a.pq",
        parquet({"a": [True]}),
        "the column 'a' is bool, not of the type number; its type could be categorical or boolean",
    ),
    "lists in parquet": ("a.pq", parquet({"a": [[1]]}), r"'a' is list<.*>, not of the type number"),
    "labels that are no labels": (
        "a.pq",
        parquet({"a": [1], "label": [0.5]}),
        "the label column 'label' is double, expected whole numbers or names",
    ),
}


@pytest.mark.parametrize(("name", "content", "message"), DAMAGE.values(), ids=DAMAGE)
def test_a_file_that_is_no_such_table_is_named_in_one_line(tmp_path, name, content, message):
    with pytest.raises(ValueError, match=message) as caught:
        read(write(tmp_path / "data", {name: content}), columns=("a",))
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, r"data\.columns: .*found none"),
        (
            {"columns": named("a"), "features": {"image": "x"}},
            r"data\.features\.image: a table has no",
        ),
        ({"columns": named("a"), "features": {"label": "a"}}, r"features\.label: 'a' is one of"),
        ({"columns": named("a"), "labels": "l.csv"}, r"data\.labels: TableReader"),
    ],
)
def test_options_that_a_table_has_no_use_for(options, message):
    with pytest.raises(ValueError, match=message):
        TableReader(**options)


def test_a_missing_label_column_is_an_error_where_it_is_asked_for(tmp_path):
    base = write(tmp_path / "data", {"a.csv": text()})
    with pytest.raises(ValueError, match=r"'type' \(data\.features\.label\); the columns are day"):
        read(base, features={"label": "type"})


def test_no_files_of_a_table(tmp_path):
    base = write(tmp_path / "data", {"a.png": b""})
    with pytest.raises(FileNotFoundError, match=r"no CSV or Parquet file; found a\.png"):
        read(base)


def test_a_table_in_place_of_images_says_so(tmp_path):
    base = write(tmp_path / "data", {"weather.csv": text()})
    with pytest.raises(ValueError, match=r"weather\.csv: a table .* give data\.columns in place"):
        READERS.get(AUTO)().splits(base)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"a.csv": text()}, ("day integer, wind number, rain number", None)),
        (
            {"a.csv": text(), "b.pq": parquet(by_column(ROWS) | {"day": ["x"] * 5})},
            ("wind number, kind categorical, rain number", None),
        ),
        ({"a.csv": "x,target\n1,2.5\n,3\n"}, ("x integer missing, target number", None)),
        ({"a.csv": ",x,y,class\n0,1,a,ant\n1,2,3,bee\n"}, ("x integer", "class")),
        ({"a.pq": parquet({"x": [1.5], "label": [3]})}, ("x number", "label")),
    ],
)
def test_inspect(tmp_path, files, expected):
    found = inspect(table_files(write(tmp_path / "data", files)))
    assert (typed(found.columns), found.label) == expected


def test_inspect_without_columns_to_learn(tmp_path):
    base = write(tmp_path / "data", {"a.csv": "x,y\na,b\n"})
    with pytest.raises(
        ValueError, match=r"a\.csv: no column to learn; found x, y; left out: .*'a'"
    ):
        inspect(table_files(base))


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"README": "", "b/a.csv": text(), "c.parquet": parquet({"x": [1]})}, 2),
        ({"labels.csv": "file,label\n1.png,ant\n", "1.png": b""}, 0),
        ({"a.pq": parquet({"image": [b"\x89PNG"], "label": [1]})}, 0),
        ({"README": ""}, 0),
    ],
)
def test_tables_are_told_from_images(tmp_path, files, expected):
    (tmp_path / "data" / "b").mkdir(parents=True)
    assert len(table_files(write(tmp_path / "data", files))) == expected
