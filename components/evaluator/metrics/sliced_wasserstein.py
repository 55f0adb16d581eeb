"""Sliced Wasserstein distance of image patches, scale by scale."""

from collections.abc import Iterator

import numpy as np
from scipy import ndimage

_SMALLEST_SIDE = 16
_BATCH_SIZE = 64
_DIRECTIONS = 16
# The binomial filter of Burt and Adelson, "The Laplacian Pyramid as a Compact Image Code", 1983.
_FILTER = np.array([1.0, 4.0, 6.0, 4.0, 1.0]) / 16
# Grey levels. Whatever differs by less is a constant and what rounding adds to it.
_CONSTANT = 1e-6


def sliced_wasserstein(
    real_images: np.ndarray,
    fake_images: np.ndarray,
    *,
    patches_per_image: int = 128,
    patch_size: int = 7,
    projections: int = 512,
    seed: int = 0,
) -> list[float]:
    """How differently the patches of real and fake images are distributed, times 1000.

    Karras et al., "Progressive Growing of GANs", 2018 (arXiv 1710.10196), section 5. Patches are
    taken from a Laplacian pyramid, normalised to mean 0 and standard deviation 1 in each channel,
    within each set; the distance is the mean, over random directions, of the Wasserstein-1 distance
    of the patches' projections. 0 is best.

    Because each set is normalised by itself, overall brightness, contrast and colour do not count.
    Patches without any variation (black images) are all 0. Real and fake patches are at the same
    random places, so that equal sets have distance 0. Where one set has more images, the rest of
    them is not used.

    Args:
      real_images, fake_images: uint8 [n, height, width, channels], 1 image or more.
      patches_per_image: random patches from each level of each image.
      patch_size: side of a patch, pixels; at most that of the smallest level.
      projections: random directions.
      seed: of the places and directions.

    Returns:
      One value a level, finest first: levels are halved while their smaller side is 16 or more.

    Raises:
      ValueError: for images of other types or shapes, no images, and arguments below 1.
    """
    numbers = {
        "patches_per_image": patches_per_image,
        "patch_size": patch_size,
        "projections": projections,
    }
    for name, number in numbers.items():
        if number < 1:
            raise ValueError(f"{name}: {number}, expected 1 or more")
    for name, images in {"real_images": real_images, "fake_images": fake_images}.items():
        if np.ndim(images) != 4 or images.dtype != np.uint8 or not images.size:
            raise ValueError(
                f"{name}: {np.asarray(images).dtype} {list(np.shape(images))}, expected uint8 "
                "[n, height, width, channels] with n of 1 or more"
            )
    if real_images.shape[1:] != fake_images.shape[1:]:
        raise ValueError(
            f"fake_images: {list(fake_images.shape[1:])}, expected {list(real_images.shape[1:])} "
            "as in real_images"
        )
    height, width = real_images.shape[1:3]
    shapes = _shapes((height, width))
    if min(shapes[-1]) < patch_size:
        raise ValueError(
            f"patch_size: {patch_size}, expected at most {min(shapes[-1])}, the smaller side of "
            "the smallest level"
        )
    count = min(len(real_images), len(fake_images))
    rng = np.random.default_rng(seed)
    distances = []
    for level, shape in enumerate(shapes):
        places = [
            rng.integers(0, side - patch_size + 1, (count, patches_per_image)) for side in shape
        ]
        real, fake = (
            _normalised(_patches(images[:count], shapes, level, places, patch_size))
            for images in (real_images, fake_images)
        )
        directions = rng.standard_normal((projections, real.shape[1]), dtype=np.float32)
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        distances.append(1e3 * _mean_distance(real, fake, directions))
    return distances


def _shapes(shape: tuple[int, int]) -> list[tuple[int, int]]:
    """Height and width of every level."""
    shapes = [shape]
    while (min(shapes[-1]) + 1) // 2 >= _SMALLEST_SIDE:
        height, width = shapes[-1]
        shapes.append(((height + 1) // 2, (width + 1) // 2))
    return shapes


def _patches(
    images: np.ndarray,
    shapes: list[tuple[int, int]],
    level: int,
    places: list[np.ndarray],
    size: int,
) -> np.ndarray:
    """float32 [n * patches, channels, size * size] from one level of the images' pyramids."""
    count, per_image = places[0].shape
    channels = images.shape[3]
    result = np.empty((count * per_image, channels, size * size), np.float32)
    for start in range(0, count, _BATCH_SIZE):
        part = slice(start, start + _BATCH_SIZE)
        batch = _level(images[part].astype(np.float64), shapes, level)
        windows = np.lib.stride_tricks.sliding_window_view(
            batch,
            (size, size),
            axis=(1, 2),  # type: ignore[call-overload]  # NumPy 1's stubs know one axis only.
        )
        image = np.arange(len(batch))[:, np.newaxis]
        chosen = windows[image, places[0][part], places[1][part]]
        rows = slice(start * per_image, (start + len(batch)) * per_image)
        result[rows] = chosen.reshape(-1, channels, size * size)
    return result


def _level(images: np.ndarray, shapes: list[tuple[int, int]], level: int) -> np.ndarray:
    """What the level adds to the next coarser one; the coarsest is blurred and small."""
    for _ in range(level):
        images = _down(images)
    if level + 1 < len(shapes):
        return images - _up(_down(images), shapes[level])
    return images


def _down(images: np.ndarray) -> np.ndarray:
    return _blurred(images, 1.0)[:, ::2, ::2]


def _up(images: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    larger = np.zeros((len(images), *shape, images.shape[3]))
    larger[:, ::2, ::2] = images
    return _blurred(larger, 2.0)


def _blurred(images: np.ndarray, gain: float) -> np.ndarray:
    for axis in (1, 2):
        images = ndimage.convolve1d(images, gain * _FILTER, axis=axis, mode="mirror")
    return images


def _normalised(patches: np.ndarray) -> np.ndarray:
    """float32 [n, channels * pixels], in place."""
    for channel in range(patches.shape[1]):
        values = patches[:, channel]
        values -= values.mean(dtype=np.float64).astype(np.float32)
        spread = np.sqrt(np.einsum("np,np->", values, values, dtype=np.float64) / values.size)
        values /= np.float32(spread if spread > _CONSTANT else np.inf)
    return patches.reshape(len(patches), -1)


def _mean_distance(real: np.ndarray, fake: np.ndarray, directions: np.ndarray) -> float:
    """Mean Wasserstein-1 distance of the projections: of sorted values, one by one."""
    return float(
        np.mean(
            [
                np.abs(ours - theirs).mean(dtype=np.float64)
                for ours, theirs in zip(
                    _projected(real, directions), _projected(fake, directions), strict=True
                )
            ]
        )
    )


def _projected(patches: np.ndarray, directions: np.ndarray) -> Iterator[np.ndarray]:
    """The sorted projections [n] on each direction; a few at a time, as all need much memory."""
    for start in range(0, len(directions), _DIRECTIONS):
        yield from np.sort(directions[start : start + _DIRECTIONS] @ patches.T, axis=1)
