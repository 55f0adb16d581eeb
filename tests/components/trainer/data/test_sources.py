import itertools

import numpy as np
import pytest
import tensorflow as tf

from components.data import examples
from components.trainer.data import batches, sources


def _uint8(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


IMAGES = _uint8(30, 8, 6, 1)
LABELS = np.array([0, 2] * 15)
STREAMS = tf.data.Dataset

# The dataset, the data_shape argument, and the expected (count, dtype, has_labels, num_classes).
OPENED = {
    "images": (IMAGES, None, (30, np.uint8, False, 0)),
    "shape": (IMAGES, (8, 6, 1), (30, np.uint8, False, 0)),
    "list": (list(IMAGES), None, (30, np.uint8, False, 0)),
    "tensor": (tf.constant(IMAGES), None, (30, np.uint8, False, 0)),
    "float64": (IMAGES / 127.5 - 1, None, (30, np.float32, False, 0)),
    "float16": ((IMAGES / 127.5 - 1).astype(np.float16), None, (30, np.float32, False, 0)),
    "overshoot": (IMAGES / 127.5 - 0.8, None, (30, np.float32, False, 0)),
    "pair": ((IMAGES, LABELS), None, (30, np.uint8, True, 3)),
    "column": ((IMAGES, LABELS[:, np.newaxis].astype(np.uint8)), None, (30, np.uint8, True, 3)),
    "elements": (STREAMS.from_tensor_slices(IMAGES), None, (30, np.uint8, False, 0)),
    "batches": (STREAMS.from_tensor_slices(IMAGES).batch(8), None, (30, np.uint8, False, 0)),
    "stream pair": (
        STREAMS.from_tensor_slices((IMAGES, LABELS)).batch(8, drop_remainder=True),
        (8, 6, 1),
        (24, np.uint8, True, 0),
    ),
    "tuple of one": (STREAMS.from_tensor_slices((IMAGES,)), None, (30, np.uint8, False, 0)),
    "float64 stream": (
        STREAMS.from_tensor_slices(IMAGES / 255.0),
        None,
        (30, np.float32, False, 0),
    ),
    "no end": (STREAMS.from_tensor_slices(IMAGES).repeat(), None, (None, np.uint8, False, 0)),
    "no size": (
        STREAMS.from_tensor_slices(IMAGES).filter(lambda image: True),
        None,
        (30, np.uint8, False, 0),
    ),
    "large, no size": (
        STREAMS.from_tensor_slices(np.tile(IMAGES, (10, 1, 1, 1))).filter(lambda image: True),
        None,
        (None, np.uint8, False, 0),
    ),
    "large batches": (
        STREAMS.from_tensor_slices(np.tile(IMAGES, (10, 1, 1, 1))).batch(50, drop_remainder=True),
        None,
        (300, np.uint8, False, 0),
    ),
}


@pytest.mark.parametrize(("dataset", "shape", "expected"), OPENED.values(), ids=OPENED)
def test_what_a_user_may_call_a_dataset(dataset, shape, expected):
    source = sources.open_source(dataset, shape)
    (element,) = itertools.islice(
        batches.step_batches(
            source,
            batch_size=20,
            discriminator_steps=1,
            latent_dim=2,
            seed=0,
            with_labels=source.has_labels,
        ).as_numpy_iterator(),
        1,
    )

    assert source.data_shape == (8, 6, 1)
    found = (source.count, source.dtype, source.has_labels, source.num_classes)
    assert found == expected
    assert element["real"].shape == (20, 1, 8, 6, 1)
    assert element["real"].dtype == source.dtype
    assert sources.open_source(source) is source


def test_only_images_are_mirrored():
    assert sources.open_source(sources.open_source(IMAGES, mirror=True)).mirror
    assert not sources.open_source(IMAGES).mirror
    with pytest.raises(
        ValueError, match=r"mirror: true is for images .* shape \[5\]; leave it out"
    ):
        sources.open_source(np.zeros((9, 5), np.float32), mirror=True)


def test_a_shape_tells_single_data_from_batches():
    matrices = tf.data.Dataset.from_tensor_slices(np.zeros((12, 4, 5), np.float32))
    single = sources.open_source(matrices, (4, 5))
    batched = sources.open_source(matrices, (5,))

    assert (single.count, single.data_shape) == (12, (4, 5))
    assert (batched.count, batched.data_shape) == (48, (5,))


def test_class_shares_are_those_of_the_labels():
    source = sources.open_source((IMAGES, np.array([0] * 6 + [3] * 24)))

    assert source.class_shares.dtype == np.float64
    np.testing.assert_allclose(source.class_shares, [0.2, 0, 0, 0.8])
    assert sources.open_source(IMAGES).class_shares is None


def _numbered(count):
    """Data that hold their index, with labels computed from it."""
    index = np.arange(count)
    return (index.astype(np.float32) / 1000)[:, np.newaxis], index % 7


def test_arrays_give_a_random_choice_and_streams_their_first():
    numbers, labels = _numbered(40)
    source = sources.open_source((numbers, labels))
    stream = sources.open_source(STREAMS.from_tensor_slices((numbers, labels)).batch(7))
    (first, classes), (again, _), (other, _) = (source.take(30, seed) for seed in (1, 1, 2))

    assert len(np.unique(first)) == 30
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    np.testing.assert_array_equal(classes, np.round(first[:, 0] * 1000) % 7)
    assert set(source.take(100, 0)[0].ravel()) == set(numbers.ravel())
    for count in (30, 100):
        for found, whole in zip(stream.take(count, 1), (numbers, labels), strict=True):
            np.testing.assert_array_equal(found, whole[:count])


@pytest.mark.parametrize("dataset", [_numbered(5)[0], STREAMS.from_tensor_slices(_numbered(5)[0])])
def test_data_without_labels_are_taken_without(dataset):
    found, labels = sources.open_source(dataset).take(3, 0)
    assert found.shape == (3, 1)
    assert labels is None


@pytest.fixture
def written(tmp_path):
    """A folder of two TFRecord files of IMAGES, as written by ExampleGen."""

    def write(labels):
        for part in range(2):
            path = str(tmp_path / f"data_tfrecord-{part}.gz")
            with tf.io.TFRecordWriter(path, "GZIP") as writer:
                for index in range(part * 15, part * 15 + 15):
                    label = int(LABELS[index]) if labels else None
                    record = examples.from_array(IMAGES[index], str(index), label)
                    writer.write(examples.to_example(record).SerializeToString())
        (tmp_path / ".hidden").write_text("not for reading")
        (tmp_path / "folder").mkdir()
        return tmp_path

    return write


@pytest.mark.parametrize(("pattern", "rows"), [("", 30), ("data*", 30), ("data_tfrecord-1.gz", 15)])
@pytest.mark.parametrize("labels", [True, False])
def test_paths_of_examples(written, pattern, rows, labels):
    source = sources.open_source(written(labels) / pattern)

    assert source.count == rows
    assert source.data_shape == (8, 6, 1)
    assert source.num_classes == (3 if labels else 0)
    found = source.take(rows, 0)[0].reshape(rows, -1)
    expected = IMAGES[-rows:].reshape(rows, -1)
    np.testing.assert_array_equal(found[np.lexsort(found.T)], expected[np.lexsort(expected.T)])


WITH_NAN = np.zeros((10, 3), np.float32)
WITH_NAN[3, 1], WITH_NAN[5, 2] = np.nan, np.inf

WRONG = {
    "no rows": (np.zeros((0, 8, 8, 1)), r"dataset: .*\[0, 8, 8, 1\] holds no data"),
    "scalar": (np.float32(1), r"dataset: .*\[\] holds no data"),
    "nan": (WITH_NAN, "dataset: 2 of 30 values are NaN or infinite"),
    "scale": (np.full((4, 2), 255.0), "dataset: floats from 255 to 255; scale"),
    "negative scale": (np.full((4, 2), -3.0), "dataset: floats from -3 to -3; scale"),
    "int32": (np.zeros((4, 2), np.int32), "dataset: int32 data, expected uint8 images or floats"),
    "bool": (np.zeros((4, 2), bool), "dataset: bool data, expected uint8"),
    "objects": ([object(), object()], "dataset: list of objects, expected an array"),
    "ragged": ([np.zeros(2), np.zeros(3)], "dataset: list .*array"),
    "triple": ((IMAGES, LABELS, LABELS), r"dataset: a tuple of 3, expected \(data, labels\)"),
    "keras": (((IMAGES, LABELS), (IMAGES, LABELS)), "dataset: tuple .*array"),
    "no file": ("/nowhere/*.gz", r"dataset: no file at /nowhere/\*.gz"),
    "float labels": ((IMAGES, LABELS * 1.0), r"labels: float64 \[30\], expected integers \[30\]"),
    "one-hot": ((IMAGES, np.eye(30, 5, dtype=int)), r"labels: int64 \[30, 5\], expected integers"),
    "label count": ((IMAGES, LABELS[:20]), "labels: 20 for 30 data, expected one per datum"),
    "negative": ((IMAGES, LABELS - 1), "labels: -1 at index 0, expected classes from 0"),
    "empty stream": (STREAMS.from_tensor_slices(IMAGES).take(0), "dataset: holds no data"),
    "empty batches": (STREAMS.from_tensor_slices(IMAGES).batch(4).take(0), "holds no data"),
    "stream scale": (STREAMS.from_tensor_slices(IMAGES * 1.0), "floats from 0 to 255; scale"),
    "stream dtype": (STREAMS.from_tensor_slices(LABELS[:, None]), "int64 data, expected uint8"),
    "dict": (STREAMS.from_tensor_slices({"image": IMAGES}), "dataset: elements are {'image':"),
    "rank": (
        STREAMS.from_tensor_slices(LABELS),
        r"elements of shape \[\], expected vectors, images or batches of them; .*data_shape",
    ),
    "label rank": (
        STREAMS.from_tensor_slices((IMAGES, LABELS[:, None])),
        r"labels: .*\[1\] for data .*\[8, 6, 1\], expected one per datum",
    ),
    "stream labels": (
        STREAMS.from_tensor_slices((IMAGES, LABELS - 1)),
        "labels: -1 at index 0",
    ),
}


@pytest.mark.parametrize(("dataset", "message"), WRONG.values(), ids=WRONG)
def test_what_is_no_dataset_is_refused_in_one_line(dataset, message):
    with pytest.raises(ValueError, match=message) as error:
        sources.open_source(dataset)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        (IMAGES, r"dataset: data of shape \[8, 6, 1\], expected \[8, 6, 3\]"),
        (STREAMS.from_tensor_slices(IMAGES), r"of shape \[8, 6, 1\], expected \[8, 6, 3\]"),
        (STREAMS.from_tensor_slices(LABELS), r"of shape \[\], expected data \[8, 6, 3\] or batch"),
    ],
)
def test_another_shape_than_the_networks_is_refused(dataset, message):
    with pytest.raises(ValueError, match=message):
        sources.open_source(dataset, (8, 6, 3))


@pytest.mark.parametrize("content", [b"", b"\x89PNG not a record", None])
def test_files_of_something_else_are_named(tmp_path, content):
    path = tmp_path / "other.gz"
    if content is None:
        with tf.io.TFRecordWriter(str(path), "GZIP") as writer:
            writer.write(tf.train.Example().SerializeToString())
    else:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=r"other.gz: not a gz|no examples in .*other.gz"):
        sources.open_source(path)
