import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from components.data import vectors
from components.data.columns import Column, values_of
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

    assert found.data.dtype == np.float64
    np.testing.assert_array_equal(found.data, [[0.0, 4.5], [10.5, 2.0], [0.0, 4.5]])
    np.testing.assert_array_equal(found.labels, [0, 1, 0])
    assert found.class_names == {}
    named = [dataclasses.replace(row, class_name="wet") for row in records((1, 1, 1))]
    read = vectors.read_vectors(write(tmp_path / "named.gz", named), [Column(name="wind")])
    assert read.class_names == {1: "wet"}
    assert (
        vectors.read_vectors(write(tmp_path / "bare.gz", records()), [Column(name="wind")]).labels
        is None
    )


@pytest.mark.parametrize(
    ("made", "columns", "message"),
    [
        (records(), ("wind", "sun"), r"weather\.csv#0: the column 'sun' is missing"),
        (
            records(rows=[ROWS[0], {"wind": np.inf, "rain": 1.0}, ROWS[2]]),
            ("rain", "wind"),
            r"weather\.csv#1: the column 'wind' is missing or not finite",
        ),
        (records((0, None, 1)), ("wind",), r"row/class/label: 1 of 3 .* weather\.csv#1; label all"),
        ([], ("wind",), "no examples in"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, made, columns, message):
    with pytest.raises(ValueError, match=message):
        DataSpec(columns=columns).read(write(tmp_path / "rows.gz", made))


@given(st.dictionaries(st.sampled_from("abcd"), st.floats(-1e6, 1e6, width=32), min_size=1))
def test_equal_rows_have_equal_digests_whatever_the_order_of_columns(row):
    one = vectors.VectorRecord(row, "a#0")
    other = vectors.VectorRecord(dict(reversed(row.items())), "b#7", label=3)
    name = next(iter(row))

    assert one.digest == other.digest
    assert one.digest != vectors.VectorRecord({**row, name: row[name] + 1e6}, "a#0").digest


MIXED = DataSpec(
    columns=(
        {"name": "wind", "missing": True},
        {"name": "count", "type": "integer", "missing": True},
        {"name": "kind", "type": "categorical", "missing": True},
        {"name": "flag", "type": "boolean", "missing": True},
        {"name": "when", "type": "datetime", "missing": True},
        {"name": "always", "type": "categorical"},
    )
)
NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=3)
MIXED_ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "wind": st.none() | st.floats(width=32, allow_nan=False, allow_infinity=False),
            "count": st.none() | st.integers(-(2**53), 2**53),
            "kind": st.none() | NAMES,
            "flag": st.none() | st.sampled_from(["True", "False"]),
            "when": st.none() | st.integers(-(2**53), 2**53),
            "always": NAMES,
        }
    ),
    min_size=1,
    max_size=9,
)


def values(split):
    """The rows that the codes of a split of MIXED stand for."""
    columns = [
        values_of(codes, column, split.categories)
        for codes, column in zip(split.data.T, MIXED.columns, strict=True)
    ]
    names = [column.name for column in MIXED.columns]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


@settings(max_examples=25, deadline=None)
@given(MIXED_ROWS)
def test_values_come_back_from_examples_and_missing_ones_are_missing(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("rows") / "rows.gz"
    files = write(path, records([None] * len(rows), rows))

    found = MIXED.read(files)

    assert found.data.shape == (len(rows), len(MIXED.columns))
    assert found.data.dtype == np.float64
    assert values(found) == rows
    assert all(list(names) == sorted(set(names)) for names in found.categories.values())
    stacked = vectors.stacked(rows, MIXED.columns)
    np.testing.assert_array_equal(stacked.data, found.data)
    assert stacked.categories == found.categories


@settings(deadline=None)
@given(MIXED_ROWS, MIXED_ROWS)
def test_splits_with_one_set_of_categories_hold_the_same_values(rows, others):
    splits = {
        "train": vectors.stacked(rows, MIXED.columns),
        "eval": vectors.stacked(others, MIXED.columns),
    }
    joined = vectors.joined(splits, MIXED.columns)

    assert joined["train"].categories == joined["eval"].categories
    for name, held in (("train", rows), ("eval", others)):
        assert values(joined[name]) == held
    together = vectors.stacked([*rows, *others], MIXED.columns)
    assert joined["train"].categories == together.categories


def test_a_name_without_a_code_gets_the_next_one():
    columns = (Column(name="kind", type="categorical", missing=True),)
    split = vectors.stacked([{"kind": name} for name in ("b", None, "c", "a")], columns)
    found = vectors.recoded(split, columns, {"kind": ("a", "b")})
    np.testing.assert_array_equal(found.data, [[1], [np.nan], [2], [0]])
    assert found.categories == {"kind": ("a", "b")}


def test_splits_read_together_have_one_set_of_categories(tmp_path):
    spec = DataSpec(columns=({"name": "kind", "type": "categorical"},))
    rows = {"train": ["b", "c"], "eval": ["a", "b"]}
    files = {
        name: write(tmp_path / name, records([None] * 2, [{"kind": kind} for kind in kinds]))
        for name, kinds in rows.items()
    }
    found = spec.read_splits(files)
    assert found["train"].data.tolist() == [[1], [2]]
    assert found["eval"].data.tolist() == [[0], [1]]


@settings(deadline=None)
@given(MIXED_ROWS)
def test_digests_are_of_values_as_examples_store_them(rows):
    (first, *_) = rows
    for column in MIXED.columns:
        digest = vectors.VectorRecord(first, "a#0").digest
        assert digest == vectors.VectorRecord(dict(first), "b#1").digest
        if first[column.name] is not None:
            gone = {**first, column.name: None}
            assert digest != vectors.VectorRecord(gone, "a#0").digest
    nothing = vectors.VectorRecord({"kind": None}, "a#0")
    assert nothing.digest != vectors.VectorRecord({"kind": "None"}, "a#0").digest
    assert (
        vectors.VectorRecord({"wind": 0.1}, "a#0").digest
        == vectors.VectorRecord({"wind": float(np.float32(0.1))}, "a#0").digest
    )


def test_a_spec_is_of_images_or_of_vectors():
    assert DataSpec(image_shape=(8, 8, 1)).shape == (8, 8, 1)
    assert DataSpec(columns=("a", "b")).shape == (2,)
    for wrong in ({}, {"image_shape": (8, 8, 1), "columns": ("a",)}):
        with pytest.raises(ValueError, match="one of image_shape and columns"):
            DataSpec(**wrong)
