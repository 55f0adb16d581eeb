import itertools

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from components.trainer.data import sources
from components.trainer.data.batches import distributed_batches, step_batches


def _numbered(count):
    """Data that hold their index, with labels computed from it."""
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
    batches = step_batches(sources.open_source(dataset), **options)
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
    """Mean displacement from the file order, and between epochs, is a third of the length."""
    count = 1000
    orders = [np.arange(count)]
    for element in _steps(_numbered(count), 3, batch_size=count):
        orders.append(np.argsort(_indices(element).ravel()))
    for before, after in itertools.pairwise(orders):
        # The standard deviation over random permutations is 0.007.
        assert abs(np.abs(after - before).mean() / count - 1 / 3) < 0.03
        # Neighbours are separated: by chance, two pairs remain adjacent.
        assert np.count_nonzero(np.abs(np.diff(after)) == 1) < 12


@pytest.fixture
def in_file(tmp_path):
    """Memory-maps a file that holds an array."""

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
    """60 GB in a sparse file: copying them would fail, or take minutes."""
    shape = (2**20, 128, 128, 4)
    images = np.memmap(tmp_path / "data", np.uint8, "w+", shape=shape)
    source = sources.open_source(images)
    assert source.take(5, seed=0)[0].shape == (5, *shape[1:])
    batches = step_batches(source, batch_size=4, discriminator_steps=1, latent_dim=2, seed=0)
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
    source = sources.open_source(_numbered(20))
    for replicas in (1, 2):
        spec = step_batches(
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


@pytest.fixture(scope="module")
def numbered_images():
    """uint8 [40, 2, 3, 1]: a datum's index at the left, 255 at the right."""
    images = np.zeros((40, 2, 3, 1), np.uint8)
    images[:, :, 0, 0] = np.arange(40)[:, np.newaxis]
    images[:, :, 2] = 255
    return images


@pytest.mark.parametrize("kind", ["array", "floats", "stream"])
def test_half_of_the_images_are_mirror_images(kind, numbered_images):
    dataset = {
        "array": numbered_images,
        "floats": (numbered_images / 127.5 - 1).astype(np.float32),
        "stream": tf.data.Dataset.from_tensor_slices(numbered_images),
    }[kind]
    options = {"batch_size": 20, "discriminator_steps": 2}
    plain = np.stack([each["real"] for each in _steps(dataset, 100, **options)])
    source = sources.open_source(dataset, mirror=True)
    found = np.stack([each["real"] for each in _steps(source, 100, **options)])

    mirrored = (found == plain[..., ::-1, :]).all(axis=(3, 4, 5))
    assert (mirrored ^ (found == plain).all(axis=(3, 4, 5))).all()
    # Of 4000 fair draws, 2000 with a standard deviation of 32; of a datum's 100, 50 with 5.
    assert abs(mirrored.sum() - 2000) < 130
    places = np.round(
        np.where(plain < 1, plain * 127.5 + 127.5, 255) if kind == "floats" else plain
    )
    of_data = np.bincount(places[..., 0, 0, 0].ravel().astype(int), mirrored.ravel(), 40)
    assert abs(of_data - 50).max() < 25
    # Neither the place in a batch nor the step decides.
    assert abs(mirrored.mean(axis=0) - 0.5).max() < 0.25
    assert abs(mirrored.mean(axis=(1, 2)) - 0.5).max() < 0.4


def test_mirroring_leaves_order_latents_and_labels_alone(numbered_images):
    dataset = numbered_images, np.arange(40) % 3
    options = {"batch_size": 20, "with_labels": True}
    plain = _steps(dataset, 5, **options)
    for one, other in zip(
        plain, _steps(sources.open_source(dataset, mirror=True), 5, **options), strict=True
    ):
        np.testing.assert_array_equal(one["latents"], other["latents"])
        np.testing.assert_array_equal(one["labels"], other["labels"])
        as_sets = (np.sort(each["real"], axis=3) for each in (one, other))
        np.testing.assert_array_equal(*as_sets)


@pytest.mark.parametrize("first_step", [0, 7])
@pytest.mark.parametrize("replicas", [1, 2, 4])
def test_mirroring_depends_on_seed_and_step_alone(replicas, first_step, numbered_images):
    source = sources.open_source(numbered_images, mirror=True)
    options = {"batch_size": 8, "discriminator_steps": 2}
    whole = _steps(source, first_step + 3, **options)[first_step:]
    parts = _steps(
        source,
        3 * replicas,
        first_step=first_step,
        replicas=replicas,
        replica_range=(0, replicas),
        **options,
    )
    for step, element in enumerate(whole):
        own = [part["real"] for part in parts[step * replicas : (step + 1) * replicas]]
        np.testing.assert_array_equal(np.concatenate(own), element["real"])
    (other,) = _steps(source, 1, seed=4, **options)
    assert (other["real"][..., 0, 0] == 255).mean() != (whole[0]["real"][..., 0, 0] == 255).mean()


IMAGES = np.zeros((30, 8, 6, 1), np.uint8)

UNUSABLE = {
    "array": (IMAGES, {"batch_size": 40}, "batch_size: 40 is more than the 30 data"),
    "stream": (
        _stream(300, labels=False).filter(lambda datum: True),
        {"batch_size": 400},
        "batch_size: 400 is more than the 300 data",
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
    source = sources.open_source(_numbered(20))
    batches = distributed_batches(tf.distribute.get_strategy(), source, **options)
    expected = step_batches(source, **options).as_numpy_iterator()

    for _ in range(3):
        found, wanted = next(batches), next(expected)
        for name, value in wanted.items():
            np.testing.assert_array_equal(found[name], value)


def test_mirrored_devices_together_have_the_batch_of_one(two_devices):
    source = sources.open_source(np.arange(50, dtype=np.uint8)[:, np.newaxis])
    options = {"batch_size": 6, "discriminator_steps": 2, "latent_dim": 3, "seed": 5}
    batches = distributed_batches(two_devices, source, first_step=7, **options)
    whole = step_batches(source, first_step=7, **options).as_numpy_iterator()
    for _ in range(5):
        own, every = next(batches), next(whole)
        for name, value in every.items():
            parts = two_devices.experimental_local_results(own[name])
            assert len(parts) == 2
            np.testing.assert_array_equal(np.concatenate(parts), value)
