"""The transforms of adaptive discriminator augmentation (ADA).

Karras et al. 2020, arXiv:2006.06676, section 2.2 and appendix B, with the strengths of the authors'
code: the groups `blit`, `geom` and `color`, together its default, `bgc`. All that is geometric is
one resampling. Unlike theirs, it is bilinear without a low-pass filter, and reflects as often as it
takes, where theirs is 0 beyond one reflected image.
"""

import math
from collections.abc import Sequence

import tensorflow as tf

from components.trainer.gan.rng import StatelessRng

# Groups and their transforms in the order of application.
GROUPS: dict[str, tuple[str, ...]] = {
    "blit": ("xflip", "rotate90", "xint"),
    # The rotations before and after make the axes of the anisotropic scaling any.
    "geom": ("scale", "rotate", "aniso", "rotate_after", "xfrac"),
    "color": ("brightness", "contrast", "lumaflip", "hue", "saturation"),
}
TRANSFORMS = tuple(name for group in GROUPS.values() for name in group)
# The numbers that are drawn for an image: U[0, 1) for whether each transform is applied, followed
# by those that transforms take.
UNIFORM = ("xflip", "rotate90", "xint_x", "xint_y", "rotate", "rotate_after", "lumaflip", "hue")
NORMAL = ("scale", "aniso", "xfrac_x", "xfrac_y", "brightness", "contrast", "saturation")

# Of the size: the largest whole-pixel shift, and the deviation of the fractional one.
_LARGEST_SHIFT, _SHIFT_DEVIATION = 1 / 8, 1 / 8
# In octaves.
_SCALE_DEVIATION, _ANISOTROPY_DEVIATION = 0.2, 0.2
_CONTRAST_DEVIATION, _SATURATION_DEVIATION = 0.5, 1.0
# In the images' units, in which black is -1 and white 1.
_BRIGHTNESS_DEVIATION = 0.2


class Draw:
    """What is done to each image of a batch.

    Args:
      groups: names in `GROUPS`.
      count: of images.
      probability: of each transform, in [0, 1].
      rng: random numbers of the step.
    """

    def __init__(
        self,
        groups: Sequence[str],
        count: int,
        probability: float | tf.Tensor,
        rng: StatelessRng,
    ) -> None:
        uniform = tf.unstack(rng.uniform(count, len(TRANSFORMS) + len(UNIFORM)), axis=1)
        self._chances = dict(zip(TRANSFORMS, uniform, strict=False))
        self._uniform = dict(zip(UNIFORM, uniform[len(TRANSFORMS) :], strict=True))
        normal = tf.unstack(rng.normal(count, len(NORMAL)), axis=1)
        self._normal = dict(zip(NORMAL, normal, strict=True))
        # That of one rotation or the other is the probability.
        of_each = 1.0 - tf.sqrt(1.0 - tf.convert_to_tensor(probability, tf.float32))
        self._probabilities = {
            name: of_each if name in ("rotate", "rotate_after") else probability
            for group in groups
            for name in GROUPS[group]
        }

    def inverse(self, height: int, width: int) -> tf.Tensor:
        """The affine map from places in the result to places in the image, [n, 3, 3].

        It maps (x, y, 1), in pixels to the right of the centre and below it.
        """
        uniform, normal, applied = self._uniform, self._normal, self._applied
        mirror = applied("xflip", tf.where(uniform["xflip"] < 0.5, 1.0, -1.0), 1.0)
        quarters = tf.cast(applied("rotate90", tf.floor(4.0 * uniform["rotate90"]), 0.0), tf.int32)
        # Exactly 0 and ±1, so that whole pixels remain whole.
        cosine = tf.gather([1.0, 0.0, -1.0, 0.0], quarters)
        sine = tf.gather([0.0, 1.0, 0.0, -1.0], quarters)
        zoom = applied("scale", tf.pow(2.0, _SCALE_DEVIATION * normal["scale"]), 1.0)
        stretch = applied("aniso", tf.pow(2.0, _ANISOTROPY_DEVIATION * normal["aniso"]), 1.0)
        angle, angle_after = (
            applied(name, math.pi * (2.0 * uniform[name] - 1.0), 0.0)
            for name in ("rotate", "rotate_after")
        )
        axes = (("x", width), ("y", height))
        whole = [
            applied(
                "xint", tf.round(_LARGEST_SHIFT * (2 * uniform[f"xint_{axis}"] - 1) * size), 0.0
            )
            for axis, size in axes
        ]
        fractional = [
            applied("xfrac", _SHIFT_DEVIATION * normal[f"xfrac_{axis}"] * size, 0.0)
            for axis, size in axes
        ]
        return (
            _affine(mirror * cosine, -mirror * sine, sine, cosine, whole)
            @ rotation(angle, 1.0 / zoom)
            @ _affine(1.0 / stretch, tf.zeros_like(stretch), tf.zeros_like(stretch), stretch)
            @ rotation(angle_after, 1.0, fractional)
        )

    def luma(self) -> tuple[tf.Tensor, tf.Tensor]:
        """What greys are multiplied by, and what is then added to them, each [n]."""
        sign = self._applied("lumaflip", tf.where(self._uniform["lumaflip"] < 0.5, 1.0, -1.0), 1.0)
        gain = sign * self._contrast()
        brightness = _BRIGHTNESS_DEVIATION * self._normal["brightness"]
        return gain, gain * self._applied("brightness", brightness, 0.0)

    def rgb(self) -> tf.Tensor:
        """The linear map of RGB, to which the offset of `luma` is then added, [n, 3, 3]."""
        hue = self._applied("hue", math.pi * (2.0 * self._uniform["hue"] - 1.0), 0.0)
        octaves = _SATURATION_DEVIATION * self._normal["saturation"]
        chroma = self._contrast() * self._applied("saturation", tf.pow(2.0, octaves), 1.0)
        grey = tf.fill((3, 3), 1.0 / 3.0)
        # The cross product with the unit vector of grey.
        turn = tf.constant([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]]) / math.sqrt(3)
        return (
            _matrices(self.luma()[0]) * grey
            + _matrices(chroma * tf.cos(hue)) * (tf.eye(3) - grey)
            + _matrices(chroma * tf.sin(hue)) * turn
        )

    def _contrast(self) -> tf.Tensor:
        octaves = _CONTRAST_DEVIATION * self._normal["contrast"]
        return self._applied("contrast", tf.pow(2.0, octaves), 1.0)

    def _applied(self, name: str, values: tf.Tensor, neutral: float) -> tf.Tensor:
        """The values of the images to which a transform is applied, the neutral one of others."""
        if name not in self._probabilities:
            return tf.fill(values.shape, neutral)
        return tf.where(self._chances[name] < self._probabilities[name], values, neutral)


def augment(
    images: tf.Tensor, groups: Sequence[str], probability: float | tf.Tensor, rng: StatelessRng
) -> tf.Tensor:
    """Images after the transforms of groups, each with a probability.

    With 1 or 2 channels the first is grey, with 3 or more the first three are RGB; the others, such
    as alpha, keep their values and are only moved.

    Args:
      images: float32 [n, h, w, c], n known.
      groups: names in `GROUPS`.
      probability: of each transform, scalar in [0, 1].
      rng: random numbers of the step.

    Returns:
      float32 [n, h, w, c]; affine in the pixels.
    """
    count, height, width, _ = images.shape
    draw = Draw(groups, count, probability, rng)
    if set(groups) - {"color"}:
        images = resample(images, draw.inverse(height, width))
    return recolor(images, draw) if "color" in groups else images


def recolor(images: tf.Tensor, draw: Draw) -> tf.Tensor:
    """Images [n, h, w, c] in other colours, see `augment`."""
    count, height, width, channels = images.shape
    gain, offset = (values[:, tf.newaxis, tf.newaxis] for values in draw.luma())
    colors = 3 if channels >= 3 else 1
    pixels = tf.reshape(images, (count, height * width, channels))
    pixels, others = pixels[..., :colors], pixels[..., colors:]
    if colors == 3:
        pixels = tf.matmul(pixels, draw.rgb(), transpose_b=True) + offset
    else:
        pixels = gain * pixels + offset
    return tf.reshape(tf.concat([pixels, others], axis=-1), images.shape)


def resample(images: tf.Tensor, inverse: tf.Tensor) -> tf.Tensor:
    """Images [n, h, w, c] whose pixel at a place is that at the affine map of the place.

    Args:
      images: float32.
      inverse: the maps [n, 3, 3], as of `Draw.inverse`.

    Interpolation is bilinear; outside, the image is reflected about its outermost pixels. Uses a
    gather, because the gradient of TensorFlow's projective transform is wrong.
    """
    count, height, width, channels = images.shape
    y = (tf.range(height, dtype=tf.float32) - (height - 1) / 2)[:, tf.newaxis]
    x = (tf.range(width, dtype=tf.float32) - (width - 1) / 2)[tf.newaxis, :]

    def mapped(axis: int, size: int) -> tuple[tf.Tensor, tf.Tensor]:
        """The pixel before each place along an axis, int32 [n, h, w], and how far it is beyond."""
        of_x, of_y, shift = (inverse[:, axis, k, tf.newaxis, tf.newaxis] for k in range(3))
        last = size - 1
        place = of_x * x + of_y * y + shift + last / 2
        place = last - tf.abs(tf.math.floormod(place, 2.0 * last) - last) if last else 0.0 * place
        before = tf.clip_by_value(tf.floor(place), 0.0, max(last - 1.0, 0.0))
        return tf.cast(before, tf.int32), (place - before)[..., tf.newaxis]

    column, beyond_column = mapped(0, width)
    row, beyond_row = mapped(1, height)
    # Each place needs four neighbours, which one gather reads together.
    down, right = min(1, height - 1), min(1, width - 1)
    cells = tf.concat(
        [
            images[:, top : height - down + top, left : width - right + left]
            for top in (0, down)
            for left in (0, right)
        ],
        axis=-1,
    )
    cells = tf.reshape(cells, (count, -1, 4 * channels))
    index = tf.reshape(row * (width - right) + column, (count, height * width))
    found = tf.reshape(tf.gather(cells, index, batch_dims=1), (count, height, width, 4 * channels))
    above, below = tf.split(found, 2, axis=-1)
    # This form is exact at both ends.
    between = (1.0 - beyond_row) * above + beyond_row * below
    before, behind = tf.split(between, 2, axis=-1)
    return (1.0 - beyond_column) * before + beyond_column * behind


def rotation(
    angle: tf.Tensor, factor: tf.Tensor | float = 1.0, shift: Sequence[tf.Tensor] = ()
) -> tf.Tensor:
    """The affine map that subtracts a shift (x, y), turns x towards y, and multiplies, [n, 3, 3].

    Args:
      angle: in radians, [n].
      factor: a number or [n].
      shift: two of [n]; default: none.
    """
    cosine, sine = factor * tf.cos(angle), factor * tf.sin(angle)
    return _affine(cosine, -sine, sine, cosine, shift)


def _affine(
    xx: tf.Tensor, xy: tf.Tensor, yx: tf.Tensor, yy: tf.Tensor, shift: Sequence[tf.Tensor] = ()
) -> tf.Tensor:
    """The map that subtracts a shift (x, y) and then multiplies by a matrix, [n, 3, 3]."""
    zero, one = tf.zeros_like(xx), tf.ones_like(xx)
    x, y = shift or (zero, zero)
    rows = [xx, xy, -(xx * x + xy * y), yx, yy, -(yx * x + yy * y), zero, zero, one]
    rows = [tf.broadcast_to(tf.convert_to_tensor(row), xx.shape) for row in rows]
    return tf.reshape(tf.stack(rows, axis=-1), (-1, 3, 3))


def _matrices(values: tf.Tensor) -> tf.Tensor:
    """[n] as [n, 1, 1]."""
    return values[:, tf.newaxis, tf.newaxis]
