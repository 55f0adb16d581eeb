"""Generators of this contract, and of the one before."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2

from components.common import saved_models
from components.serving import numpy_draws, warmup
from components.serving.contract import MAX_ROWS, row_seeds
from components.serving.generator import Generator
from components.trainer import export


class Network(tf.Module):
    """Two convolutions and a class, small enough for a test."""

    def __init__(self):
        super().__init__()
        self.weights = tf.Variable(tf.random.stateless_normal([6, 8 * 8 * 4], [0, 0]))
        self.kernel = tf.Variable(tf.random.stateless_normal([3, 3, 4, 1], [1, 0]) / 6)

    def __call__(self, inputs, training=None):
        latents, labels = inputs
        maps = tf.reshape(tf.nn.relu(latents @ self.weights), [-1, 8, 8, 4])
        level = tf.cast(labels, tf.float32)[:, None, None, None] / 10
        return tf.tanh(tf.nn.conv2d(maps, self.kernel, 1, "SAME") - level)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A serving folder with a version."""
    folder = tmp_path_factory.mktemp("serving")
    signatures = export.ServingSignatures(Network(), 6, np.array([0.5, 0.0, 0.5]))
    export.save(signatures, str(folder / "17"))
    saved_models.describe_further(str(folder / "17"), class_names={0: "cat", 2: "dog"})
    return folder


@pytest.fixture(scope="module")
def generator(folder):
    return Generator.load(str(folder))


def near(one, other):
    """Equal up to a grey level, which is what holds for all machines."""
    return one.shape == other.shape and np.abs(one.astype(int) - other.astype(int)).max() <= 1


def test_a_row_is_the_same_in_any_company(generator):
    seeds = row_seeds(7, 50)
    labels = np.resize([0, 2], 50)
    together = generator.sample(seeds, labels)

    assert (together.shape, together.dtype) == ((50, 8, 8, 1), np.uint8)
    order = np.random.default_rng(0).permutation(50)
    assert near(generator.sample(seeds[order], labels[order]), together[order])
    for index in (0, 5, 49):
        assert near(generator.sample([seeds[index]], [labels[index]]), together[index : index + 1])


def test_samples_are_those_of_the_seeds_latents(generator):
    seeds, labels = np.arange(9), np.full(9, 2)
    latents = numpy_draws.latents(seeds, 6)
    floats = generator("serving_default", latents=latents, labels=labels)["images"]

    assert near(generator.sample(seeds, labels), np.round((floats + 1) * 127.5).clip(0, 255))


def test_more_rows_than_a_call_may_have_are_several_calls(generator):
    found = generator.draw(2 * MAX_ROWS + 3, seed=1)

    assert len(found) == 2 * MAX_ROWS + 3
    tail = generator.draw(MAX_ROWS + 5, seed=1, batch_size=100)
    assert near(found[: MAX_ROWS + 5], tail)
    assert len(generator.draw(0)) == len(generator.sample([])) == 0


def test_without_labels_classes_are_drawn(generator):
    seeds = np.arange(400)
    labels = generator("draw_labels", seeds=seeds)["labels"]

    assert near(generator.sample(seeds), generator.sample(seeds, labels))
    assert sorted(set(labels)) == [0, 2]


def test_truncation_leads_to_the_image_of_the_origin(generator):
    labels = np.zeros(5, int)
    origin = generator("serving_default", latents=np.zeros((5, 6), "f4"), labels=labels)["images"]

    centre = np.round((origin + 1) * 127.5)
    assert near(generator.sample(range(5), labels, truncation=0), centre)
    full = generator.sample(range(5), labels, truncation=1.0)
    assert near(full, generator.sample(range(5), labels))
    mixed = generator.sample(range(5), labels, truncation=[0, 1, 1, 1, 1])
    assert near(mixed[:1], centre[:1])
    assert near(mixed[1:], full[1:])


def test_png_files_are_the_samples(generator):
    seeds, labels = np.arange(3), np.zeros(3, int)
    files = generator("sample_png", seeds=seeds, labels=labels)["image_bytes"]

    images = np.stack([tf.io.decode_png(each).numpy() for each in files])
    assert near(images, generator.sample(seeds, labels))


def test_interpolations_end_at_the_samples(generator):
    def at(position):
        return generator(
            "interpolate",
            seeds=np.array([1, 2]),
            end_seeds=np.array([3, 4]),
            positions=np.full(2, position, "f4"),
            labels=np.zeros(2, int),
        )["images"]

    assert near(at(0.0), generator.sample([1, 2], [0, 0]))
    assert near(at(1.0), generator.sample([3, 4], [0, 0]))
    assert not near(at(0.5), at(0.0))


def test_it_describes_itself(folder, generator):
    said = saved_models.description(str(folder / "17"))

    assert (
        generator("describe")["description"].decode()
        == (folder / "17" / "assets" / "description.json").read_text()
    )
    assert {**said, "versions": None} == {
        "contract": 2,
        "latent_dim": 6,
        "max_rows": MAX_ROWS,
        "data": "images",
        "shape": [8, 8, 1],
        "weights": "float32",
        "class_shares": [0.5, 0.0, 0.5],
        "class_names": {"0": "cat", "2": "dog"},
        "versions": None,
    }
    assert generator.class_names == {0: "cat", 2: "dog"}


def test_each_signature_with_inputs_has_warm_up_requests_that_it_answers(folder, generator):
    requests = warmup.read(str(folder / "17"))

    # A server that batches refuses requests without rows, and a model whose warm-up it refuses.
    assert {name for name, _ in requests} == generator.signatures - {"describe"}
    for name, inputs in requests:
        assert generator(name, **inputs)


def test_a_servers_batch_of_requests_is_split_again_by_rows(generator):
    """As TensorFlow Serving's batching does: concatenated along dimension 0, and split."""
    requests = []
    for seeds in ([5], [6, 7], [5, 8, 9]):
        request = predict_pb2.PredictRequest()
        request.model_spec.signature_name = "sample"
        for name, values in {"seeds": seeds, "labels": [0] * len(seeds)}.items():
            request.inputs[name].CopyFrom(tf.make_tensor_proto(np.array(values, np.int64)))
        requests.append(predict_pb2.PredictRequest.FromString(request.SerializeToString()))

    merged = {
        name: np.concatenate([tf.make_ndarray(each.inputs[name]) for each in requests])
        for name in ("seeds", "labels")
    }
    images = generator("sample", **merged)["images"]

    for request, part in zip(requests, np.split(images, [1, 3]), strict=True):
        seeds = tf.make_ndarray(request.inputs["seeds"])
        assert near(generator.sample(seeds, np.zeros(len(seeds), int)), part)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1, 2], [0, 1]), "labels: no such class; the generator has classes 0, 2"),
        (([1, 2], [0]), "labels: as many rows as seeds needed"),
        (([1, 2], [0, 2], 1.5), r"truncation: expected numbers in \[0, 1\]"),
    ],
)
def test_bad_requests_are_refused_with_the_reason(generator, arguments, message):
    with pytest.raises(ValueError, match=message):
        generator.sample(*arguments)


@pytest.mark.parametrize(
    ("seed", "count", "start", "message"),
    [
        (2**31, 1, 0, r"seed: 2147483648, expected a whole number in \[-2\^31, 2\^31\)"),
        (0, 2, 2**32 - 1, "count: 2 from row 4294967295, expected at most 2"),
        (0, -1, 0, "count: -1 from row 0"),
    ],
)
def test_runs_of_seeds_do_not_meet(seed, count, start, message):
    assert row_seeds(-1, 2).tolist() == [-(2**32), -(2**32) + 1]
    assert row_seeds(1, 1, start=2**32 - 1) == row_seeds(2, 1) - 1
    with pytest.raises(ValueError, match=message):
        row_seeds(seed, count, start)


class Before(tf.Module):
    """Contract 1: gray levels that say how it was called."""

    @tf.function(input_signature=[tf.TensorSpec([], tf.int32), tf.TensorSpec([], tf.int64)])
    def sample(self, count, seed):
        return {"images": tf.fill([count, 2, 2, 1], tf.cast(seed % 251, tf.uint8))}

    @tf.function(
        input_signature=[
            tf.TensorSpec([], tf.int32),
            tf.TensorSpec([], tf.int64),
            tf.TensorSpec([], tf.int64),
        ]
    )
    def sample_class(self, count, seed, label):
        return {"images": tf.fill([count, 2, 2, 1], tf.cast(label, tf.uint8))}


@pytest.fixture(scope="module")
def before(tmp_path_factory):
    path = str(tmp_path_factory.mktemp("before") / "1")
    module = Before()
    names = {"sample": module.sample, "sample_class": module.sample_class}
    tf.saved_model.save(module, path, signatures=names)
    return Generator.load(path)


def test_a_model_of_the_contract_before_is_still_drawn_from(before):
    found = before.draw(5, seed=7, batch_size=3)

    assert found.shape == (5, 2, 2, 1)
    assert np.unique(found[:3]).tolist() == [7]
    # A seed of its own for each call.
    assert np.unique(found[3:]).tolist() != [7]
    assert np.unique(before.draw(2, label=3)).tolist() == [3]
    assert before.conditional
    assert before.description == before.class_names == {}
    with pytest.raises(ValueError, match=r"contract 1.; use draw, or export it again"):
        before.sample([1, 2])


def test_what_is_no_model_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere: no such folder"):
        Generator.load(str(tmp_path / "nowhere"))
    with pytest.raises(FileNotFoundError, match="neither a SavedModel nor versions of one"):
        Generator.load(str(tmp_path))
