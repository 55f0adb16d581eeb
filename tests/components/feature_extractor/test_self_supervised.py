import numpy as np
import pytest

from components.data.examples import Split
from components.feature_extractor import self_supervised
from components.feature_extractor.config import FeatureExtractorConfig

CONFIG = FeatureExtractorConfig(kind="self_supervised", images=30_000)


@pytest.fixture(scope="module")
def trained(digits):
    return self_supervised.train(digits["train"], digits["eval"], CONFIG)


def test_the_turns_of_digits_are_learnt(trained):
    _, skill = trained

    # Some zeros and eights are the same upside down.
    assert skill.eval_accuracy >= 0.8
    assert skill.chance == 0.25
    assert skill.skill == pytest.approx((skill.eval_accuracy - 0.25) / 0.75)
    assert (skill.train_examples, skill.eval_examples) == (1497, 300)


def test_the_features_tell_classes_apart_that_it_never_saw(trained, digits):
    extractor, _ = trained
    held_out = digits["eval"]
    assert sorted(extractor.output) == ["features"]
    features = extractor.predict(held_out.data, verbose=0)["features"]

    distances = np.linalg.norm(features[:, np.newaxis] - features, axis=-1)
    np.fill_diagonal(distances, np.inf)
    nearest = held_out.labels[distances.argmin(axis=1)]

    # By chance: 0.1.
    assert np.mean(nearest == held_out.labels) >= 0.9


@pytest.mark.parametrize(
    ("shape", "degrees"), [((6, 6, 3), (0, 90, 180, 270)), ((4, 6, 1), (0, 180))]
)
def test_an_image_is_shown_in_all_its_turns(shape, degrees):
    images = np.random.default_rng(0).integers(0, 256, (5, *shape), np.uint8)
    turns = self_supervised.quarter_turns(images.shape)

    batches = self_supervised.rotated_batches(
        images, turns, batch_size=2, chosen=np.arange(5), shuffled=True
    )
    shown = [
        (image, turn)
        for batch, of_batch in batches.as_numpy_iterator()
        for image, turn in zip(batch, of_batch, strict=True)
    ]

    # numpy.rot90 is the oracle.
    expected = {
        (np.rot90(image, angle // 90).tobytes(), turn)
        for image in images
        for turn, angle in enumerate(degrees)
    }
    assert len(shown) == 5 * len(degrees)
    assert {(image.tobytes(), turn) for image, turn in shown} == expected
    assert all(image.shape == shape for image, _ in shown)


def test_images_that_are_wider_than_high_are_told_from_their_turn():
    """Bright at the top, in every image."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 100, (200, 4, 8, 1), np.uint8)
    images[:, :2] += 100
    split = Split(images, None)

    _, skill = self_supervised.train(split, split, CONFIG)

    assert skill.chance == 0.5
    assert skill.eval_accuracy >= 0.9


def test_images_that_look_the_same_in_every_turn_are_refused():
    gray = Split(np.full((64, 8, 8, 1), 128, np.uint8), None)

    with pytest.raises(ValueError, match=r"skill .*chance 0\.25.*same in every turn, choose"):
        self_supervised.train(gray, gray, CONFIG)
