"""Tables as `dataset` finds them: their columns and values, whatever wrote them."""

import numpy as np
import pytest
import tensorflow as tf

from components.data import vectors
from components.data.columns import Column, values_of
from components.example_gen import dataset

N = 40
COLUMNS = (
    Column(name="born", type="datetime", format="%d.%m.%Y"),
    Column(name="flag", type="boolean"),
    Column(name="sex", type="categorical", missing=True),
    Column(name="size", type="integer", missing=True),
    Column(name="wind"),
)
DAY = 86_400_000_000


def rows():
    """Of the columns in COLUMNS."""
    return [
        {
            "born": (row % 28) * DAY,
            "flag": ("True", "False")[row % 2],
            "sex": ("f", "m", None)[row % 3],
            "size": row * 37 % 41 if row % 7 else None,
            "wind": row / 4,
        }
        for row in range(N)
    ]


def as_csv(folder):
    lines = [",".join(column.name for column in COLUMNS)]
    for row in rows():
        cells = (
            "" if row[column.name] is None else column.kind.text(column, row[column.name])
            for column in COLUMNS
        )
        lines.append(",".join(cells))
    (folder / "a.csv").write_text("\n".join(lines))
    return str(folder)


def as_examples(folder):
    (folder / "Split-train").mkdir()
    path = str(folder / "Split-train" / "data_tfrecord-00000-of-00001.gz")
    with tf.io.TFRecordWriter(path, "GZIP") as writer:
        for number, row in enumerate(rows()):
            record = vectors.VectorRecord(row, f"a.csv#{number}")
            writer.write(vectors.to_example(record).SerializeToString())
    return str(folder)


def values(split, columns):
    """The rows that the codes of a split stand for."""
    by_name = {
        column.name: values_of(codes, column, split.categories)
        for codes, column in zip(split.data.T, columns, strict=True)
    }
    return [dict(zip(by_name, row, strict=True)) for row in zip(*by_name.values(), strict=True)]


def test_a_table_is_read_with_its_types(tmp_path):
    found = dataset.inspect(as_csv(tmp_path))
    assert tuple(found.columns) == COLUMNS
    split = found.read()
    assert values(split, found.columns) == rows()
    assert split.data.dtype == np.float64
    assert split.categories == {"flag": ("False", "True"), "sex": ("f", "m")}


def test_examples_have_the_types_of_their_features(tmp_path):
    found = dataset.inspect(as_examples(tmp_path), "examples")
    # A feature does not tell a datetime from an integer, nor truth from names.
    assert [(column.name, column.type) for column in found.columns] == [
        ("born", "integer"),
        ("flag", "categorical"),
        ("sex", "categorical"),
        ("size", "integer"),
        ("wind", "number"),
    ]
    assert values(found.read("train"), found.columns) == rows()


@pytest.mark.parametrize("write", [as_csv, as_examples])
@pytest.mark.parametrize("columns", [("wind", "sex"), (COLUMNS[4], COLUMNS[2])])
def test_wanted_columns_are_read_in_their_order(tmp_path, write, columns):
    data_format = "auto" if write is as_csv else "examples"
    found = dataset.inspect(write(tmp_path), data_format, columns)
    assert [column.name for column in found.columns] == ["wind", "sex"]
    expected = [{name: row[name] for name in ("wind", "sex")} for row in rows()]
    assert values(found.read("train"), found.columns) == expected
