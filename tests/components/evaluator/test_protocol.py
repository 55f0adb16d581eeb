"""Sampling on SavedModels."""

import numpy as np
import pytest
import tensorflow as tf
from tfx.utils import path_utils

from components.evaluator import protocol
from components.evaluator.metrics.comparison import MetricSettings

SHAPE = (8, 8, 1)


@pytest.fixture(scope="module")
def good(generator):
    return protocol.Generator(path_utils.serving_model_dir(generator(0.0).uri))


@pytest.fixture(scope="module", params=[False, True], ids=["unconditional", "conditional"])
def exported(request, untrained):
    """An untrained generator as the trainer exports it, and whether it has classes."""
    return protocol.Generator(untrained(conditional=request.param)), request.param


def test_samples_follow_from_their_seed(good):
    first = protocol.sample(good, 70, seed=1, batch_size=32, shape=SHAPE)

    assert (first.shape, first.dtype) == ((70, *SHAPE), np.uint8)
    assert (first == protocol.sample(good, 70, 1, 32, SHAPE)).all()
    assert (first != protocol.sample(good, 70, 2, 32, SHAPE)).any()
    # The batches are different images too.
    assert (first[:32] != first[32:64]).any()


def test_a_generator_of_other_images_is_refused(good):
    with pytest.raises(ValueError, match=r"uint8 \[4, 8, 8, 1\], expected uint8 \[4, 28, 28, 1\]"):
        protocol.sample(good, 4, 0, 4, (28, 28, 1))


def test_a_model_without_classes_is_asked_for_none(good):
    with pytest.raises(ValueError, match="labels: 3, but the generator has no classes"):
        protocol.sample(good, 4, 0, 4, SHAPE, label=3)


def test_a_class_that_is_not_served_is_refused_in_one_line(exported):
    generator, conditional = exported
    if conditional:
        with pytest.raises(ValueError, match="sample: .*no such class") as caught:
            protocol.sample(generator, 4, 0, 4, SHAPE, label=99)
        assert "\n" not in str(caught.value)


def test_interpolations_begin_and_end_at_the_generators_own_images(exported):
    generator, conditional = exported
    assert generator.conditional is conditional

    rows = protocol.interpolations(generator, rows=3, columns=5, seed=0)

    assert (rows.shape, rows.dtype) == ((3, 5, *SHAPE), np.uint8)
    start, end = np.random.default_rng(0).normal(size=(2, 3, 1, 6))
    for column, latents in ((0, start), (-1, end)):
        inputs = {"latents": tf.constant(latents[:, 0], tf.float32)}
        if conditional:
            inputs["labels"] = tf.constant([0, 1, 2], tf.int64)
        expected = (generator("serving_default", **inputs)["images"] + 1) * 127.5
        np.testing.assert_allclose(rows[:, column], expected.clip(0, 255), atol=0.51)
    assert (rows[:, 2] != rows[:, 0]).any()


def test_chosen_images_are_all_different_ones(digits):
    images = digits[0][:50]

    chosen = protocol.choose(images, 20, seed=0)

    assert len(chosen) == 20
    assert len(protocol.choose(images, 80, seed=0)) == 50
    assert len(np.unique(np.concatenate([chosen, images]), axis=0)) == len(
        np.unique(images, axis=0)
    )


def test_noise_is_of_the_datas_kind():
    images = protocol.noise(500, 0, np.zeros((3, *SHAPE), np.uint8))
    assert (images.shape, images.dtype) == ((500, *SHAPE), np.uint8)
    assert abs(images.mean() - 127.5) < 2

    vectors = np.random.default_rng(0).normal([1.0, -5.0], [0.1, 3.0], (400, 2))
    noise = protocol.noise(2000, 0, vectors.astype(np.float32))
    assert noise.dtype == np.float32
    np.testing.assert_allclose(noise.mean(axis=0), [1.0, -5.0], atol=0.3)
    np.testing.assert_allclose(noise.std(axis=0), [0.1, 3.0], rtol=0.15)


def test_the_protocol_names_what_scores_depend_on():
    settings = MetricSettings(kid_subsets=20)

    described = protocol.describe({"id": "abc"}, "fedcba", {"eval": 300}, SHAPE, settings)

    assert described["extractor"] == {"id": "abc"}
    assert described["real"] == "fedcba"
    assert described["counts"] == {"eval": 300}
    assert "8 bits" in described["fakes"]
    of_vectors = protocol.describe({}, "", {}, (4,), settings)
    assert "units" in of_vectors["fakes"]
    assert described["settings"] == settings.model_dump()
    assert {"python", "tensorflow", "numpy", "tfx-gan"} <= set(described["versions"])
