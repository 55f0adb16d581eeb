import dataclasses
import hashlib
import io
import resource
import tempfile
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from components.data import examples
from components.example_gen.formats.idx import read_idx

DIGITS = Path(__file__).parents[3] / "data/digits"


@pytest.fixture(scope="module")
def records():
    images = read_idx(str(DIGITS / "t10k-images-idx3-ubyte.gz"))
    labels = read_idx(str(DIGITS / "t10k-labels-idx1-ubyte.gz"))
    return [
        examples.from_array(image, f"digits#{index}", label)
        for index, (image, label) in enumerate(zip(images, labels.tolist(), strict=True))
    ]


@pytest.fixture
def written(tmp_path):
    """Writes records as the gzipped TFRecord files that ExampleGen leaves."""

    def write(*shards):
        files = [str(tmp_path / f"data_tfrecord-{index}.gz") for index in range(len(shards))]
        for file, shard in zip(files, shards, strict=True):
            with tf.io.TFRecordWriter(file, "GZIP") as writer:
                for record in shard:
                    writer.write(examples.to_example(record).SerializeToString())
        return files

    return write


def pixels(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def test_images_come_back_in_order(records, written):
    found = examples.read_images(written(records[:200], records[200:]), (8, 8, 1))
    np.testing.assert_array_equal(
        found.data[..., 0], read_idx(str(DIGITS / "t10k-images-idx3-ubyte.gz"))
    )
    np.testing.assert_array_equal(found.labels, [record.label for record in records])
    assert len(found) == 300


def test_classes_have_the_names_that_come_with_the_data(records, written):
    names = {0: "zero", 3: "drei", 7: "sept"}
    named = [
        dataclasses.replace(record, class_name=names.get(record.label)) for record in records[:200]
    ]
    # Nameless examples of a class do not take its name away, wherever they are.
    shards = records[200:], named, records[200:]

    found = examples.read_images(written(*shards), (8, 8, 1))

    assert found.class_names == names
    assert examples.read_images(written(records), (8, 8, 1)).class_names == {}
    unlabelled = [dataclasses.replace(record, label=None) for record in named]
    assert examples.read_images(written(unlabelled), (8, 8, 1)).class_names == {}


def test_images_are_a_map_of_a_file_without_a_name(records, written, tmp_path, monkeypatch):
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    found = examples.read_images(written(records), (8, 8, 1))
    assert isinstance(found.data, np.memmap)
    # TensorFlow puts the code that it generates there.
    assert not [path for path in folder.iterdir() if path.suffix != ".py"]


def test_a_full_disk_is_named_with_what_it_takes(records, written, tmp_path, monkeypatch):
    files = written(records)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        with pytest.raises(OSError, match=f"^{tmp_path}: .*; the decoded images take 19,200 bytes"):
            examples.read_images(files, (8, 8, 1))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize("shape", [(1, 1, 1), (5, 7, 1), (1, 1, 3), (5, 7, 3), (64, 48, 3)])
def test_png_files_hold_the_pixels(shape):
    image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)

    with Image.open(io.BytesIO(examples.png(image))) as read:
        read.load()
        assert read.mode == {1: "L", 3: "RGB"}[shape[2]]
        np.testing.assert_array_equal(np.asarray(read).reshape(shape), image)


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 1), (5, 7, 3)])
def test_arrays_are_stored_without_loss(written, shape):
    image = pixels(*shape)
    (height, width, channels) = (*shape, 1)[:3]
    found = examples.read_images(
        written([examples.from_array(image, "a")]), (height, width, channels)
    )
    np.testing.assert_array_equal(found.data[0], image.reshape(height, width, channels))
    assert found.labels is None


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ({"encoded": b"", "decode_ok": False}, "digits#7: the image does not decode"),
        ({"height": 9}, "digits#7: the image is 9x8x1 .*, expected 8x8x1"),
        ({"channels": 3}, "digits#7: the image is 8x8x3"),
        ({"label": None}, "1 of 300 examples have none, the first is digits#7"),
    ],
)
def test_an_example_that_does_not_fit_is_named(records, written, damage, message):
    damaged = [*records[:7], dataclasses.replace(records[7], **damage), *records[8:]]
    with pytest.raises(ValueError, match=message):
        examples.read_images(written(damaged), (8, 8, 1))


def test_no_examples(written):
    (file,) = written([])
    with pytest.raises(ValueError, match=f"no examples in {file}"):
        examples.read_images([file], (8, 8, 1))
    with pytest.raises(ValueError, match="no examples in an empty list of files"):
        examples.read_images([], (8, 8, 1))


def test_what_is_known_of_the_pixels():
    image = np.array([[0, 51], [102, 255]], np.uint8)
    record = examples.from_array(image, "a")
    # (0 + .2 + .4 + 1) / 4, and the root of ((.4² + .2² + 0 + .6²) / 4).
    assert record.mean == pytest.approx(0.4)
    assert record.contrast == pytest.approx(0.14**0.5)
    assert record.digest == hashlib.sha256(bytes([0, 51, 102, 255])).hexdigest()[:16]
    feature = examples.to_example(record).features.feature
    assert feature[examples.MEAN].float_list.value[0] == pytest.approx(0.4)
    assert feature[examples.CONTRAST].float_list.value[0] == pytest.approx(0.14**0.5)
    assert feature[examples.HASH].bytes_list.value[0].decode() == record.digest
    assert feature[examples.DECODE_OK].int64_list.value[0] == 1


@pytest.mark.parametrize(
    ("pixels", "expected"),
    [
        (np.zeros((2, 2)), "black"),
        (np.full((2, 2, 3), 255), "white"),
        (np.full((2, 2), 7), "plain"),
        (np.full((2, 2, 3), (255, 0, 255)), "plain"),
        (np.eye(2), "no"),
        (np.arange(12).reshape(2, 2, 3), "no"),
    ],
)
def test_blank_images_are_said_to_be_so(pixels, expected):
    record = examples.from_array(pixels.astype(np.uint8), "a")
    assert record.blank == expected
    feature = examples.to_example(record).features.feature
    assert feature[examples.BLANK].bytes_list.value[0].decode() == expected


def test_float_and_back_is_exact():
    values = tf.range(256)
    floats = examples.to_float(tf.cast(values, tf.uint8))
    assert (float(floats[0]), float(floats[-1])) == (-1.0, 1.0)
    np.testing.assert_array_equal(examples.to_uint8(floats), values)


def test_to_uint8_clips():
    np.testing.assert_array_equal(examples.to_uint8(tf.constant([-1.5, 1.5, 0.0])), [0, 255, 128])
