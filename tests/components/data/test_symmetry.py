import numpy as np
import pytest
from scipy.stats import norm
from sklearn.datasets import load_digits

from components.data.symmetry import mirror_accuracy, thumbnail


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def noise(rng, count, shape=(8, 8, 1)):
    return rng.integers(0, 256, (count, *shape), np.uint8)


def shaded(rng, count, shift):
    """Brighter at the left and darker at the right by N(shift, 1) units; else symmetric noise."""
    half = rng.integers(60, 100, (count, 12, 8, 3))
    amount = np.round(8 * (rng.standard_normal((count, 1, 1, 1)) + shift)).astype(int)
    return np.concatenate([half + amount, half[:, :, ::-1] - amount], axis=2).astype(np.uint8)


@pytest.mark.parametrize("shape", [(8, 8, 1), (9, 30, 3), (64, 33, 1)])
def test_noise_could_as_well_be_mirrored(rng, shape):
    found = mirror_accuracy(np.stack([thumbnail(each) for each in noise(rng, 1000, shape)]))
    assert found.allowed
    assert (found.label, found.count) == (None, 1000)
    assert found.low < 0.5 < found.high


@pytest.mark.parametrize("shift", [0.1, 0.5, 1.0])
def test_the_accuracy_is_the_best_that_there_can_be(rng, shift):
    found = mirror_accuracy(shaded(rng, 4000, shift))
    # The sign of the one thing that a mirror changes tells best.
    assert found.accuracy == pytest.approx(norm.cdf(shift), abs=0.03)
    assert found.low < found.accuracy < found.high
    assert found.allowed is (shift < 0.2)


def test_the_class_that_points_one_way_speaks_against(rng):
    images = noise(rng, 900)
    labels = np.repeat([0, 4, 7], 300)
    images[labels == 4, :, :2] //= 2
    found = mirror_accuracy(images, labels)
    assert (found.allowed, found.label, found.count) == (False, 4, 300)
    assert mirror_accuracy(images[labels != 4], labels[labels != 4]).allowed


def test_what_tells_two_kinds_apart_is_found_without_labels(rng):
    """Dark images are brighter at the left, bright ones at the right: their mean is symmetric."""
    images = np.concatenate([noise(rng, 500) // 4, 192 + noise(rng, 500) // 4])
    images[:500, :, :4] += 20
    images[500:, :, 4:] -= 20
    assert mirror_accuracy(images).low > 0.9


def test_small_classes_are_judged_together(rng):
    images = noise(rng, 440)
    labels = np.append(np.zeros(200, int), np.arange(240) % 4 + 1)
    images[labels > 0, :, :2] //= 2
    found = mirror_accuracy(images, labels)
    assert (found.allowed, found.label, found.count) == (False, None, 240)


@pytest.mark.parametrize("kind", ["symmetric", "with their mirror images"])
def test_data_that_are_their_own_mirror_images(rng, kind):
    images = noise(rng, 200)
    if kind == "symmetric":
        images = np.concatenate([images, images[:, :, ::-1]], axis=2)
        assert mirror_accuracy(images).accuracy == 0.5
    else:
        images = np.concatenate([images, images[:, :, ::-1]])
    assert mirror_accuracy(images).allowed


def test_digits_have_a_left_and_a_right():
    images = (load_digits().images * 15).astype(np.uint8)[..., np.newaxis]
    assert mirror_accuracy(images).low > 0.9


@pytest.mark.parametrize("shape", [(32, 48, 3), (9, 30, 1), (200, 33, 3)])
def test_a_mirror_image_has_the_mirrored_thumbnail(rng, shape):
    image = noise(rng, 1, shape)[0]
    small = thumbnail(image)
    assert small.shape == (min(16, shape[0]), 16, shape[2])
    np.testing.assert_array_equal(thumbnail(image[:, ::-1]), small[:, ::-1])
    assert small.mean() == pytest.approx(image.mean(), abs=4)


def test_a_small_image_is_its_own_thumbnail(rng):
    image = noise(rng, 1, (16, 9, 1))[0]
    np.testing.assert_array_equal(thumbnail(image), image)


def test_few_images_tell_nothing(rng):
    with pytest.raises(ValueError, match="images: 99, expected 100 or more"):
        mirror_accuracy(noise(rng, 99))
