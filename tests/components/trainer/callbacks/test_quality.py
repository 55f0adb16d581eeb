"""Quality during training against closed forms, and on fakes with known faults."""

import json
import shutil
import warnings

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from components import features
from components.features import distances
from components.trainer.callbacks.quality import (
    ExtractWith,
    Quality,
    QualityConfig,
    check_independent,
    identity,
    pixels,
)


@pytest.fixture(scope="module")
def blobs():
    """Ten distant clusters of 100 vectors each, ordered by cluster."""
    rng = np.random.default_rng(0)
    return np.repeat(10 * np.eye(10), 100, axis=0) + rng.normal(0, 0.1, (1000, 10))


@pytest.fixture(scope="module")
def quality(blobs):
    return Quality(blobs, identity, clusters=10)


def labelled(vectors):
    """The largest coordinate is the class."""
    return {"features": vectors, "probabilities": np.eye(10)[np.argmax(vectors, axis=1)]}


def test_the_real_data_measure_best(blobs, quality):
    measured = quality.measure(blobs)

    assert measured.fid == pytest.approx(0, abs=1e-6)
    assert (measured.coverage, measured.diversity) == (1, 1)


def test_other_data_of_the_same_distribution_are_as_good(blobs, quality):
    fresh = blobs + np.random.default_rng(1).normal(0, 0.05, blobs.shape)

    measured = quality.measure(np.random.default_rng(2).permutation(fresh))

    assert measured.coverage == 1
    assert measured.diversity == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("extract", [identity, labelled], ids=["clusters", "classes"])
@pytest.mark.parametrize("modes", [1, 3, 7])
def test_coverage_is_the_share_of_modes_that_are_left(blobs, extract, modes):
    quality = Quality(blobs, extract, clusters=10)
    left = np.tile(blobs[: 100 * modes], (10 // modes, 1))

    assert quality.measure(left).coverage == modes / 10


@pytest.mark.parametrize(("fakes_of_mode", "coverage"), [(0, 0.9), (9, 0.9), (10, 1.0), (11, 1.0)])
def test_a_mode_is_covered_from_a_tenth_of_its_share_on(blobs, fakes_of_mode, coverage):
    # The first mode has a tenth of the data, so it needs 10 of 1000 fakes.
    fake = np.concatenate([blobs[:fakes_of_mode], blobs[100:], blobs[100:]])[:1000]

    assert Quality(blobs, labelled).measure(fake).coverage == coverage


@pytest.mark.parametrize("modes", [1, 3, 10])
def test_recall_is_the_share_of_the_data_among_the_fakes(blobs, modes):
    fake = blobs[: 100 * modes]

    assert Quality(blobs, identity).measure(fake).recall == pytest.approx(modes / 10)


def test_rare_classes_are_no_modes(blobs):
    # Four data of class 0: they may be missing by chance.
    quality = Quality(blobs[96:], labelled)

    assert quality.measure(blobs[100:]).coverage == 1
    assert quality.measure(blobs[200:]).coverage == pytest.approx(8 / 9)


def test_classes_that_hardly_recur_give_way_to_clusters(blobs):
    def thousand_classes(vectors):
        return {"features": vectors, "probabilities": np.eye(1000)[np.arange(len(vectors)) % 1000]}

    quality = Quality(blobs, thousand_classes, clusters=10)

    assert quality.measure(blobs[:500]).coverage == 0.5


def test_classes_that_the_real_data_lack_do_not_count(blobs):
    quality = Quality(blobs[:500], labelled)

    assert quality.measure(blobs[400:]).coverage == pytest.approx(1 / 5)


@pytest.mark.parametrize("scale", [0.0, 0.25, 1.0, 2.0])
def test_diversity_is_the_ratio_of_the_spreads(scale):
    real = np.random.default_rng(0).normal(size=(1000, 5))
    fake = 3 + scale * np.random.default_rng(1).normal(size=(1000, 5))

    assert Quality(real, identity).measure(fake).diversity == pytest.approx(scale, rel=0.06)


def test_diversity_of_data_that_are_sorted(blobs):
    # Adjacent rows are of one cluster, so their distance would be 30 times too small.
    shuffled = np.random.default_rng(0).permutation(blobs)

    assert Quality(blobs, identity).measure(shuffled).diversity == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("scale", [0.0, 0.25, 1.0])
def test_diversity_of_classes_is_that_within_them(blobs, scale):
    labels = np.arange(1000) // 100
    centres = np.stack([blobs[labels == label].mean(axis=0) for label in range(10)])
    fake = centres[labels] + scale * (blobs - centres[labels])
    order = np.random.default_rng(0).permutation(1000)
    quality = Quality(blobs, identity, labels=labels)

    measured = quality.measure(fake[order], labels[order]).diversity
    assert measured == pytest.approx(scale, abs=0.05)
    # Without labels, the distances between the classes hide that each is one datum.
    assert quality.measure(fake[order]).diversity > 0.9


def test_classes_of_one_datum_each_leave_the_diversity_of_all(blobs):
    labels = np.arange(1000) // 100
    one = np.stack([blobs[labels == label][0] for label in range(10)])[labels]

    assert Quality(one, identity, labels=labels).measure(one, labels).diversity == 1


def test_distances_are_the_shared_ones(blobs, quality):
    fake = np.random.default_rng(1).normal(1, 3, (300, 10))
    measured = quality.measure(fake)

    assert measured.fid == pytest.approx(distances.fid(blobs, fake), rel=1e-9)
    assert measured.kid == pytest.approx(distances.polynomial_mmd(blobs, fake), rel=1e-9)


def test_the_same_seed_gives_the_same_scores(blobs):
    fake = blobs[::3] + 0.1
    first, second = (Quality(blobs, identity, seed=4).measure(fake) for _ in range(2))

    assert first == second


vectors = st.integers(1, 5).flatmap(
    lambda columns: st.tuples(
        st.integers(10, 60), st.integers(2, 60), st.just(columns), st.integers(0, 2**32 - 1)
    )
)


@given(vectors, st.sampled_from([0.0, 1e-3, 1.0]))
@settings(deadline=None, max_examples=50)
def test_scores_are_finite_and_in_range(shape, fineness):
    # Rounding makes many data equal, so some clusters become empty.
    rows, fakes, columns, seed = shape
    rng = np.random.default_rng(seed)
    real, fake = rng.normal(size=(rows, columns)), rng.normal(size=(fakes, columns))
    if fineness:
        real, fake = np.round(real / fineness) * fineness, np.round(fake / fineness) * fineness
    real[0, 0] += 5
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        measured = Quality(real, identity, seed=seed % 7).measure(fake)

    assert np.isfinite(list(measured.scores().values())).all()
    assert measured.fid >= 0
    assert 0 <= measured.coverage <= 1
    assert measured.diversity >= 0


def with_nan(array):
    array = array.astype(np.float64)
    array[3, 0] = np.nan
    return array


@pytest.mark.parametrize(
    ("real", "fake", "message"),
    [
        pytest.param(with_nan(np.eye(20)), np.eye(20), "real: holds NaN", id="real NaN"),
        pytest.param(np.eye(20), with_nan(np.eye(20)), "fake: holds NaN", id="fake NaN"),
        pytest.param(np.eye(9), np.eye(9), "real: 9 rows, .*at least 10", id="few real"),
        pytest.param(np.eye(20), np.eye(20)[:1], "fake: 1 rows, .*at least 2", id="few fake"),
        pytest.param(np.eye(20), np.eye(21), "fake: 21 features, expected 20", id="columns"),
        pytest.param(np.ones((20, 3)), np.ones((20, 3)), "real: all features are", id="constant"),
    ],
)
def test_what_cannot_be_measured_is_refused(real, fake, message):
    with pytest.raises(ValueError, match=message):
        Quality(real, identity).measure(fake)


def test_one_cluster_is_refused(blobs):
    with pytest.raises(ValueError, match="clusters: 1, expected 2 or more"):
        Quality(blobs, identity, clusters=1)


@pytest.mark.parametrize("shape", [(3, 28, 28, 1), (3, 32, 48, 3), (3, 8, 8, 1), (3, 30, 5, 3)])
def test_pixels_of_an_even_image_are_its_value(shape):
    images = np.broadcast_to(np.array([0, 51, 255], np.uint8)[:, None, None, None], shape)

    found = pixels(images)["features"]

    assert found.shape == (3, min(shape[1], 8) * min(shape[2], 8) * shape[3])
    assert found.dtype == np.float64
    expected = np.broadcast_to(np.array([[-1.0], [-0.6], [1.0]]), found.shape)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_pixels_are_means_of_areas(digits):
    enlarged = digits[:50].repeat(4, axis=1).repeat(4, axis=2)

    np.testing.assert_allclose(
        pixels(enlarged)["features"], pixels(digits[:50])["features"], atol=1e-6
    )


def test_pixels_of_floats_are_those_of_the_same_images(digits):
    floats = (digits[:50] / 127.5 - 1).astype(np.float32)

    np.testing.assert_allclose(
        pixels(floats)["features"], pixels(digits[:50])["features"], atol=1e-6
    )


def test_vectors_are_their_own_features(blobs):
    np.testing.assert_array_equal(pixels(blobs)["features"], blobs)
    assert identity(blobs.astype(np.float32))["features"].dtype == np.float64


def test_real_digits_beat_one_digit_beat_noise(digits):
    quality = Quality(digits[:800], pixels)
    others = quality.measure(digits[800:1600])
    noise = quality.measure(np.random.default_rng(0).integers(0, 256, (800, 8, 8, 1), np.uint8))
    one = quality.measure(np.repeat(digits[:1], 800, axis=0))

    assert others.fid < min(noise.fid, one.fid)
    assert others.kid < min(noise.kid, one.kid)
    assert others.coverage > 0.9 > 0.2 > one.coverage
    assert others.diversity == pytest.approx(1, abs=0.1)
    assert one.diversity == 0


class Extractor(tf.Module):
    """Features are the first two pixels; the class is whether the first is dark."""

    def __init__(self):
        super().__init__()
        self.scale = tf.Variable(2.0)

    @tf.function(input_signature=[tf.TensorSpec([None, 2, 2, 1], tf.uint8)])
    def extract(self, images):
        features = self.scale * tf.cast(tf.reshape(images, [-1, 4])[:, :2], tf.float32)
        return {"features": features, "probabilities": tf.nn.softmax(100 - features)}

    @tf.function(input_signature=[tf.TensorSpec([None, 2, 2, 1], tf.uint8)])
    def without_features(self, images):
        return {"logits": tf.reduce_mean(tf.cast(images, tf.float32), axis=[1, 2])}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Paths of SavedModels by their fault."""
    module, folder = Extractor(), tmp_path_factory.mktemp("models")
    for name, signatures in {
        "good": {"serving_default": module.extract},
        "named": {"other": module.extract},
        "bare": {"serving_default": module.without_features},
    }.items():
        tf.saved_model.save(module, str(folder / name), signatures=signatures)
    return folder


@pytest.mark.parametrize("count", [1, 256, 300])
def test_an_extractor_is_read_from_its_saved_model(saved, count):
    images = np.random.default_rng(0).integers(0, 256, (count, 2, 2, 1), np.uint8)

    found = ExtractWith(features.Extractor(str(saved / "good")))(images)

    assert sorted(found) == ["features", "probabilities"]
    expected = 2.0 * images.reshape(-1, 4)[:, :2]
    np.testing.assert_array_equal(found["features"], expected)
    assert found["probabilities"].shape == (count, 2)


def test_the_features_of_the_discriminator_measure_no_generator(saved):
    extractor = features.Extractor(str(saved / "good"))
    extractor.description = {**extractor.description, "pretrained": "lite"}

    for extract, pretrained in ((None, "lite"), (ExtractWith(extractor), None), (pixels, "lite")):
        check_independent(extract, pretrained)
    with pytest.raises(ValueError, match="the generator learns from .*features of lite"):
        check_independent(ExtractWith(extractor), "lite")


@pytest.mark.parametrize("are_labels", [True, False])
def test_classes_are_labels_if_the_extractor_says_so(saved, tmp_path, are_labels):
    shutil.copytree(saved / "good", tmp_path / features.SAVED_MODEL_FOLDER)
    description = {
        "id": "1",
        "kind": "classifier",
        "name": "bright",
        "feature_dim": 2,
        "num_classes": 2,
        "classes_are_labels": are_labels,
    }
    (tmp_path / features.DESCRIPTION_FILE).write_text(json.dumps(description))
    images = np.zeros((2, 2, 2, 1), np.uint8)
    images[1, 0, 0] = 255

    found = ExtractWith(features.Extractor(str(tmp_path)))(images)

    assert ("labels" in found) is are_labels
    if are_labels:
        assert found["labels"].tolist() == [0, 1]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("named", "no signature 'serving_default', found: other"),
        ("bare", "no output 'features', found: logits"),
    ],
)
def test_a_model_that_extracts_nothing_is_refused(saved, name, message):
    with pytest.raises(ValueError, match=message):
        ExtractWith(features.Extractor(str(saved / name)))


@pytest.mark.parametrize(
    ("count", "dimensions", "score"),
    [(1000, 64, "fid"), (1000, 250, "fid"), (1000, 251, "kid"), (100, 64, "kid")],
)
def test_the_default_score_is_kid_where_fid_would_be_mostly_bias(count, dimensions, score):
    real = np.random.default_rng(0).normal(size=(count, dimensions))

    assert Quality(real, identity).select_by == score


def test_the_default_score_prefers_good_fakes_where_fid_prefers_blurred_ones():
    # As many dimensions as samples: fresh data are perfect fakes, shrunk ones are not.
    rng = np.random.default_rng(0)
    real, perfect, other = (rng.normal(size=(300, 300)) for _ in range(3))
    quality = Quality(real, identity)
    good, shrunk = quality.measure(perfect), quality.measure(0.6 * other)

    assert shrunk.fid < good.fid
    assert getattr(good, quality.select_by) < getattr(shrunk, quality.select_by)


def knowing(vectors):
    """Like `labelled`, with classes that are the data's labels."""
    return {**labelled(vectors), "labels": np.argmax(vectors, axis=1)}


BLOB_LABELS = np.repeat(np.arange(10), 100)


@pytest.mark.parametrize(
    ("asked", "accuracy", "follows"),
    [
        pytest.param(BLOB_LABELS, 1.0, True, id="right"),
        pytest.param((BLOB_LABELS + 1) % 10, 0.0, False, id="swapped"),
        pytest.param(np.tile(np.arange(10), 100), 0.1, False, id="ignored"),
        pytest.param(np.where(np.arange(1000) % 100 < 60, BLOB_LABELS, 0), 0.64, True, id="most"),
        pytest.param(np.where(np.arange(1000) % 100 < 30, BLOB_LABELS, 0), 0.37, False, id="few"),
    ],
)
def test_fakes_of_other_classes_than_asked_for_are_noticed(blobs, asked, accuracy, follows):
    quality = Quality(blobs, knowing, labels=BLOB_LABELS)

    measured = quality.measure(blobs, asked)

    assert measured.scores()["class_accuracy"] == pytest.approx(accuracy)
    assert measured.follows_labels is follows
    # All that the other scores see is the same.
    assert measured.fid == quality.measure(blobs, BLOB_LABELS).fid


def test_being_right_by_chance_is_not_following_labels(blobs):
    # Nine tenths are of class 0, in the data and among the fakes: 81 % agree by chance.
    rows = np.concatenate([np.arange(900) % 100, np.arange(900, 1000)])
    real, labels = blobs[rows], BLOB_LABELS[rows]
    asked = np.random.default_rng(0).permutation(labels)
    quality = Quality(real, knowing, labels=labels)

    ignored = quality.measure(real, asked)

    assert ignored.class_accuracy > 0.75
    assert not ignored.follows_labels
    assert quality.measure(real, labels).follows_labels


def test_an_extractor_that_confuses_the_real_classes_does_not_judge_labels(blobs):
    confused = np.random.default_rng(0).permutation(BLOB_LABELS)
    measured = Quality(blobs, knowing, labels=confused).measure(blobs, (BLOB_LABELS + 1) % 10)

    assert measured.class_accuracy == 0
    assert measured.follows_labels


@pytest.mark.parametrize(
    ("extract", "asked"), [(labelled, BLOB_LABELS), (knowing, None)], ids=["other classes", "none"]
)
def test_without_known_classes_there_is_no_class_accuracy(blobs, extract, asked):
    measured = Quality(blobs, extract, labels=BLOB_LABELS).measure(blobs, asked)

    assert "class_accuracy" not in measured.scores()
    assert measured.follows_labels


def test_the_default_section_measures_and_does_not_stop():
    config = QualityConfig()

    assert (config.every_images, config.samples, config.select_by) == (10_000, 1000, None)
    assert config.patience is None


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"samples": 49}, "greater than or equal to 50"),
        ({"every_images": 0}, "greater than or equal to 1"),
        ({"select_by": "loss"}, "'fid' or 'kid'"),
        ({"patience": 0}, "greater than or equal to 1"),
        ({"patience": 3, "every_images": None}, "patience: 3 counts measurements, and every_im"),
        ({"sample": 100}, "Extra inputs are not permitted"),
    ],
)
def test_sections_that_make_no_sense_are_refused(section, message):
    with pytest.raises(ValidationError, match=message):
        QualityConfig(**section)
