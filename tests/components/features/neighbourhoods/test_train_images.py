"""The training images nearest to a sample, were it moved."""

import numpy as np
import pytest
from scipy import ndimage

from components.features.neighbourhoods.train_images import TrainImages


def pictures(count, shape=(28, 28, 1), seed=0):
    """Smooth random images, no two alike."""
    noise = np.random.default_rng(seed).normal(size=(count, *shape))
    smooth = ndimage.gaussian_filter(noise, (0, 2, 2, 0))
    low, high = smooth.min(axis=(1, 2, 3), keepdims=True), smooth.max(axis=(1, 2, 3), keepdims=True)
    return np.round(40 + 160 * (smooth - low) / (high - low)).astype(np.uint8)


MOVES = {
    "not at all": lambda x: x,
    "right": lambda x: np.roll(x, 1, axis=2),
    "up and left": lambda x: np.roll(x, (-2, -2), axis=(1, 2)),
    "mirrored": lambda x: x[:, :, ::-1],
    "mirrored and down": lambda x: np.roll(x[:, :, ::-1], 2, axis=1),
    "darker": lambda x: (x * 0.6).astype(np.uint8),
    "lighter": lambda x: x + 40,
}


@pytest.mark.parametrize("move", MOVES.values(), ids=MOVES)
@pytest.mark.parametrize(
    "shape", [(28, 28, 1), (64, 64, 3), (30, 44, 1), (9, 8, 1)], ids=lambda shape: str(shape)
)
def test_a_moved_training_image_is_found(move, shape):
    train = pictures(60, shape)
    moved = move(train)[10:20]
    if shape[0] < 10 and move in (MOVES["up and left"], MOVES["mirrored and down"]):
        pytest.skip("2 pixels of 8 are a large shift")

    rows, distances = TrainImages(train).nearest(moved, 3)

    np.testing.assert_array_equal(rows[:, 0], np.arange(10, 20))
    # 2 pixels of 64 are shrunk to one of 32; a wider shift leaves a fraction.
    assert (distances[:, 0] < (0.35 if max(shape) > 32 else 0.05)).all()
    assert (np.diff(distances, axis=1) >= 0).all()
    assert all(len(set(row)) == 3 for row in rows)


def test_a_copy_has_other_neighbours_behind_its_original():
    # Stripes: every shift and the mirror image of one is most like that one.
    waves = np.sin(np.arange(28) * np.arange(1, 13)[:, np.newaxis] / 9)[:, np.newaxis]
    train = np.round(128 + 100 * np.broadcast_to(waves, (12, 28, 28))).astype(np.uint8)[..., None]

    rows, distances = TrainImages(train).nearest(train, 3)

    np.testing.assert_array_equal(rows[:, 0], np.arange(12))
    assert all(len(set(row)) == 3 for row in rows)
    assert (np.diff(distances, axis=1) >= 0).all()


def test_other_images_are_far():
    train, others = pictures(60), pictures(20, seed=1)

    assert (TrainImages(train).nearest(others, 1)[1] > 0.4).all()


def test_the_distance_is_that_of_the_correlation():
    one, other = pictures(2).astype(float)[..., 0]
    inner = one[2:-2, 2:-2].ravel()
    shifts = [
        np.corrcoef(inner, turned[down : down + 24, right : right + 24].ravel())[0, 1]
        for turned in (other, other[:, ::-1])
        for down in range(5)
        for right in range(5)
    ]
    # Mirroring the sample is mirroring the training image, up to the shift.
    found = TrainImages(np.repeat(pictures(2)[1:], 4, axis=0)).nearest(pictures(2)[:1], 1)[1]

    assert found[0, 0] == pytest.approx(np.sqrt(2 - 2 * max(shifts)), abs=1e-3)


def test_a_training_image_is_not_its_own_neighbour():
    train = pictures(40)
    train[7] = train[3]
    spacing = TrainImages(train).spacing(np.array([3, 5, 7]))

    assert spacing[0] == pytest.approx(0, abs=5e-3)
    assert spacing[2] == pytest.approx(0, abs=5e-3)
    assert spacing[1] > 0.4


def test_flat_images_are_like_no_other():
    flat = np.full((4, 28, 28, 1), 7, np.uint8)

    np.testing.assert_allclose(TrainImages(pictures(10)).nearest(flat, 1)[1], np.sqrt(2))
