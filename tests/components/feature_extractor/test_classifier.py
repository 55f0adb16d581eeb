import dataclasses
import subprocess
import sys

import numpy as np
import pytest

from components.examples import Images
from components.feature_extractor import classifier
from components.feature_extractor.config import FeatureExtractorConfig

QUICK = FeatureExtractorConfig(epochs=3, batch_size=32, feature_dim=8, min_skill=0)

LOAD = """
import sys
import numpy as np, tensorflow as tf
model = tf.saved_model.load(sys.argv[1])
outputs = model.signatures["serving_default"](images=tf.constant(np.load(sys.argv[2])))
np.savez(sys.argv[3], **{name: value.numpy() for name, value in outputs.items()})
assert "components" not in sys.modules
"""


@pytest.fixture(scope="module")
def trained(digits):
    return classifier.train(digits["train"], digits["eval"], FeatureExtractorConfig())


@pytest.fixture
def few(digits):
    """Four hundred training images and the eval split."""
    train, held_out = digits["train"], digits["eval"]
    return Images(train.images[:400], train.labels[:400]), held_out


def test_digits_are_learnt(trained, digits):
    _, report = trained

    assert report.eval_accuracy >= 0.95
    largest = max(np.mean(digits["eval"].labels == label) for label in range(10))
    assert report.chance == pytest.approx(largest)
    assert 0.94 <= report.skill < report.eval_accuracy
    assert (report.num_classes, report.feature_dim) == (10, 64)
    assert (report.train_examples, report.eval_examples) == (1497, 300)


def test_the_features_tell_classes_apart(trained, digits):
    extractor, _ = trained
    held_out = digits["eval"]
    features = extractor.predict(held_out.images, verbose=0)["features"]

    distances = np.linalg.norm(features[:, np.newaxis] - features, axis=-1)
    np.fill_diagonal(distances, np.inf)
    nearest = held_out.labels[distances.argmin(axis=1)]

    assert np.mean(nearest == held_out.labels) >= 0.95


def test_the_export_is_the_model_in_plain_tensorflow(trained, digits, tmp_path):
    extractor, _ = trained
    images = digits["eval"].images
    classifier.export(extractor, str(tmp_path / "extractor"))
    np.save(tmp_path / "images.npy", images)

    arguments = [tmp_path / name for name in ("extractor", "images.npy", "outputs.npz")]
    subprocess.run([sys.executable, "-I", "-c", LOAD, *map(str, arguments)], check=True)

    outputs = np.load(tmp_path / "outputs.npz")
    expected = extractor.predict(images, verbose=0)
    assert sorted(outputs) == ["features", "probabilities"]
    for name, values in outputs.items():
        assert values.dtype == np.float32
        np.testing.assert_allclose(values, expected[name], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(outputs["probabilities"].sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("shape", [(8, 8, 1), (9, 17, 3), (28, 28, 1), (64, 48, 3)])
def test_any_size_of_image_fits(shape):
    model = classifier.build(shape, num_classes=3, feature_dim=5)
    images = np.random.default_rng(0).integers(0, 256, (2, *shape), dtype=np.uint8)

    outputs = model.predict(images, verbose=0)

    assert outputs["features"].shape == (2, 5)
    assert outputs["probabilities"].shape == (2, 3)


def test_a_seed_decides_the_extractor(few):
    _, held_out = few
    first, again, other = (
        classifier.train(*few, QUICK.model_copy(update={"seed": seed}))[0].predict(
            held_out.images, verbose=0
        )["features"]
        for seed in (0, 0, 1)
    )

    # Threads add up in any order, so that equal seeds give nearly equal weights.
    np.testing.assert_allclose(first, again, atol=1e-3)
    assert np.abs(first - other).max() > 0.1


def test_the_id_follows_the_weights():
    images = np.zeros((10, 8, 8, 1), np.uint8)
    split = Images(images, np.arange(10) % 2)
    one_step = QUICK.model_copy(update={"epochs": 1})
    _, report = classifier.train(split, split, one_step)

    assert len(report.id) == 16
    assert classifier.train(split, split, one_step)[1].id == report.id
    other = one_step.model_copy(update={"learning_rate": 0.01})
    assert classifier.train(split, split, other)[1].id != report.id


def test_a_class_of_the_eval_split_alone_still_has_a_probability(few):
    train, held_out = few
    without_nine = Images(train.images[train.labels != 9], train.labels[train.labels != 9])

    extractor, report = classifier.train(without_nine, held_out, QUICK)

    assert report.num_classes == 10
    assert extractor.output["probabilities"].shape == (None, 10)


def test_a_useless_classifier_is_refused(digits):
    train = digits["train"]
    shuffled = Images(train.images, np.random.default_rng(0).permutation(train.labels))

    with pytest.raises(ValueError, match=r"FeatureExtractor: .* skill .*min_skill is 0\.50"):
        classifier.train(shuffled, digits["eval"], FeatureExtractorConfig(epochs=2))


@pytest.mark.parametrize("split", ["train", "eval"])
def test_images_without_labels_are_refused(few, split):
    splits = dict(zip(("train", "eval"), few, strict=True))
    splits[split] = dataclasses.replace(splits[split], labels=None)

    with pytest.raises(ValueError, match=f"image/class/label: .* split '{split}' have no labels"):
        classifier.train(splits["train"], splits["eval"], QUICK)


def test_an_eval_split_of_one_class_is_refused(few):
    train, held_out = few
    threes = Images(held_out.images, np.full_like(held_out.labels, 3))

    with pytest.raises(ValueError, match=r"image/class/label: .* are of class 3"):
        classifier.train(train, threes, QUICK)
