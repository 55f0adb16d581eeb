"""Parquet files as people have them."""

import datetime
import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.example_gen import dataset
from components.example_gen.formats.parquet import ParquetReader
from components.example_gen.formats.registry import table_files
from components.example_gen.formats.tables.inspection import inspect

N = 4
NUMBERS = [0, 1, 0, 1]
WORDS = [b"one", b"two", "drei \u2013 \u4e09".encode(), b""]
STRUCT = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def write(base, table, name="data.parquet"):
    path = base / name
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)
    return str(base)


def structs(images):
    return pa.array([{"bytes": image, "path": "x.png"} for image in images], STRUCT)


def fixed(values):
    return pa.array(values, pa.binary(len(values[0])))


# Columns, and whether they are a table of numbers.
KINDS = {
    "bytes": (lambda images: {"image": images, "label": NUMBERS}, False),
    "bytes of another name": (lambda images: {"photo": images, "size": NUMBERS}, False),
    "structs": (lambda images: {"image": structs(images), "n": NUMBERS}, False),
    "structs without bytes": (lambda images: {"image": structs([None] * N), "n": NUMBERS}, False),
    "lists of structs": (
        lambda images: {
            "images": pa.array(
                [[{"bytes": image, "path": ""}] for image in images], pa.list_(STRUCT)
            ),
            "n": NUMBERS,
        },
        False,
    ),
    "categories": (lambda images: {"image": pa.array(images).dictionary_encode()}, False),
    "raw pixels": (lambda images: {"image": [bytes(768)] * N, "n": NUMBERS}, False),
    "raw pixels of one length": (lambda images: {"image": fixed([bytes(64)] * N)}, False),
    "no rows": (lambda images: {"image": pa.array([], pa.binary())}, False),
    "strings of Impala": (
        lambda images: {"id": NUMBERS, "name": WORDS, "date": [b"01/01/09"] * N},
        True,
    ),
    "paths of images": (lambda images: {"id": NUMBERS, "image": [b"a/1.png"] * N}, True),
    "digests": (
        lambda images: {"id": NUMBERS, "uuid": fixed([bytes(range(200, 216))] * N)},
        True,
    ),
    "null": (lambda images: {"id": NUMBERS, "name": pa.array([None] * N, pa.binary())}, True),
    "numbers": (lambda images: {"id": NUMBERS}, True),
}


@pytest.mark.parametrize(("columns", "is_table"), KINDS.values(), ids=KINDS)
def test_tables_are_told_from_images(tmp_path, png, columns, is_table):
    base = write(tmp_path, pa.table(columns([png(index) for index in range(N)])))
    assert bool(table_files(base)) == is_table


def read(base, **options):
    """Source to label, class name and error; and the remarks."""
    reader = ParquetReader(**options)
    found = dataset.find(base, reader)
    shards = [shard for listed in found.shards.values() for shard in listed]
    raws = [raw for shard in shards for raw in reader.records(shard)]
    return {raw.source: (raw.label, raw.class_name, raw.error) for raw in raws}, reader.remarks


def test_partitions_are_labels(tmp_path, png):
    for name in ("cat", "dog"):
        write(tmp_path, pa.table({"image": [png()]}), f"label={name}/part-0.parquet")
    found, remarks = read(str(tmp_path))
    assert found == {
        "label=cat/part-0.parquet#0": (0, "cat", None),
        "label=dog/part-0.parquet#0": (1, "dog", None),
    }
    assert remarks == []


# Columns, and what is said.
SAID = {
    "labels of another name": (
        lambda images: {"img": images, "fine_label": NUMBERS, "text": WORDS, "x": [0.5] * N},
        r"no column of labels .* data\.features\.label could name fine_label;",
    ),
    "a second column of images": (
        lambda images: {"image": structs(images), "mask": structs(images), "label": NUMBERS},
        "left out: columns of bytes mask; image is",
    ),
    "bytes that are no images": (
        lambda images: {"photo": images, "name": WORDS, "label": NUMBERS},
        "left out: columns of bytes name; photo is",
    ),
}


@pytest.mark.parametrize(("columns", "remark"), SAID.values(), ids=SAID)
def test_what_is_left_out_is_said(tmp_path, png, columns, remark):
    base = write(tmp_path, pa.table(columns([png(index) for index in range(N)])))
    found, remarks = read(base)
    assert len(found) == N
    assert re.search(remark, "; ".join(remarks)), remarks


def test_numbers_in_one_file_and_names_in_another_are_names(tmp_path, png):
    """As numbers, those of the one file would be those of the other's names."""
    write(tmp_path, pa.table({"image": [png(0), png(1)], "label": [0, 1]}), "a.parquet")
    write(tmp_path, pa.table({"image": [png(2)], "label": ["cat"]}), "b.parquet")
    assert [found[:2] for found in read(str(tmp_path))[0].values()] == [
        (0, "0"),
        (1, "1"),
        (2, "cat"),
    ]


REFUSED = {
    "lists": (
        {"images": pa.array([[{"bytes": b"", "path": ""}]], pa.list_(STRUCT))},
        r"data\.parquet: 'images' is list<.*expected one image in each row",
    ),
    "raw pixels": ({"image": [bytes(768)]}, "768 bytes, as many as 16x16x3 raw pixels have"),
    "base64": ({"image": [b"iVBORw0KGgoAAAANSUhEUgAA"]}, "looks like PNG in base64"),
    "no bytes": (
        {"image": pa.array([{"bytes": None, "path": "a"}], STRUCT)},
        "the column 'image' holds no bytes",
    ),
    "no rows": ({"image": pa.array([], pa.binary())}, "the files hold no records"),
}


@pytest.mark.parametrize(("columns", "message"), REFUSED.values(), ids=REFUSED)
def test_files_without_images_say_what_they_hold(tmp_path, columns, message):
    base = write(tmp_path, pa.table(columns))
    reader = ParquetReader()
    with pytest.raises(ValueError, match=message):
        _ = dataset.find(base, reader).preview


def test_labels_in_one_file_alone_are_refused(tmp_path, png):
    write(tmp_path, pa.table({"image": [png()], "label": [1]}), "train.parquet")
    base = write(tmp_path, pa.table({"image": [png(1)]}), "test.parquet")
    with pytest.raises(ValueError, match=r"test\.parquet: no labels, but .*train\.parquet has"):
        read(base)


def test_columns_that_are_left_out_of_a_table(tmp_path):
    columns = {
        "x": NUMBERS,
        "day": [datetime.date(2020, 1, 1)] * N,
        "flag": [True] * N,
        "empty": pa.array([None] * N, pa.float64()),
        "nan": [float("nan")] * N,
        "gap": [1.0, None, 2.0, np.nan],
        "name": WORDS,
        "blob": [b"\xff\xfe"] * N,
        "list": [[1]] * N,
    }
    base = write(tmp_path, pa.table(columns))
    found = inspect(table_files(base))
    assert [(each.name, each.type, each.missing) for each in found.columns] == [
        ("x", "integer", False),
        ("day", "datetime", False),
        ("flag", "boolean", False),
        ("gap", "integer", True),
    ]
    said = "; ".join(found.remarks)
    for expected in (
        "'empty' of data.parquet: it is empty in the first 4 rows, row 0 holds nothing",
        "'nan' of data.parquet: it is empty in the first 4 rows",
        "'name' of data.parquet: 3 different values in the first 3 rows; row 0 holds 'one'",
        "'blob' of data.parquet: it is binary that is not text",
        "'list' of data.parquet: it is list<",
        "column 'gap': row 3 holds 'nan', taken for missing, as are 2 of the first 4",
    ):
        assert expected in said


def test_a_table_without_rows(tmp_path):
    base = write(tmp_path, pa.table({"x": pa.array([], pa.int64())}))
    with pytest.raises(ValueError, match=r"data\.parquet: no rows"):
        inspect(table_files(base))
