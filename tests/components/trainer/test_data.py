import itertools

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from components import examples
from components.trainer import data


def _numbered(count):
    """Data that are their own index, with labels that follow from it."""
    index = np.arange(count)
    return (index.astype(np.float32) / 1000)[:, np.newaxis], index % 7


def _stream(count, batch=None, labels=True):
    dataset = tf.data.Dataset.from_tensor_slices(
        _numbered(count) if labels else _numbered(count)[0]
    )
    return dataset.batch(batch) if batch else dataset


def _indices(element):
    return np.round(element["real"] * 1000).astype(int)[..., 0]


def _steps(dataset, steps, **options):
    options = {"latent_dim": 2, "seed": 3, "discriminator_steps": 1, **options}
    batches = data.step_batches(data.open_source(dataset), **options)
    return list(itertools.islice(batches.as_numpy_iterator(), steps))


KINDS = {
    "array": _numbered,
    "elements": _stream,
    "batches": lambda count: _stream(count, batch=3),
}


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
@settings(max_examples=6, deadline=None)
@given(
    count=st.integers(4, 40),
    batch_size=st.integers(1, 4),
    discriminator_steps=st.integers(1, 3),
    first_step=st.integers(0, 30),
)
def test_starting_later_sees_what_would_have_been_seen(
    kind, count, batch_size, discriminator_steps, first_step
):
    options = {
        "batch_size": batch_size,
        "discriminator_steps": discriminator_steps,
        "with_labels": True,
    }
    whole = _steps(kind(count), first_step + 3, **options)
    later = _steps(kind(count), 3, first_step=first_step, **options)

    for element, element_later in zip(whole[-3:], later, strict=True):
        assert set(element) == {"real", "latents", "labels"}
        for name, value in element.items():
            np.testing.assert_array_equal(value, element_later[name])


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
@settings(max_examples=5, deadline=None)
@given(count=st.integers(2, 30), batch_size=st.integers(1, 7), updates=st.integers(1, 2))
def test_every_epoch_holds_every_datum_once_with_its_label(kind, count, batch_size, updates):
    batch_size = min(batch_size, count)
    elements = _steps(
        kind(count),
        2 * count,
        batch_size=batch_size,
        discriminator_steps=updates,
        with_labels=True,
    )
    seen = np.concatenate([_indices(element).ravel() for element in elements])
    labels = np.concatenate([element["labels"].ravel() for element in elements])
    epochs = seen[: len(seen) // count * count].reshape(-1, count)

    np.testing.assert_array_equal(np.sort(epochs, axis=1), [np.arange(count)] * len(epochs))
    np.testing.assert_array_equal(labels, seen % 7)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
@settings(max_examples=5, deadline=None)
@given(
    replicas=st.integers(1, 4),
    share=st.integers(1, 3),
    updates=st.integers(1, 2),
    first_step=st.integers(0, 9),
    workers=st.integers(1, 4),
)
def test_replicas_together_have_the_batch_of_one(
    kind, replicas, share, updates, first_step, workers
):
    workers = max(n for n in range(1, workers + 1) if replicas % n == 0)
    local = replicas // workers
    options = {
        "batch_size": replicas * share,
        "discriminator_steps": updates,
        "first_step": first_step,
        "with_labels": True,
    }
    one = _steps(kind(20), 3, **options)
    parts = [
        _steps(kind(20), 3 * local, replicas=replicas, replica_range=(at, at + local), **options)
        for at in range(0, replicas, local)
    ]
    for step, element in enumerate(one):
        slices = [part for worker in parts for part in worker[step * local : (step + 1) * local]]
        assert len(slices) == replicas
        for name, value in element.items():
            together = np.concatenate([part[name] for part in slices])
            np.testing.assert_array_equal(together, value)


def test_epochs_have_orders_of_their_own_and_the_seed_decides_them():
    first, second = (_indices(e).ravel() for e in _steps(_numbered(50), 2, batch_size=50))
    (other,) = (_indices(e).ravel() for e in _steps(_numbered(50), 1, batch_size=50, seed=4))

    assert not np.array_equal(first, second)
    assert not np.array_equal(first, other)


def test_shuffles_move_data_as_far_as_permutations_do():
    """Mean distances from the files' order, and from one epoch to the next, are a third of all."""
    count = 1000
    orders = [np.arange(count)]
    for element in _steps(_numbered(count), 3, batch_size=count):
        orders.append(np.argsort(_indices(element).ravel()))
    for before, after in itertools.pairwise(orders):
        # The standard deviation over random permutations is 0.007.
        assert abs(np.abs(after - before).mean() / count - 1 / 3) < 0.03
        # Neighbours do not stay together: next to each other by chance twice in all.
        assert np.count_nonzero(np.abs(np.diff(after)) == 1) < 12


@pytest.fixture
def in_file(tmp_path):
    """Maps a file that holds an array."""

    def make(array):
        path = tmp_path / "data"
        array.tofile(path)
        return np.memmap(path, array.dtype, "r", shape=array.shape)

    return make


def test_a_map_of_a_file_gives_the_batches_of_an_array(in_file):
    images = np.random.default_rng(0).integers(0, 256, (50, 8, 8, 3), dtype=np.uint8)
    labels = np.arange(50)
    options = {"batch_size": 7, "with_labels": True}
    for one, other in zip(
        _steps((images, labels), 20, **options),
        _steps((in_file(images), labels), 20, **options),
        strict=True,
    ):
        for name, value in one.items():
            np.testing.assert_array_equal(value, other[name])


def test_data_beyond_memory(tmp_path):
    """60 GB, in a file with holes: a copy of them would be refused, or take minutes."""
    shape = (2**20, 128, 128, 4)
    images = np.memmap(tmp_path / "data", np.uint8, "w+", shape=shape)
    source = data.open_source(images)
    assert source.take(5, seed=0)[0].shape == (5, *shape[1:])
    batches = data.step_batches(source, batch_size=4, discriminator_steps=1, latent_dim=2, seed=0)
    assert next(batches.as_numpy_iterator())["real"].shape == (4, 1, *shape[1:])


def test_a_stream_keeps_its_order():
    elements = _steps(_stream(10, batch=4), 3, batch_size=4)
    seen = np.concatenate([_indices(element).ravel() for element in elements])

    np.testing.assert_array_equal(seen, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1])


def test_a_stream_with_a_seeded_shuffle_resumes():
    def shuffled():
        return _stream(30).shuffle(30, seed=1)

    whole = _steps(shuffled(), 12, batch_size=4)
    later = _steps(shuffled(), 2, batch_size=4, first_step=10)
    for element, element_later in zip(whole[-2:], later, strict=True):
        np.testing.assert_array_equal(element["real"], element_later["real"])
    assert not np.array_equal(np.sort(_indices(whole[0])), np.arange(4)[:, np.newaxis])


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_shapes_and_fresh_latents(kind):
    options = {"batch_size": 4, "discriminator_steps": 3, "with_labels": True}
    first, second = _steps(kind(20), 2, **options)

    assert first["real"].shape == (4, 3, 1)
    assert first["real"].dtype == np.float32
    assert first["latents"].shape == (4, 3, 2)
    assert first["latents"].dtype == np.float32
    assert first["labels"].shape == (4, 3)
    assert first["labels"].dtype == np.int32
    latents = np.concatenate([first["latents"].ravel(), second["latents"].ravel()])
    assert len(np.unique(latents)) == 48


def test_static_shapes_are_known_to_the_training_step():
    source = data.open_source(_numbered(20))
    for replicas in (1, 2):
        spec = data.step_batches(
            source,
            batch_size=4,
            discriminator_steps=3,
            latent_dim=2,
            seed=0,
            replicas=replicas,
            replica_range=(0, replicas),
            with_labels=True,
        ).element_spec
        shapes = {name: part.shape.as_list() for name, part in spec.items()}
        share = 4 // replicas
        assert shapes == {"real": [share, 3, 1], "latents": [share, 3, 2], "labels": [share, 3]}


def test_labels_are_left_out_where_nobody_asks():
    (element,) = _steps(_numbered(8), 1, batch_size=4)
    assert set(element) == {"real", "latents"}


def _uint8(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


IMAGES = _uint8(30, 8, 6, 1)
LABELS = np.array([0, 2] * 15)
STREAMS = tf.data.Dataset

# The dataset, the shape that is given, and what it is: (count, dtype, has_labels, num_classes).
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
    source = data.open_source(dataset, shape)
    (element,) = itertools.islice(
        data.step_batches(
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
    assert data.open_source(source) is source


def test_a_shape_tells_single_data_from_batches():
    matrices = tf.data.Dataset.from_tensor_slices(np.zeros((12, 4, 5), np.float32))
    single = data.open_source(matrices, (4, 5))
    batched = data.open_source(matrices, (5,))

    assert (single.count, single.data_shape) == (12, (4, 5))
    assert (batched.count, batched.data_shape) == (48, (5,))


def test_class_shares_are_those_of_the_labels():
    source = data.open_source((IMAGES, np.array([0] * 6 + [3] * 24)))

    assert source.class_shares.dtype == np.float64
    np.testing.assert_allclose(source.class_shares, [0.2, 0, 0, 0.8])
    assert data.open_source(IMAGES).class_shares is None


def test_arrays_give_a_random_choice_and_streams_their_first():
    numbers, labels = _numbered(40)
    source, stream = data.open_source((numbers, labels)), data.open_source(_stream(40, batch=7))
    (first, classes), (again, _), (other, _) = (source.take(30, seed) for seed in (1, 1, 2))

    assert len(np.unique(first)) == 30
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    np.testing.assert_array_equal(classes, _indices({"real": first}) % 7)
    assert set(source.take(100, 0)[0].ravel()) == set(numbers.ravel())
    for count in (30, 100):
        for found, whole in zip(stream.take(count, 1), (numbers, labels), strict=True):
            np.testing.assert_array_equal(found, whole[:count])


@pytest.mark.parametrize("dataset", [_numbered(5)[0], _stream(5, labels=False)])
def test_data_without_labels_are_taken_without(dataset):
    found, labels = data.open_source(dataset).take(3, 0)
    assert found.shape == (3, 1)
    assert labels is None


@pytest.fixture
def written(tmp_path):
    """A folder of two TFRecord files of IMAGES, as ExampleGen leaves them."""

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
    source = data.open_source(written(labels) / pattern)

    assert source.count == rows
    assert source.data_shape == (8, 6, 1)
    assert source.num_classes == (3 if labels else 0)
    found = source.take(rows, 0)[0].reshape(rows, -1)
    expected = IMAGES[-rows:].reshape(rows, -1)
    np.testing.assert_array_equal(found[np.lexsort(found.T)], expected[np.lexsort(expected.T)])


WITH_NAN = np.zeros((10, 3), np.float32)
WITH_NAN[3, 1], WITH_NAN[5, 2] = np.nan, np.inf

WRONG = {
    "no rows": (np.zeros((0, 8, 8, 1)), r"dataset: \[0, 8, 8, 1\] holds no data"),
    "scalar": (np.float32(1), r"dataset: \[\] holds no data"),
    "nan": (WITH_NAN, "dataset: 2 of 30 values are NaN or infinite"),
    "scale": (np.full((4, 2), 255.0), "dataset: floats from 255 to 255; scale to"),
    "negative scale": (np.full((4, 2), -3.0), "dataset: floats from -3 to -3; scale to"),
    "int32": (np.zeros((4, 2), np.int32), "dataset: int32 data, expected uint8 images or floats"),
    "bool": (np.zeros((4, 2), bool), "dataset: bool data, expected uint8"),
    "objects": ([object(), object()], "dataset: list of objects, expected an array"),
    "ragged": ([np.zeros(2), np.zeros(3)], "dataset: list is not one array"),
    "triple": ((IMAGES, LABELS, LABELS), r"dataset: a tuple of 3, expected \(data, labels\)"),
    "keras": (((IMAGES, LABELS), (IMAGES, LABELS)), "dataset: tuple is not one array"),
    "no file": ("/nowhere/*.gz", r"dataset: no file at /nowhere/\*.gz"),
    "float labels": ((IMAGES, LABELS * 1.0), r"labels: float64 \[30\], expected integers \[30\]"),
    "one-hot": ((IMAGES, np.eye(30, 5, dtype=int)), r"labels: int64 \[30, 5\], expected integers"),
    "label count": ((IMAGES, LABELS[:20]), "labels: 20 for 30 data, expected one a datum"),
    "negative": ((IMAGES, LABELS - 1), "labels: -1 at index 0, expected classes from 0"),
    "empty stream": (STREAMS.from_tensor_slices(IMAGES).take(0), "dataset: holds no data"),
    "empty batches": (STREAMS.from_tensor_slices(IMAGES).batch(4).take(0), "holds no data"),
    "stream scale": (STREAMS.from_tensor_slices(IMAGES * 1.0), "floats from 0 to 255; scale"),
    "stream dtype": (STREAMS.from_tensor_slices(LABELS[:, None]), "int64 data, expected uint8"),
    "dict": (STREAMS.from_tensor_slices({"image": IMAGES}), "dataset: elements are {'image':"),
    "rank": (
        STREAMS.from_tensor_slices(LABELS),
        r"elements of shape \[\], expected vectors, images or batches of them; .* give data_shape",
    ),
    "label rank": (
        STREAMS.from_tensor_slices((IMAGES, LABELS[:, None])),
        r"labels: \[1\] for data \[8, 6, 1\], expected one a datum",
    ),
    "stream labels": (
        STREAMS.from_tensor_slices((IMAGES, LABELS - 1)),
        "labels: -1 at index 0",
    ),
}


@pytest.mark.parametrize(("dataset", "message"), WRONG.values(), ids=WRONG)
def test_what_is_no_dataset_is_refused_in_one_line(dataset, message):
    with pytest.raises(ValueError, match=message) as error:
        data.open_source(dataset)
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
        data.open_source(dataset, (8, 6, 3))


@pytest.mark.parametrize("content", [b"", b"\x89PNG not a record", None])
def test_files_of_something_else_are_named(tmp_path, content):
    path = tmp_path / "other.gz"
    if content is None:
        with tf.io.TFRecordWriter(str(path), "GZIP") as writer:
            writer.write(tf.train.Example().SerializeToString())
    else:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=r"other.gz: not a gz|no examples in .*other.gz"):
        data.open_source(path)


UNUSABLE = {
    "array": (IMAGES, {"batch_size": 40}, "batch_size: 40 is more than the 30 data of the dataset"),
    "stream": (
        STREAMS.from_tensor_slices(np.tile(IMAGES, (10, 1, 1, 1))).filter(lambda image: True),
        {"batch_size": 400},
        "batch_size: 400 is more than the 300 data of the dataset",
    ),
    "labels": (IMAGES, {"with_labels": True}, "conditioning: the dataset has no labels"),
    "replicas": (IMAGES, {"replicas": 3}, "batch_size: 4 is not a multiple of the 3 devices"),
}


@pytest.mark.parametrize(("dataset", "options", "message"), UNUSABLE.values(), ids=UNUSABLE)
def test_options_that_do_not_fit_the_data_are_refused(dataset, options, message):
    with pytest.raises(ValueError, match=message):
        _steps(dataset, 1, **{"batch_size": 4, **options})


def test_the_default_strategy_has_the_whole_batch():
    options = {"batch_size": 4, "discriminator_steps": 2, "latent_dim": 3, "seed": 1}
    source = data.open_source(_numbered(20))
    batches = data.distributed_batches(tf.distribute.get_strategy(), source, **options)
    expected = data.step_batches(source, **options).as_numpy_iterator()

    for _ in range(3):
        found, wanted = next(batches), next(expected)
        for name, value in wanted.items():
            np.testing.assert_array_equal(found[name], value)


def test_mirrored_devices_together_have_the_batch_of_one(two_devices):
    source = data.open_source(np.arange(50, dtype=np.uint8)[:, np.newaxis])
    options = {"batch_size": 6, "discriminator_steps": 2, "latent_dim": 3, "seed": 5}
    batches = data.distributed_batches(two_devices, source, first_step=7, **options)
    whole = data.step_batches(source, first_step=7, **options).as_numpy_iterator()
    for _ in range(5):
        own, every = next(batches), next(whole)
        for name, value in every.items():
            parts = two_devices.experimental_local_results(own[name])
            assert len(parts) == 2
            np.testing.assert_array_equal(np.concatenate(parts), value)
