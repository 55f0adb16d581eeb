import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from components.data import vectors
from components.data.spec import DataSpec

ROWS = [{"wind": 4.5, "rain": 0.0}, {"wind": 2.0, "rain": 10.5}, {"wind": 4.5, "rain": 0.0}]


def write(path, records):
    with tf.io.TFRecordWriter(str(path), "GZIP") as writer:
        for record in records:
            writer.write(vectors.to_example(record).SerializeToString())
    return [str(path)]


def records(labels=(None, None, None), rows=ROWS):
    return [
        vectors.VectorRecord(row, f"weather.csv#{index}", label)
        for index, (row, label) in enumerate(zip(rows, labels, strict=True))
    ]


def test_rows_come_back_in_order_and_in_the_order_of_the_columns_asked_for(tmp_path):
    files = write(tmp_path / "rows.gz", records((0, 1, 0)))

    found = DataSpec(columns=("rain", "wind")).read(files)

    assert found.data.dtype == np.float32
    np.testing.assert_array_equal(found.data, [[0.0, 4.5], [10.5, 2.0], [0.0, 4.5]])
    np.testing.assert_array_equal(found.labels, [0, 1, 0])
    assert found.class_names == {}
    named = [dataclasses.replace(row, class_name="wet") for row in records((1, 1, 1))]
    read = vectors.read_vectors(write(tmp_path / "named.gz", named), ["wind"])
    assert read.class_names == {1: "wet"}
    assert vectors.read_vectors(write(tmp_path / "bare.gz", records()), ["wind"]).labels is None


@pytest.mark.parametrize(
    ("made", "columns", "message"),
    [
        (records(), ("wind", "sun"), r"weather\.csv#0: the column 'sun' is missing"),
        (
            records(rows=[ROWS[0], {"wind": np.inf, "rain": 1.0}, ROWS[2]]),
            ("rain", "wind"),
            r"weather\.csv#1: the column 'wind' is missing or not a finite number",
        ),
        (records((0, None, 1)), ("wind",), r"row/class/label: 1 of 3 .* weather\.csv#1; label all"),
        ([], ("wind",), "no examples in"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, made, columns, message):
    with pytest.raises(ValueError, match=message):
        vectors.read_vectors(write(tmp_path / "rows.gz", made), columns)


@given(st.dictionaries(st.sampled_from("abcd"), st.floats(-1e6, 1e6, width=32), min_size=1))
def test_equal_rows_have_equal_digests_whatever_the_order_of_columns(row):
    one = vectors.VectorRecord(row, "a#0")
    other = vectors.VectorRecord(dict(reversed(row.items())), "b#7", label=3)
    name = next(iter(row))

    assert one.digest == other.digest
    assert one.digest != vectors.VectorRecord({**row, name: row[name] + 1e6}, "a#0").digest


def test_a_spec_is_of_images_or_of_vectors():
    assert DataSpec(image_shape=(8, 8, 1)).shape == (8, 8, 1)
    assert DataSpec(columns=("a", "b")).shape == (2,)
    for wrong in ({}, {"image_shape": (8, 8, 1), "columns": ("a",)}):
        with pytest.raises(ValueError, match="one of image_shape and columns"):
            DataSpec(**wrong)
