"""Sampling, extracting and measuring on SavedModels."""

import numpy as np
import pytest
from tfx.utils import path_utils

from components.evaluator import protocol
from components.evaluator.config import EvaluatorConfig
from components.evaluator.scores import METRICS

CONFIG = EvaluatorConfig(gate={"bounds": {"fid": {"max": 1}}}, kid_subsets=20)
SHAPE = (8, 8, 1)


@pytest.fixture(scope="module")
def good(generator):
    return protocol.SavedModel(path_utils.serving_model_dir(generator(0.0).uri), "sample")


@pytest.fixture(scope="module")
def features_of(extractor):
    return protocol.SavedModel(path_utils.serving_model_dir(extractor.uri), "serving_default")


def test_samples_follow_from_their_seed(good):
    first = protocol.sample(good, 70, seed=1, batch_size=32, image_shape=SHAPE)

    assert (first.shape, first.dtype) == ((70, *SHAPE), np.uint8)
    assert (first == protocol.sample(good, 70, 1, 32, SHAPE)).all()
    assert (first != protocol.sample(good, 70, 2, 32, SHAPE)).any()
    # The batches are different images too.
    assert (first[:32] != first[32:64]).any()


def test_a_generator_of_other_images_is_refused(good):
    with pytest.raises(ValueError, match=r"uint8 \[4, 8, 8, 1\], expected uint8 \[4, 28, 28, 1\]"):
        protocol.sample(good, 4, 0, 4, (28, 28, 1))


def test_a_model_without_the_signature_is_refused(good):
    with pytest.raises(ValueError, match="no signature 'serving_default', found: sample"):
        protocol.SavedModel(good.path, "serving_default")


@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_features_do_not_depend_on_the_batches(features_of, digits, batch_size):
    images = digits[0][:20]

    features = protocol.extract(features_of, images, batch_size)

    assert len(features) == 20
    np.testing.assert_allclose(features.features, images.reshape(20, 64) / 255, rtol=1e-6)
    np.testing.assert_allclose(features.probabilities.sum(axis=1), 1, rtol=1e-5)


def test_chosen_images_are_all_different_ones(digits):
    images = digits[0][:50]

    chosen = protocol.choose(images, 20, seed=0)

    assert len(chosen) == 20
    assert len(protocol.choose(images, 80, seed=0)) == 50
    assert len(np.unique(np.concatenate([chosen, images]), axis=0)) == len(
        np.unique(images, axis=0)
    )


def test_every_metric_tells_real_images_from_noise(features_of, digits):
    real, train = digits[0][:300], digits[0][300:600]
    noise = protocol.noise(300, 0, SHAPE)

    scores = protocol.measure(features_of, real, {"train": train, "noise": noise}, CONFIG)

    assert list(scores["train"]) == METRICS.names()
    for name in METRICS.names():
        metric, of_train, of_noise = METRICS.get(name), scores["train"][name], scores["noise"][name]
        assert (of_train.value > of_noise.value) is metric.higher_is_better, name
        assert (of_train.uncertainty is None) is (metric.uncertainty is None), name


def test_a_set_without_a_score_is_named(features_of, digits):
    with pytest.raises(ValueError, match="few: fid: fake: 1 rows, at least 2"):
        protocol.measure(features_of, digits[0][:50], {"few": digits[0][:1]}, CONFIG)


def test_the_protocol_names_what_scores_depend_on():
    described = protocol.describe({"id": "abc"}, {"eval": 300}, CONFIG)

    assert described["extractor"] == {"id": "abc"}
    assert described["counts"] == {"eval": 300}
    assert described["settings"] == {
        "seed": 0,
        "kid_subsets": 20,
        "kid_subset_size": 1000,
        "inception_splits": 10,
        "neighbours": 3,
    }
    assert {"python", "tensorflow", "numpy", "tfx-gan"} <= set(described["versions"])
