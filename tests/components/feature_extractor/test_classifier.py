import dataclasses

import numpy as np
import pytest

from components.data.examples import Split
from components.feature_extractor import classifier, network
from components.feature_extractor.config import FeatureExtractorConfig

QUICK = FeatureExtractorConfig(images=1200, batch_size=32, feature_dim=8, min_skill=0)


@pytest.fixture(scope="module")
def trained(digits):
    return classifier.train(digits["train"], digits["eval"], FeatureExtractorConfig())


@pytest.fixture
def some(digits):
    """Four hundred training images and the eval split."""
    train, held_out = digits["train"], digits["eval"]
    return Split(train.data[:400], train.labels[:400]), held_out


def test_digits_are_learnt(trained, digits):
    _, skill = trained

    assert skill.eval_accuracy >= 0.95
    # Ten classes of about the same size.
    assert skill.chance == pytest.approx(0.1, abs=0.01)
    assert 0.94 <= skill.skill < skill.eval_accuracy
    assert (skill.train_examples, skill.eval_examples) == (1497, 300)


def test_the_features_tell_classes_apart(trained, digits):
    extractor, _ = trained
    held_out = digits["eval"]
    features = extractor.predict(held_out.data, verbose=0)["features"]

    distances = np.linalg.norm(features[:, np.newaxis] - features, axis=-1)
    np.fill_diagonal(distances, np.inf)
    nearest = held_out.labels[distances.argmin(axis=1)]

    assert np.mean(nearest == held_out.labels) >= 0.95


@pytest.mark.parametrize("shape", [(8, 8, 1), (9, 17, 3), (28, 28, 1), (64, 48, 3)])
def test_any_size_of_image_fits(shape):
    model = network.build(shape, num_classes=3, feature_dim=5)
    images = np.random.default_rng(0).integers(0, 256, (2, *shape), dtype=np.uint8)

    outputs = model.predict(images, verbose=0)

    assert outputs["features"].shape == (2, 5)
    assert outputs["probabilities"].shape == (2, 3)


def test_a_seed_decides_the_extractor(some):
    _, held_out = some
    first, again, other = (
        classifier.train(*some, QUICK.model_copy(update={"seed": seed}))[0].predict(
            held_out.data, verbose=0
        )["features"]
        for seed in (0, 0, 1)
    )

    # Threads sum in any order, so equal seeds give only nearly equal weights.
    np.testing.assert_allclose(first, again, atol=1e-3)
    assert np.abs(first - other).max() > 0.1


def test_a_class_of_the_eval_split_alone_still_has_a_probability(some):
    train, held_out = some
    without_nine = Split(train.data[train.labels != 9], train.labels[train.labels != 9])

    extractor, _ = classifier.train(without_nine, held_out, QUICK)

    assert extractor.output["probabilities"].shape == (None, 10)


def test_a_useless_classifier_is_refused(digits):
    train = digits["train"]
    shuffled = Split(train.data, np.random.default_rng(0).permutation(train.labels))

    message = (
        r"FeatureExtractor: .* skill .*min_skill is 0\.2.*train split is 0\..*: train for more"
    )
    with pytest.raises(ValueError, match=message):
        classifier.train(shuffled, digits["eval"], FeatureExtractorConfig(images=3000))


def test_always_naming_the_largest_class_is_no_skill(some):
    train, held_out = some
    # Nine of ten images are of class 0, and no image tells of which.
    rng = np.random.default_rng(0)
    blank = [
        Split(np.zeros_like(split.data), (rng.random(len(split.data)) > 0.9).astype(np.int64))
        for split in (train, held_out)
    ]

    _, skill = classifier.train(*blank, QUICK)

    assert skill.eval_accuracy > 0.85
    assert skill.skill == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("split", ["train", "eval"])
def test_images_without_labels_are_refused(some, split):
    splits = dict(zip(("train", "eval"), some, strict=True))
    splits[split] = dataclasses.replace(splits[split], labels=None)

    message = f"image/class/label: .* split '{split}' have no labels.* to self_supervised"
    with pytest.raises(ValueError, match=message):
        classifier.train(splits["train"], splits["eval"], QUICK)


def test_an_eval_split_of_one_class_is_refused(some):
    train, held_out = some
    threes = Split(held_out.data, np.full_like(held_out.labels, 3))

    with pytest.raises(ValueError, match=r"image/class/label: .* are of class 3"):
        classifier.train(train, threes, QUICK)
