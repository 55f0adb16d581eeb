"""Differentiable augmentation of everything that the discriminator sees, real and fake.

It keeps the discriminator from memorising a small dataset: Zhao et al. 2020 (DiffAugment),
arXiv:2006.10738; Karras et al. 2020 (ADA), arXiv:2006.06676.
"""

import math
from collections.abc import Callable, Sequence
from typing import Annotated, Literal

import tensorflow as tf
from pydantic import Field

from components.common.config import Config, name_in
from components.common.registry import Registry
from components.trainer.gan import ada
from components.trainer.gan.rng import StatelessRng
from components.trainer.gan.schedules import Scheduled, scheduled

Transform = Callable[[tf.Tensor, StatelessRng], tf.Tensor]

# A transform changes float32 images [n, h, w, c] in [-1, 1], each independently. The built-in ones
# are affine in the pixels, so gradient penalties can be computed through them.
AUGMENTATIONS: Registry[Transform] = Registry("augmentation")
DIFFAUGMENT = ("color", "translation", "cutout")


class Augmentation:
    """A sequence of transforms, each applied to each image with a given probability.

    Args:
      names: names in `AUGMENTATIONS`, in order of application.
      groups: of ADA's transforms, names in `ada.GROUPS`; they come first.

    Raises:
      ValueError: for an unknown name in `AUGMENTATIONS`.

    >>> augmentation = Augmentation(["flip", "cutout"])
    >>> augmentation(tf.zeros([2, 8, 8, 1]), 0.5, StatelessRng(seed=0, step=0)).shape
    TensorShape([2, 8, 8, 1])
    """

    def __init__(self, names: Sequence[str], groups: Sequence[str] = ()) -> None:
        self._groups = tuple(groups)
        self._transforms = [AUGMENTATIONS.get(name) for name in names]

    @staticmethod
    def check_shape(data_shape: Sequence[int]) -> None:
        """Raises ValueError if the data are not images."""
        check_images("augmentation", data_shape)

    def __call__(
        self, images: tf.Tensor, probability: float | tf.Tensor, rng: StatelessRng
    ) -> tf.Tensor:
        """Augmented images.

        Args:
          images: float [n, h, w, c] in [-1, 1], n known.
          probability: scalar in [0, 1]; drawn independently for each image and transform.
          rng: random numbers of the step.

        Returns:
          float32 [n, h, w, c]; may leave [-1, 1].
        """
        images = tf.cast(images, tf.float32)
        if self._groups:
            images = ada.augment(images, self._groups, probability, rng)
        for transform in self._transforms:
            chosen = rng.uniform(images.shape[0], 1, 1, 1) < probability
            images = tf.where(chosen, transform(images, rng), images)
        return images


def check_images(option: str, data_shape: Sequence[int]) -> None:
    """Raises ValueError, naming the option, if the data are not images."""
    if len(data_shape) != 3:
        raise ValueError(
            f"{option}: data have shape {list(data_shape)}, "
            "expected images, [height, width, channels]; leave it out"
        )


@AUGMENTATIONS.register("color")
def color(images: tf.Tensor, rng: StatelessRng) -> tf.Tensor:
    """Brightness ± 0.5, saturation × 0 to 2 (of RGB), contrast × 0.5 to 1.5, as in DiffAugment."""
    count, *_, channels = images.shape

    def spread(values: tf.Tensor, axes: Sequence[int], low: float, high: float) -> tf.Tensor:
        """Scales the distances from the mean over `axes` by a factor from `low` to `high`."""
        mean = tf.reduce_mean(values, axis=axes, keepdims=True)
        factor = low + (high - low) * rng.uniform(count, 1, 1, 1)
        return mean + factor * (values - mean)

    images = images + rng.uniform(count, 1, 1, 1) - 0.5
    if channels == 3:
        images = spread(images, [3], 0.0, 2.0)
    return spread(images, [1, 2, 3], 0.5, 1.5)


@AUGMENTATIONS.register("translation")
def translation(images: tf.Tensor, rng: StatelessRng) -> tf.Tensor:
    """Shifts by up to 1/8 of the size, in whole pixels, as in DiffAugment.

    Vacated pixels become 0, mid-grey.
    """
    count, height, width, _ = images.shape

    def sources(size: int) -> tf.Tensor:
        """The source index of each pixel along an axis, [n, size]."""
        largest = int(size / 8 + 0.5)
        shift = _integers(rng, count, -largest, largest)
        return tf.range(size) - shift

    rows, columns = sources(height)[:, :, tf.newaxis], sources(width)[:, tf.newaxis, :]
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    shifted = _gather(
        images, tf.clip_by_value(rows, 0, height - 1), tf.clip_by_value(columns, 0, width - 1)
    )
    return tf.where(inside[..., tf.newaxis], shifted, 0.0)


@AUGMENTATIONS.register("cutout")
def cutout(images: tf.Tensor, rng: StatelessRng) -> tf.Tensor:
    """Sets a rectangle of half the height and width to 0, mid-grey.

    Its centre is anywhere in the image, so part of it may lie outside, as in DiffAugment.
    """
    count, height, width, _ = images.shape

    def covered(size: int) -> tf.Tensor:
        """Which pixels along an axis are covered, [n, size]."""
        side = int(size / 2 + 0.5)
        start = _integers(rng, count, 0, size - side % 2) - side // 2
        return (tf.range(size) >= start) & (tf.range(size) < start + side)

    hidden = covered(height)[:, :, tf.newaxis] & covered(width)[:, tf.newaxis, :]
    return tf.where(hidden[..., tf.newaxis], 0.0, images)


@AUGMENTATIONS.register("flip")
def flip(images: tf.Tensor, rng: StatelessRng) -> tf.Tensor:
    """Flips each image horizontally with probability 1/2: always would teach mirror images."""
    mirrored = rng.uniform(images.shape[0], 1, 1, 1) < 0.5
    return tf.where(mirrored, tf.reverse(images, axis=[2]), images)


@AUGMENTATIONS.register("rotate")
def rotate(images: tf.Tensor, rng: StatelessRng) -> tf.Tensor:
    """Rotates by a uniform angle about the centre, with reflection padding, as in ADA.

    At a probability of 1 the discriminator never sees upright images, so the generator cannot learn
    to make them: ADA stays below 0.8.
    """
    angle = 2.0 * math.pi * rng.uniform(images.shape[0])
    return ada.resample(images, ada.rotation(-angle))


@AUGMENTATIONS.register("scale")
def scale(images: tf.Tensor, rng: StatelessRng) -> tf.Tensor:
    """Zooms by 2^N(0, 0.2²) about the centre, with reflection padding, as in ADA."""
    zoom = tf.pow(2.0, 0.2 * rng.normal(images.shape[0]))
    return ada.resample(images, ada.rotation(tf.zeros_like(zoom), 1.0 / zoom))


def _integers(rng: StatelessRng, count: int, low: int, high: int) -> tf.Tensor:
    """int32 [count, 1], uniform from `low` to `high` inclusive."""
    return low + tf.cast(rng.uniform(count, 1) * (high - low + 1), tf.int32)


def _gather(images: tf.Tensor, rows: tf.Tensor, columns: tf.Tensor) -> tf.Tensor:
    """Pixels of each image at int32 indices that broadcast to [n, h, w]."""
    count, height, width, channels = images.shape
    indices = tf.reshape(rows * width + columns, (count, height * width))
    pixels = tf.reshape(images, (count, height * width, channels))
    return tf.reshape(tf.gather(pixels, indices, batch_dims=1), images.shape)


class AdaptiveConfig(Config):
    """Adaptive discriminator augmentation (Karras et al. 2020, arXiv:2006.06676, section 3)."""

    target: float = Field(
        0.6, gt=0, lt=1, description="target for the mean sign of the logits on real images"
    )
    images: int = Field(
        500_000, ge=1, description="real images in which the probability can rise from 0 to 1"
    )
    every_steps: int = Field(4, ge=1, description="steps between adjustments")


class AugmentationConfig(Config):
    """Random transforms of everything that the discriminator sees."""

    transforms: tuple[Annotated[str, name_in(AUGMENTATIONS)], ...] | None = Field(
        None,
        min_length=1,
        description="transforms, applied in this order; default: without groups and adaptive those "
        "of DiffAugment, color, translation, cutout",
    )
    groups: tuple[Literal["blit", "geom", "color"], ...] | None = Field(
        None,
        min_length=1,
        description="groups of ADA's transforms, applied before the others; default: with adaptive "
        "and no transforms, all three (bgc)",
    )
    probability: Annotated[Scheduled, scheduled(ge=0, le=1)] = Field(
        1.0, description="probability of each transform for each image; may be a schedule"
    )
    adaptive: AdaptiveConfig | None = Field(
        None, description="adapt the probability, from 0, to the discriminator's overfitting"
    )

    def make(self) -> Augmentation:
        """The augmentation, without its probability."""
        if self.transforms or self.groups:
            return Augmentation(self.transforms or (), self.groups or ())
        return Augmentation((), tuple(ada.GROUPS)) if self.adaptive else Augmentation(DIFFAUGMENT)


class AdaptiveProbability(tf.Module):
    """Controls the augmentation probability by the discriminator's overfitting, starting from 0.

    As a discriminator overfits, its logits turn positive for all real data. The probability rises
    by a fixed step while their mean sign is above a target, and falls while it is below (Karras et
    al. 2020, arXiv:2006.06676, section 3.1, r_t). The state is in variables, which are
    checkpointed; make it in the strategy's scope.

    Args:
      config: target and speed.
      images: real images that the discriminator is shown per step, on all devices.

    Attributes:
      probability: float32 scalar in [0, 1].
    """

    def __init__(self, config: AdaptiveConfig, images: int) -> None:
        super().__init__()
        self._config = config
        self._move = images * config.every_steps / config.images
        self.probability = tf.Variable(0.0, trainable=False)
        self.sum_of_signs = tf.Variable(0.0, trainable=False)
        self.steps = tf.Variable(0, trainable=False, dtype=tf.int64)

    def observe(self, mean_sign: tf.Tensor) -> None:
        """Updates the probability after a step; call it in a cross-replica context.

        Args:
          mean_sign: mean sign of the logits on the global batch of real images, float32 scalar in
            [-1, 1].
        """
        total, steps = self.sum_of_signs + mean_sign, self.steps + 1
        due = steps >= self._config.every_steps
        change = self._move * tf.sign(total / tf.cast(steps, tf.float32) - self._config.target)
        moved = tf.clip_by_value(self.probability + change, 0.0, 1.0)
        self.probability.assign(tf.where(due, moved, self.probability))
        self.sum_of_signs.assign(tf.where(due, 0.0, total))
        self.steps.assign(tf.where(due, tf.zeros_like(steps), steps))
