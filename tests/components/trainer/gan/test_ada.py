"""ADA's transforms beside the authors' code (NVlabs/stylegan2-ada-pytorch, training/augment.py).

Their random numbers were replaced by those of `Numbers`, in their order; what came out is stored.
"""

import numpy as np
import pytest
import tensorflow as tf

from components.trainer.gan import ada
from components.trainer.gan.augmentation import AdaptiveConfig, Augmentation, AugmentationConfig
from components.trainer.gan.rng import StatelessRng

BGC = ["blit", "geom", "color"]


class Numbers:
    """A fake StatelessRng with fixed numbers for four images."""

    def __init__(self):
        draw = np.random.default_rng(2)
        self._uniform = draw.random((4, 21)).astype("float32")
        self._normal = draw.standard_normal((4, 7)).astype("float32")

    def uniform(self, count, size):
        assert (count, size) == self._uniform.shape
        return tf.constant(self._uniform)

    def normal(self, count, size):
        assert (count, size) == self._normal.shape
        return tf.constant(self._normal)


# G_inv of four images of 8×8 at a probability of .7.
MAPS = [
    [[-0.63872, 0.78833, 0.62825], [0.78833, 0.63872, 0.68417], [0, 0, 1]],
    [[-0.89989, 0.00000, 0.13805], [0.00000, 0.74782, 0.62547], [0, 0, 1]],
    [[0.57150, -1.06762, -0.20696], [0.88469, 0.47358, 1.47003], [0, 0, 1]],
    [[0.62775, -0.33534, -0.35308], [-0.16966, -1.24073, -0.51212], [0, 0, 1]],
]
# Of them, what they make of the second and third of the images of `_smooth`.
RESAMPLED = [
    [
        [-0.67, -0.36, -0.00, 0.34, 0.62, 0.77, 0.79, 0.62],
        [-0.71, -0.45, -0.11, 0.24, 0.55, 0.74, 0.80, 0.68],
        [-0.76, -0.54, -0.22, 0.13, 0.46, 0.69, 0.80, 0.73],
        [-0.78, -0.61, -0.33, 0.02, 0.36, 0.63, 0.79, 0.77],
        [-0.79, -0.68, -0.43, -0.09, 0.26, 0.56, 0.76, 0.79],
        [-0.78, -0.73, -0.52, -0.20, 0.16, 0.48, 0.71, 0.80],
        [-0.75, -0.76, -0.61, -0.31, 0.04, 0.38, 0.65, 0.79],
        [-0.71, -0.78, -0.69, -0.43, -0.09, 0.26, 0.56, 0.75],
    ],
    [
        [0.19, -0.20, -0.55, -0.76, -0.78, -0.75, -0.72, -0.67],
        [0.49, 0.15, -0.19, -0.52, -0.74, -0.80, -0.79, -0.80],
        [0.71, 0.48, 0.15, -0.21, -0.52, -0.73, -0.76, -0.72],
        [0.80, 0.70, 0.47, 0.14, -0.21, -0.53, -0.74, -0.76],
        [0.73, 0.81, 0.70, 0.47, 0.15, -0.24, -0.45, -0.51],
        [0.63, 0.73, 0.80, 0.70, 0.46, 0.14, 0.04, -0.05],
        [0.79, 0.75, 0.76, 0.79, 0.68, 0.56, 0.50, 0.42],
        [0.58, 0.65, 0.70, 0.72, 0.77, 0.79, 0.77, 0.74],
    ],
]
# Two pixels and three greys at a probability of .95.
RGB = [[1.0, -0.5, 0.25], [-0.2, 0.3, 0.9]]
RECOLORED = [
    [[0.48283, -0.22187, 1.01693], [0.06227, 0.96693, 0.61844]],
    [[0.43056, -0.42168, -0.63575], [-0.42597, -0.62559, 0.17055]],
    [[2.07938, -0.49190, -0.90692], [-0.13811, -0.56596, 1.67191]],
    [[-0.07871, 0.36124, -1.58543], [0.12461, -1.32666, -0.27476]],
]
GREYS = [-1.0, -0.25, 0.5]
REGREYED = [
    [-1.42278, -0.31353, 0.79571],
    [1.06175, 0.29932, -0.46310],
    [-1.20960, -0.34773, 0.51414],
    [0.43524, -0.08649, -0.60821],
]


def _smooth(size):
    """A wave that a low-pass filter hardly changes."""
    y, x = np.mgrid[:size, :size]
    return (0.8 * np.sin(2 * np.pi * (0.08 * x + 0.03 * y) + 0.4)).astype("float32")


def _repeated(pixels, channels):
    return tf.constant(np.tile(np.reshape(pixels, (1, 1, -1, channels)), (4, 1, 1, 1)), tf.float32)


def test_maps_are_the_authors():
    draw = ada.Draw(["blit", "geom"], 4, 0.7, Numbers())
    np.testing.assert_allclose(draw.inverse(8, 8), MAPS, atol=2e-5)


def test_images_are_the_authors_but_for_their_low_pass_filter():
    images = tf.constant(np.tile(_smooth(8)[np.newaxis, ..., np.newaxis], (4, 1, 1, 1)))
    found = ada.augment(images, ["blit", "geom"], 0.7, Numbers()).numpy()[1:3, ..., 0]
    # Half a pixel off it would be about .1.
    assert np.abs(found - RESAMPLED).mean() < 0.03
    assert np.abs(found - RESAMPLED).max() < 0.15


@pytest.mark.parametrize("channels", [3, 4])
def test_colors_are_the_authors_and_alpha_is_kept(channels):
    alpha = np.full((2, channels - 3), 0.75)
    images = _repeated(np.concatenate([RGB, alpha], axis=1), channels)
    found = ada.augment(images, ["color"], 0.95, Numbers()).numpy()[:, 0]
    np.testing.assert_allclose(found[..., :3], RECOLORED, atol=2e-5)
    np.testing.assert_array_equal(found[..., 3:], np.broadcast_to(alpha, (4, *alpha.shape)))


@pytest.mark.parametrize("channels", [1, 2])
def test_greys_are_the_authors_and_alpha_is_kept(channels):
    pixels = np.stack([GREYS, [0.5] * 3][:channels], axis=1)
    found = ada.augment(_repeated(pixels, channels), ["color"], 0.95, Numbers()).numpy()[:, 0]
    np.testing.assert_allclose(found[..., 0], REGREYED, atol=2e-5)
    np.testing.assert_array_equal(found[..., 1:], np.full((4, 3, channels - 1), 0.5))


def _drawn(groups, probability, count=4000):
    return ada.Draw(groups, count, probability, StatelessRng(1, 0))


@pytest.mark.parametrize("probability", [0.3, 1.0])
def test_each_transform_has_the_probability(probability):
    """Closed forms: blit leaves half of the mirrors, a quarter of the turns, 1/9 of the shifts."""
    maps = _drawn(["blit"], probability).inverse(8, 8).numpy()
    mirrored = np.linalg.det(maps[:, :2, :2]) < 0
    assert mirrored.mean() == pytest.approx(probability / 2, abs=0.03)
    sideways = np.abs(maps[:, 0, 1]) > 0.5
    assert sideways.mean() == pytest.approx(probability / 2, abs=0.03)
    np.testing.assert_array_equal(maps, np.round(maps))
    # Up to one pixel of 8, of which the outer ones are half as likely: U(-1, 1) is rounded.
    shifted = (maps[:, :2, 2] != 0).any(axis=1)
    assert shifted.mean() == pytest.approx(probability * 3 / 4, abs=0.03)

    maps = _drawn(["geom"], probability).inverse(8, 8).numpy()
    # The areas are those of the isotropic scaling: 2^(2 · N(0, 0.2²)).
    areas = -0.5 * np.log2(np.linalg.det(maps[:, :2, :2]))
    scaled = np.abs(areas) > 1e-5
    assert scaled.mean() == pytest.approx(probability, abs=0.03)
    assert areas[scaled].std() == pytest.approx(0.2, abs=0.02)
    drifted = np.abs(maps[:, :2, 2]).max(axis=1) > 1e-6
    assert drifted.mean() == pytest.approx(probability, abs=0.03)
    # Without an anisotropic scaling of 2^N(0, 0.2²) both singular values are the same.
    singular = np.linalg.svd(maps[:, :2, :2], compute_uv=False)
    octaves = 0.5 * np.log2(singular[:, 0] / singular[:, 1])
    assert (octaves > 1e-4).mean() == pytest.approx(probability, abs=0.03)
    assert (octaves[octaves > 1e-4] ** 2).mean() == pytest.approx(0.04, abs=0.01)


def test_a_group_does_only_its_own():
    np.testing.assert_array_equal(
        _drawn(["color"], 1.0).inverse(8, 8), np.tile(np.eye(3), (4000, 1, 1))
    )
    gain, offset = _drawn(["blit", "geom"], 1.0).luma()
    assert (set(gain.numpy()), set(offset.numpy())) == ({1.0}, {0.0})


def test_blit_keeps_pixels_and_reflects_at_the_border():
    images = tf.constant(np.random.default_rng(0).normal(size=(50, 8, 8, 2)), tf.float32)
    moved = ada.augment(images, ["blit"], 1.0, StatelessRng(3, 0)).numpy()
    maps = ada.Draw(["blit"], 50, 1.0, StatelessRng(3, 0)).inverse(8, 8).numpy().round()
    for image, found, inverse in zip(images.numpy(), moved, maps, strict=True):
        padded = np.pad(image, [(8, 8), (8, 8), (0, 0)], mode="reflect")
        y, x = np.mgrid[:8, :8] - 3.5
        places = np.einsum("ij,jyx->iyx", inverse, np.stack([x, y, np.ones_like(x)]))
        column, row = (places[:2] + 3.5 + 8).round().astype(int)
        np.testing.assert_array_equal(found, padded[row, column])


DEFAULTS = [
    ({}, ["color", "translation", "cutout"], []),
    ({"adaptive": {}}, [], BGC),
    ({"adaptive": {}, "groups": ["blit", "geom"]}, [], ["blit", "geom"]),
    ({"adaptive": {}, "transforms": ["color"]}, ["color"], []),
    ({"groups": BGC, "transforms": ["cutout"]}, ["cutout"], BGC),
]


@pytest.mark.parametrize(("options", "transforms", "groups"), DEFAULTS)
def test_alone_it_is_diffaugment_and_adaptive_it_is_adas(options, transforms, groups):
    images = tf.constant(np.random.default_rng(0).normal(size=(6, 8, 8, 3)), tf.float32)
    found = AugmentationConfig(**options).make()(images, 0.5, StatelessRng(0, 0))
    expected = Augmentation(transforms, groups)(images, 0.5, StatelessRng(0, 0))
    np.testing.assert_array_equal(found, expected)
    assert not np.array_equal(found, images)


def test_defaults_are_the_authors():
    """train.py: --target 0.6, ada_kimg 500, ada_interval 4."""
    config = AdaptiveConfig()
    assert (config.target, config.images, config.every_steps) == (0.6, 500_000, 4)
