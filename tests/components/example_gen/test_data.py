"""The committed data sets and their schemas."""

import csv
import dataclasses
import datetime

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_data_validation as tfdv

from components.common.tfx import split_files
from components.data import examples, vectors
from components.data.columns import Column
from components.data_validator.statistics import options
from components.example_gen.formats.idx import read_idx
from components.example_gen.formats.table import TableReader


@pytest.mark.parametrize(
    ("name", "split", "shape"),
    [
        ("fashion_mnist", "train", (5000, 28, 28)),
        ("fashion_mnist", "t10k", (1000, 28, 28)),
        ("digits", "train", (1497, 8, 8)),
        ("digits", "t10k", (300, 8, 8)),
    ],
)
def test_counts_and_balance(data_folder, name, split, shape):
    images = read_idx(str(data_folder / name / f"{split}-images-idx3-ubyte.gz"))
    labels = read_idx(str(data_folder / name / f"{split}-labels-idx1-ubyte.gz"))
    assert images.shape == shape
    assert (images.min(), images.max()) == (0, 255)
    counts = np.bincount(labels)
    assert (len(counts), counts.sum()) == (10, len(images))
    # The digits are as balanced as the original, which has 174 to 183 of each.
    assert np.ptp(counts) <= (0 if name == "fashion_mnist" else 0.01 * len(images))
    # In random order: sorted labels would change 9 times.
    assert np.count_nonzero(np.diff(labels)) > 0.8 * len(labels)


@pytest.mark.parametrize("name", ["fashion_mnist", "digits", "weather"])
def test_size_and_licence(data_folder, name):
    assert sum(file.stat().st_size for file in (data_folder / name).iterdir()) < 3e6
    assert (data_folder / name / "LICENSE").read_text()


def anomalous(file, schema):
    """The features of a split that have an anomaly, and "data set" if that has one."""
    statistics = tfdv.generate_statistics_from_tfrecord(file, stats_options=options())
    found = tfdv.validate_statistics(statistics, tfdv.load_schema_text(str(schema)))
    return {*found.anomaly_info, *(["data set"] if found.HasField("dataset_anomaly_info") else [])}


@pytest.mark.parametrize("name", ["fashion_mnist", "digits", "weather"])
@pytest.mark.parametrize("split", ["train", "eval"])
def test_schema_accepts_the_data(request, data_folder, name, split):
    (file,) = split_files([request.getfixturevalue(name)], split)
    assert anomalous(file, data_folder / name / "schema.pbtxt") == set()


def test_days_of_weather(data_folder):
    """Every day of four years at two places, in order, and its number in the year."""
    with open(data_folder / "weather" / "weather.csv") as file:
        rows = list(csv.DictReader(file))
    first = datetime.date(2012, 1, 1)
    for place, row in enumerate(rows):
        date = datetime.date.fromisoformat(row["date"])
        assert (date - first).days == place % 1461
        assert int(row["day"]) == (date - datetime.date(date.year, 1, 1)).days + 1
        assert row["location"] == ("Seattle" if place < 1461 else "New York")
        assert float(row["temp_min"]) <= float(row["temp_max"])
    assert len(rows) == 2 * 1461


def first_differs(**changes):
    return lambda records: [dataclasses.replace(records[0], **changes), *records[1:]]


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (first_differs(label=11), {"image/class/label"}),
        (first_differs(label=None), {"image/class/label"}),
        (first_differs(height=28, width=28), {"image/height", "image/width"}),
        (first_differs(channels=3), {"image/channels"}),
        (first_differs(decode_ok=False), {"image/decode_ok"}),
        (first_differs(encoded=b"not an image"), {"image/encoded"}),
        (first_differs(mean=1.5), {"image/mean"}),
        (first_differs(blank="black"), {"image/blank"}),
        (first_differs(contrast=0.0), {"image/contrast"}),
        (
            first_differs(mean=None, contrast=None, blank=None, digest=None),
            {"image/mean", "image/contrast", "image/blank", "image/hash"},
        ),
        (lambda records: records[:250], {"data set"}),
    ],
    ids=[
        "label",
        "no label",
        "size",
        "colour",
        "undecodable",
        "no image",
        "too bright",
        "black",
        "empty",
        "no statistics",
        "too few",
    ],
)
def test_schema_refuses_planted_faults(data_folder, tmp_path, damage, expected):
    images = read_idx(str(data_folder / "digits/t10k-images-idx3-ubyte.gz"))
    labels = read_idx(str(data_folder / "digits/t10k-labels-idx1-ubyte.gz"))
    records = [
        examples.from_array(image, f"#{index}", label)
        for index, (image, label) in enumerate(zip(images, labels.tolist(), strict=True))
    ]
    file = str(tmp_path / "data_tfrecord.gz")
    with tf.io.TFRecordWriter(file, "GZIP") as writer:
        for record in damage(records):
            writer.write(examples.to_example(record).SerializeToString())
    assert anomalous(file, data_folder / "digits/schema.pbtxt") == expected


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("day", 0.0),
        ("precipitation", -1.0),
        ("temp_max", 90.0),
        ("wind", float("nan")),
        ("wind", None),
    ],
)
def test_schema_refuses_days_that_cannot_be(data_folder, tmp_path, column, value):
    names = ("day", "precipitation", "temp_max", "temp_min", "wind")
    reader = TableReader(
        columns=[Column(name=name) for name in names], features={"label": "location"}
    )
    (shard,) = reader.shards(str(data_folder / "weather"), {"all": "weather.csv"})["all"]
    # From both places.
    days = [*reader.read(shard)][::5]
    values = {**days[0].values, column: value}
    days[0] = dataclasses.replace(
        days[0], values={name: number for name, number in values.items() if number is not None}
    )
    file = str(tmp_path / "data_tfrecord.gz")
    with tf.io.TFRecordWriter(file, "GZIP") as writer:
        for day in days:
            writer.write(vectors.to_example(day).SerializeToString())
    assert anomalous(file, data_folder / "weather/schema.pbtxt") == {f"column/{column}"}
