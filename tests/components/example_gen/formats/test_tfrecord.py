"""TFRecord files as people have them."""

import re

import pytest
import tensorflow as tf

from components.example_gen import dataset
from components.example_gen.formats.tfrecord import TFRecordReader

N = 6


def example(**features):
    """A tf.Example; `__` stands for a slash."""
    found = {}
    for name, value in features.items():
        if isinstance(value, bytes):
            feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
        else:
            feature = tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))
        found[name.replace("__", "/")] = feature
    return tf.train.Example(features=tf.train.Features(feature=found)).SerializeToString()


def write(base, files, compression=""):
    base.mkdir(exist_ok=True)
    for name, records in files.items():
        with tf.io.TFRecordWriter(str(base / name), compression) as writer:
            for record in records:
                writer.write(record)


def read(base, **options):
    """Source to label or error, and the remarks."""
    reader = TFRecordReader(**options)
    found = dataset.find(str(base), reader)
    shards = [shard for listed in found.shards.values() for shard in listed]
    raws = [raw for shard in shards for raw in reader.records(shard)]
    assert reader.count(shards) == len(raws)
    return {raw.source: raw.error or raw.label for raw in raws}, reader.remarks


def labelled(png, indices):
    return [example(image=png(index), label=index % 2) for index in indices]


def bare(png, indices):
    return [example(image=png(index)) for index in indices]


# Files of records; the places of the bad ones, and the reason.
MIXED = {
    "labels on the first records": (
        lambda png: {"a.tfrecord": labelled(png, range(3)) + bare(png, range(3, N))},
        {f"a.tfrecord#{index}" for index in range(3, N)},
        "no label in .*, others have one; label all or none",
    ),
    "labels on the last records": (
        lambda png: {"a.tfrecord": bare(png, range(3)) + labelled(png, range(3, N))},
        {f"a.tfrecord#{index}" for index in range(3, N)},
        "the feature 'label' is a label, the first image has none",
    ),
    "labels in one file": (
        lambda png: {"a.tfrecord": bare(png, range(2)), "b.tfrecord": labelled(png, range(2, N))},
        {"a.tfrecord#0", "a.tfrecord#1"},
        "others have one; label all or none",
    ),
    "a negative label": (
        lambda png: {"a.tfrecord": [example(image=png(), label=-1), *labelled(png, range(1, N))]},
        {"a.tfrecord#0"},
        "the feature 'label' holds -1, labels count from 0",
    ),
    "a label that is no text": (
        lambda png: {
            "a.tfrecord": [*labelled(png, range(5)), example(image=png(9), label=b"\xff")]
        },
        {"a.tfrecord#5"},
        r"the feature 'label' holds b'\\xff', not UTF-8",
    ),
    "an empty label": (
        lambda png: {"a.tfrecord": [*labelled(png, range(5)), example(image=png(9), label=b" ")]},
        {"a.tfrecord#5"},
        "the feature 'label' holds an empty label",
    ),
    "all labelled": (lambda png: {"a.tfrecord": labelled(png, range(N))}, set(), ""),
    "none labelled": (lambda png: {"a.tfrecord": bare(png, range(N))}, set(), ""),
}


@pytest.mark.parametrize(("files", "bad", "reason"), MIXED.values(), ids=MIXED)
def test_all_records_have_labels_or_none(tmp_path, png, files, bad, reason):
    write(tmp_path / "d", files(png))
    found, _ = read(tmp_path / "d")
    errors = {source: error for source, error in found.items() if isinstance(error, str)}
    assert errors.keys() == bad
    assert len(found) == N
    for error in errors.values():
        assert re.search(reason, error), error


@pytest.mark.parametrize("compression", ["", "GZIP", "ZLIB"])
def test_compression_is_seen_from_the_content(tmp_path, png, compression):
    write(tmp_path / "d", {"a.tfrecord": labelled(png, range(N))}, compression)
    assert list(read(tmp_path / "d")[0].values()) == [index % 2 for index in range(N)]


def test_a_first_record_as_long_as_the_magic_number_of_zlib(tmp_path):
    """78 9c is also the length 40056."""
    write(tmp_path / "d", {"a.tfrecord": [b"\xff" * 0x9C78, b""]})
    assert (tmp_path / "d" / "a.tfrecord").read_bytes()[:2] == b"\x78\x9c"
    assert len(read(tmp_path / "d")[0]) == 2


@pytest.mark.parametrize("feature", ["label", "image__class__text"])
def test_names_are_numbered_over_all_files(tmp_path, png, feature):
    files = {
        f"{name}.tfrecord": [example(image=png(index), **{feature: name.encode()})]
        for index, name in enumerate(["cat", "ant", "bee"])
    }
    write(tmp_path / "d", files)
    found, _ = read(tmp_path / "d")
    assert found == {"ant.tfrecord#0": 0, "bee.tfrecord#0": 1, "cat.tfrecord#0": 2}


def test_examples_of_this_project_keep_their_classes(tmp_path, png):
    """In a part of them, there may be gaps."""
    records = [
        example(image__encoded=png(index), image__class__label=label, image__class__text=name)
        for index, (label, name) in enumerate([(5, b"cat"), (2, b"")])
    ]
    write(tmp_path / "Split-eval", {"data_tfrecord-00000-of-00001.gz": records}, "GZIP")
    found = dataset.inspect(str(tmp_path)).read()
    assert (found.labels.tolist(), found.class_names) == ([5, 2], {5: "cat"})


# Records, and what `new` says of them.
NO_IMAGES = {
    "raw pixels": (
        [example(image_raw=bytes(768), height=16, width=16, depth=3)],
        "none of 1 records is an image: a.tfrecord#0: .*768 bytes, as many as 16x16x3 raw pixels",
    ),
    "a tensor": (
        [example(image=tf.io.serialize_tensor(tf.zeros((5, 5, 3), tf.uint8)).numpy())],
        "a.tfrecord#0: .*looks like a serialized tensor",
    ),
    "other names": (
        [example(jpeg=b"", y=1)],
        "a.tfrecord#0: .*only jpeg, y; data.features names them",
    ),
    "no records": ([], "the files hold no records"),
}


@pytest.mark.parametrize(("records", "message"), NO_IMAGES.values(), ids=NO_IMAGES)
def test_files_without_images_say_what_they_hold(tmp_path, records, message):
    write(tmp_path / "d", {"a.tfrecord": records})
    reader = TFRecordReader()
    found = dataset.find(str(tmp_path / "d"), reader)
    with pytest.raises(ValueError, match=message) as caught:
        _ = found.preview
    assert str(caught.value).startswith(str(tmp_path / "d"))


def test_a_file_that_is_no_tfrecord(tmp_path):
    (tmp_path / "a.tfrecord").write_bytes(b"hello, this is a text of more than sixteen bytes")
    with pytest.raises(ValueError, match=r"a\.tfrecord: not a whole .*damaged from its start"):
        read(tmp_path)
