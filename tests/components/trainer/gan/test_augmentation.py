import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from components.trainer.gan.augmentation import (
    AUGMENTATIONS,
    AdaptiveConfig,
    AdaptiveProbability,
    Augmentation,
)
from components.trainer.gan.rng import StatelessRng

NAMES = ["color", "cutout", "flip", "rotate", "scale", "translation"]
# ADA's color has the name of DiffAugment's.
GROUPS = ["blit", "geom"]


def _images(*shape, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype("float32")


def _augment(name, images, probability=1.0, seed=0):
    names = [name] if isinstance(name, str) else name
    augmentation = Augmentation(
        [each for each in names if each in NAMES], [each for each in names if each not in NAMES]
    )
    return augmentation(tf.constant(images), probability, StatelessRng(seed, 0)).numpy()


class Fixed:
    """A fake StatelessRng with known values: one per call, for all images."""

    def __init__(self, *values):
        self.values = list(values)

    def uniform(self, count, *shape):
        return tf.fill((count, *shape), tf.constant(self.values.pop(0), tf.float32))

    normal = uniform


def test_names():
    assert AUGMENTATIONS.names() == NAMES
    with pytest.raises(ValueError, match="unknown augmentation 'cut': did you mean 'cutout'"):
        Augmentation(["color", "cut"])


def test_vectors_are_refused():
    Augmentation(NAMES).check_shape((8, 8, 1))
    with pytest.raises(ValueError, match=r"augmentation: data have shape \[5\], expected images"):
        Augmentation(NAMES).check_shape((5,))


@settings(deadline=None, max_examples=25)
@given(
    st.lists(st.sampled_from(NAMES + GROUPS), max_size=3),
    st.integers(1, 4),
    st.integers(2, 9),
    st.integers(2, 9),
    st.sampled_from([1, 2, 3, 4]),
)
def test_any_shape_keeps_its_own_and_probability_0_changes_nothing(
    names, count, height, width, channels
):
    images = _images(count, height, width, channels)
    np.testing.assert_array_equal(_augment(names, images, 0.0), images)
    augmented = _augment(names, images)
    assert augmented.shape == images.shape
    assert augmented.dtype == np.float32
    assert np.isfinite(augmented).all()


def test_half_precision_comes_out_as_float32():
    images = tf.constant(_images(2, 8, 8, 3), tf.float16)
    assert Augmentation(NAMES)(images, 1.0, StatelessRng(0, 0)).dtype == tf.float32


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("probability", [0.25, 1.0])
def test_each_image_is_transformed_with_the_probability_and_on_its_own(name, probability):
    one = _images(1, 16, 16, 3)
    augmented = _augment(name, np.repeat(one, 600, axis=0), probability)
    changed = (np.abs(augmented - one) > 1e-4).any(axis=(1, 2, 3))

    # Half of the flips and 1 of 25 shifts (by -2 to 2 pixels each way) change nothing.
    visible = {"flip": 1 / 2, "translation": 24 / 25}.get(name, 1.0)
    assert changed.mean() == pytest.approx(probability * visible, abs=0.06)
    kinds = len({image.tobytes() for image in augmented[changed]})
    most = {"flip": 1, "translation": 24}.get(name, changed.sum())
    assert kinds == most if name != "cutout" else kinds > 50


@pytest.mark.parametrize("name", NAMES)
def test_the_rows_of_two_replicas_are_those_of_one(name):
    images = _images(6, 8, 8, 3)
    augmentation = Augmentation([name], ["blit", "geom", "color"])
    whole = augmentation(images, 0.5, StatelessRng(1, 2))
    parts = [
        augmentation(images[3 * replica :][:3], 0.5, StatelessRng(1, 2, replica, replicas=2))
        for replica in range(2)
    ]
    np.testing.assert_allclose(tf.concat(parts, axis=0), whole, atol=1e-6)


def test_color_of_gray_images():
    """Brightness moves the mean by ± 0.5 at most; contrast scales the deviation by 0.5 to 1.5."""
    images = _images(2000, 8, 8, 1)
    augmented = _augment("color", images)
    moved = augmented.mean(axis=(1, 2, 3)) - images.mean(axis=(1, 2, 3))
    scaled = augmented.std(axis=(1, 2, 3)) / images.std(axis=(1, 2, 3))

    for values, low, high in ((moved, -0.5, 0.5), (scaled, 0.5, 1.5)):
        assert low - 1e-4 <= values.min() < low + 0.02
        assert high - 0.02 < values.max() <= high + 1e-4
        assert values.mean() == pytest.approx((low + high) / 2, abs=0.03)


# brightness, saturation, contrast, each a share of its range; the pixel (1, 0, -1) and its mirror.
COLORS = [
    (0.5, 0.5, 0.5, [1.0, 0.0, -1.0]),
    (0.75, 0.5, 0.5, [1.25, 0.25, -0.75]),
    (0.5, 0.0, 0.5, [0.0, 0.0, 0.0]),
    (0.5, 1.0, 0.5, [2.0, 0.0, -2.0]),
    (0.5, 0.5, 0.0, [0.5, 0.0, -0.5]),
    (0.25, 0.75, 1.0, [2.0, -0.25, -2.5]),
]


@pytest.mark.parametrize(("brightness", "saturation", "contrast", "expected"), COLORS)
def test_color_by_hand(brightness, saturation, contrast, expected):
    images = tf.constant([[[[1.0, 0.0, -1.0], [-1.0, 0.0, 1.0]]]])
    augmented = AUGMENTATIONS.get("color")(images, Fixed(brightness, saturation, contrast))
    np.testing.assert_allclose(augmented[0, 0, 0], expected, atol=1e-6)
    np.testing.assert_allclose(augmented[0, 0, 1], expected[::-1], atol=1e-6)


@pytest.mark.parametrize(("height", "width"), [(16, 16), (16, 8), (8, 24)])
def test_translation_is_a_shift_with_gray_behind(height, width):
    images = _images(300, height, width, 2)
    largest = height // 8, width // 8
    shifts = set()
    for image, shifted in zip(images, _augment("translation", images), strict=True):
        padded = np.pad(image, [(2 * largest[0],) * 2, (2 * largest[1],) * 2, (0, 0)])
        matches = [
            (down, right)
            for down in range(-largest[0], largest[0] + 1)
            for right in range(-largest[1], largest[1] + 1)
            if np.array_equal(
                shifted,
                padded[2 * largest[0] - down :, 2 * largest[1] - right :][:height, :width],
            )
        ]
        assert len(matches) == 1
        shifts.add(matches[0])
    assert len(shifts) == (2 * largest[0] + 1) * (2 * largest[1] + 1)


@pytest.mark.parametrize(("height", "width"), [(8, 8), (16, 10)])
def test_cutout_hides_a_rectangle_of_half_the_size_around_any_pixel(height, width):
    hidden = _augment("cutout", np.ones((2000, height, width, 3), "float32")) == 0
    assert (hidden.all(axis=3) == hidden.any(axis=3)).all()
    hidden = hidden[..., 0]
    areas = hidden.sum(axis=(1, 2))
    for axis, size in ((2, height), (1, width)):
        lengths = hidden.any(axis=axis).sum(axis=1)
        # A full side, or less at the border.
        assert (lengths.min(), lengths.max()) == (-(-size // 4), size // 2)
    rows, columns = hidden.any(axis=2).sum(axis=1), hidden.any(axis=1).sum(axis=1)
    np.testing.assert_array_equal(areas, rows * columns)
    assert areas.max() == height * width // 4
    assert hidden.any(axis=0).all()


def test_flip_mirrors_left_and_right():
    images = _images(200, 4, 6, 1)
    mirrored = 0
    for image, flipped in zip(images, _augment("flip", images), strict=True):
        if not np.array_equal(flipped, image):
            np.testing.assert_array_equal(flipped, image[:, ::-1])
            mirrored += 1
    assert 70 < mirrored < 130


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
@pytest.mark.parametrize("size", [5, 8])
def test_rotation_by_right_angles_is_exact(quarters, size):
    images = _images(2, size, size, 3)
    turned = AUGMENTATIONS.get("rotate")(tf.constant(images), Fixed(quarters / 4))
    np.testing.assert_allclose(turned, np.rot90(images, -quarters, axes=(1, 2)), atol=1e-4)


def _ramp(size):
    """Pixels that hold their coordinates relative to the centre."""
    axis = np.arange(size, dtype="float32") - (size - 1) / 2
    return np.stack(np.meshgrid(axis, axis), axis=-1)[np.newaxis]


@pytest.mark.parametrize("angle", [0.3, 1.0, 4.0])
def test_rotation_is_one(angle):
    size = 17
    turned = AUGMENTATIONS.get("rotate")(tf.constant(_ramp(size)), Fixed(angle / (2 * np.pi)))
    inside = np.hypot(*np.moveaxis(_ramp(size)[0], -1, 0)) < size / 2 - 1
    rotation = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    expected = _ramp(size)[0] @ np.array(rotation, "float32")
    np.testing.assert_allclose(turned[0][inside], expected[inside], atol=1e-3)


@pytest.mark.parametrize("octaves", [-0.5, 0.0, 1.0])
def test_scale_zooms_about_the_centre(octaves):
    size = 9
    zoomed = AUGMENTATIONS.get("scale")(tf.constant(_ramp(size)), Fixed(octaves / 0.2))
    expected = _ramp(size) / 2**octaves
    inside = np.abs(expected).max(axis=-1) <= (size - 1) / 2
    np.testing.assert_allclose(zoomed[inside], expected[inside], atol=1e-4)


def test_scale_is_log_normal():
    size = 33
    zoomed = _augment("scale", np.repeat(_ramp(size), 800, axis=0))
    middle = size // 2
    octaves = -np.log2(zoomed[:, middle, middle + 1, 0] - zoomed[:, middle, middle, 0])
    assert [octaves.mean(), octaves.std()] == pytest.approx([0, 0.2], abs=0.02)


def test_outside_is_reflected():
    """Zoomed out by 3, the images of one row are a b c -> c b [a b c] b a b c, three apart."""
    images = tf.reshape(tf.constant([1.0, 2.0, 3.0, 4.0, 5.0]), (1, 1, 5, 1))
    zoomed = AUGMENTATIONS.get("scale")(images, Fixed(-np.log2(3.0) / 0.2))
    # Coordinates from the centre -6, -3, 0, 3, 6; that is index -4, -1, 2, 5, 8.
    np.testing.assert_allclose(tf.reshape(zoomed, [-1]), [5, 2, 3, 4, 1], atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_gradients_are_those_of_the_transform(name):
    """All are affine in the pixels: a difference of images is the product with the gradient."""
    images, other = tf.constant(_images(2, 6, 6, 3)), tf.constant(_images(2, 6, 6, 3, seed=1))
    weights = tf.constant(_images(2, 6, 6, 3, seed=2))

    def value(images):
        augmentation = Augmentation([name], ["blit", "geom", "color"])
        return tf.reduce_sum(weights * augmentation(images, 1.0, StatelessRng(4, 0)))

    with tf.GradientTape() as tape:
        tape.watch(images)
        now = value(images)
    slope = tape.gradient(now, images)
    difference = float(value(other) - now)
    assert difference == pytest.approx(float(tf.reduce_sum(slope * (other - images))), abs=1e-3)


# XLA compiles slowly, so test one of each kind of operation.
@pytest.mark.parametrize(
    ("jit_compile", "names"), [(False, NAMES), (True, ["color", "rotate", "translation"])]
)
def test_gradient_penalties_go_through_all_of_them(jit_compile, names):
    kernel = tf.Variable(_images(6, 6, 3, 1))
    images = tf.constant(_images(3, 6, 6, 3))

    @tf.function(jit_compile=jit_compile)
    def penalty_and_gradient(scale):
        with tf.GradientTape() as outer:
            outer.watch(scale)
            with tf.GradientTape() as inner:
                inner.watch(images)
                augmentation = Augmentation(names, ["blit", "geom", "color"])
                augmented = augmentation(images, 0.7, StatelessRng(0, 0))
                logits = tf.reduce_sum(tf.tanh(scale * kernel * augmented[..., None]))
            slopes = inner.gradient(logits, images)
            penalty = tf.reduce_mean(tf.reduce_sum(tf.square(slopes), axis=[1, 2, 3]))
        return penalty, outer.gradient(penalty, scale)

    scale, step = tf.constant(0.5), 1e-2
    penalty, gradient = penalty_and_gradient(scale)
    around = [float(penalty_and_gradient(scale + sign * step)[0]) for sign in (1, -1)]
    assert float(penalty) > 0
    assert float(gradient) == pytest.approx((around[0] - around[1]) / (2 * step), rel=0.01)


def _controller(batch_size, **options):
    return AdaptiveProbability(AdaptiveConfig(**options), batch_size)


def _run(controller, signs):
    observe = tf.function(controller.observe)
    probabilities = []
    for sign in signs:
        observe(tf.constant(sign))
        probabilities.append(float(controller.probability))
    return probabilities


def test_the_controller_moves_by_its_step_towards_the_target():
    # 50 · 2 / 1000 is 0.1 every second step.
    controller = _controller(batch_size=50, target=0.5, images=1000, every_steps=2)
    signs = [0.9, 0.2, 0.6, 0.5, 0.4, 0.59, 1.0, 0.25, 0.5, 0.5]
    expected = [0.0, 0.1, 0.1, 0.2, 0.2, 0.1, 0.1, 0.2, 0.2, 0.2]
    assert _run(controller, signs) == pytest.approx(expected)


def test_the_controller_stays_a_probability():
    controller = _controller(batch_size=30, images=100, every_steps=1)
    expected = [0.0, 0.3, 0.6, 0.9, 1.0, 1.0, 0.7]
    assert _run(controller, [-1.0] + [1.0] * 5 + [0.0]) == pytest.approx(expected)


def test_by_default_it_is_adas():
    """64 images per step: 4 · 64 / 500 000 every fourth step."""
    controller = _controller(batch_size=64)
    assert _run(controller, [0.61] * 9)[-1] == pytest.approx(2 * 256 / 500_000)


def test_the_controller_resumes_where_it_was(tmp_path):
    signs = [0.9, 0.9, 0.9, 0.1, 0.9, 0.2, 0.9]
    options = {"batch_size": 10, "images": 100, "every_steps": 3}
    whole, first, second = (_controller(**options) for _ in range(3))
    expected = _run(whole, signs)
    _run(first, signs[:4])
    path = tf.train.Checkpoint(controller=first).write(str(tmp_path / "checkpoint"))
    tf.train.Checkpoint(controller=second).read(path).assert_consumed()
    assert _run(second, signs[4:]) == expected[4:]


def test_two_devices_augment_like_one(two_devices):
    images = np.random.default_rng(0).uniform(-1, 1, (24, 8, 8, 3)).astype("float32")

    def train(strategy):
        count = strategy.num_replicas_in_sync
        with strategy.scope():
            controller = _controller(batch_size=8, images=32, every_steps=1)
        augmentation = Augmentation(["color", "translation"])

        def replica(images, step):
            index = tf.distribute.get_replica_context().replica_id_in_sync_group
            rng = StatelessRng(3, step, index, count)
            augmented = augmentation(images, controller.probability, rng)
            return tf.reduce_mean(tf.square(augmented))

        @tf.function
        def train_step(images, step):
            values = strategy.run(replica, args=(images, step))
            value = strategy.reduce(tf.distribute.ReduceOp.MEAN, values, axis=None)
            controller.observe(tf.ones([]))
            return value

        batches = tf.data.Dataset.from_tensor_slices(images).batch(8, drop_remainder=True)
        batches = strategy.experimental_distribute_dataset(batches)
        values = [
            float(train_step(batch, tf.constant(step, tf.int64)))
            for step, batch in enumerate(batches)
        ]
        return [*values, float(controller.probability.numpy())]

    one = train(tf.distribute.get_strategy())
    two = train(two_devices)
    np.testing.assert_allclose(one, two, rtol=1e-5)
    assert one[-1] == 0.75
