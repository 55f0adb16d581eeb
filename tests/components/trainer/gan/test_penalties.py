import numpy as np
import pytest
import tensorflow as tf

from components.trainer.gan import penalties
from components.trainer.gan.penalties import PenaltyBatch
from components.trainer.gan.rng import StatelessRng

DEFAULT_WEIGHTS = {
    "gradient_penalty": 10.0,
    "r1": 1.0,
    "r2": 1.0,
    "dragan": 10.0,
    "lecam": 0.3,
    "bcr": 10.0,
}


def _data(*shape, seed=0):
    return tf.constant(np.random.default_rng(seed).uniform(-1, 1, shape).astype("float32"))


def _penalise(penalty, score, real, fake=None, seed=0):
    """Calls a penalty like the trainer, with the logits of the loss and their slopes."""
    return penalty(
        score, _batch(score, real, real if fake is None else fake), StatelessRng(seed, 0)
    )


def _batch(score, real, fake):
    real_logits, real_slopes = penalties.scored(score, real)
    fake_logits, fake_slopes = penalties.scored(score, fake)
    return PenaltyBatch(real, fake, real_logits, fake_logits, real_slopes, fake_slopes, real, fake)


def _logits(real, fake):
    """A batch for a penalty of the logits alone."""
    return PenaltyBatch(None, None, real, fake, None, None, None, None)


def _linear(weights):
    return lambda data: tf.linalg.matvec(tf.reshape(data, (data.shape[0], -1)), weights)


def test_the_papers_weights():
    weights = {name: penalties.make(name).default_weight for name in penalties.PENALTIES.names()}
    assert weights == DEFAULT_WEIGHTS


# options and slope of a linear discriminator to the penalty.
LINEAR = [
    # Σ 2xᵢ of four has slope 4.
    ("gradient_penalty", {}, [2.0, 2.0, 2.0, 2.0], 9.0),
    ("gradient_penalty", {"target": 2.0}, [2.0, 2.0, 2.0, 2.0], 4.0),
    ("gradient_penalty", {"one_sided": True}, [2.0, 2.0, 2.0, 2.0], 9.0),
    ("gradient_penalty", {}, [0.0, 0.3, 0.4, 0.0], 0.25),
    ("gradient_penalty", {"one_sided": True}, [0.0, 0.3, 0.4, 0.0], 0.0),
    ("gradient_penalty", {"target": 0}, [0.0, 0.3, 0.4, 0.0], 0.25),
    ("gradient_penalty", {}, [0.0] * 4, 1.0),
    ("r1", {}, [2.0, 2.0, 2.0, 2.0], 8.0),
    ("r2", {}, [0.0, 0.3, 0.4, 0.0], 0.125),
    ("dragan", {}, [2.0, 2.0, 2.0, 2.0], 9.0),
    ("dragan", {"noise_scale": 3.0}, [0.0, 0.3, 0.4, 0.0], 0.25),
]


@pytest.mark.parametrize(("name", "options", "weights", "expected"), LINEAR)
@pytest.mark.parametrize("shape", [(5, 4), (3, 2, 2, 1)])
def test_of_a_linear_discriminator(name, options, weights, expected, shape):
    penalty = penalties.make(name, **options)
    value = _penalise(penalty, _linear(weights), _data(*shape), _data(*shape, seed=1))

    assert value.dtype == tf.float32
    assert value.shape == ()
    assert float(value) == pytest.approx(expected, rel=1e-4, abs=1e-5)


# Gradient with respect to the weights, from that of the slope s = ||w||: w / s.
SLOPE = {
    "gradient_penalty": lambda s: 2 * (s - 1),
    "dragan": lambda s: 2 * (s - 1),
    "r1": lambda s: s,
    "r2": lambda s: s,
}


@pytest.mark.parametrize("name", SLOPE)
def test_gradient_to_the_weights_of_a_linear_discriminator(name):
    weights = tf.Variable([1.0, -2.0, 2.0, 4.0])
    penalty = penalties.make(name)

    @tf.function
    def gradient():
        with tf.GradientTape() as tape:
            value = _penalise(penalty, _linear(weights), _data(3, 4), _data(3, 4, seed=1))
        return tape.gradient(value, weights)

    np.testing.assert_allclose(gradient(), SLOPE[name](5.0) * weights / 5.0, rtol=1e-4)


def test_r1_is_on_reals_and_r2_on_fakes():
    """D = a ||x||²/2 has gradient a x."""
    slope = tf.Variable(3.0)
    real, fake = _data(4, 2, 2, 1), _data(4, 2, 2, 1, seed=1)
    for name, data in (("r1", real), ("r2", fake)):
        with tf.GradientTape() as tape:
            value = _penalise(
                penalties.make(name),
                lambda x: slope * tf.reduce_sum(tf.square(x), axis=[1, 2, 3]) / 2,
                real,
                fake,
            )
        squares = (data.numpy() ** 2).sum() / 4
        assert float(value) == pytest.approx(0.5 * 9 * squares, rel=1e-5)
        assert float(tape.gradient(value, slope)) == pytest.approx(3 * squares, rel=1e-5)


def test_a_patch_discriminator_counts_all_its_logits():
    """Two patches, each the sum of half of four pixels: the sum of the logits has slope 2."""

    def patches(data):
        return tf.reshape(tf.reduce_sum(data, axis=2), (-1, 2, 1, 1))

    for name, expected in (("gradient_penalty", 1.0), ("r1", 2.0)):
        value = _penalise(penalties.make(name), patches, _data(3, 2, 2, 1))
        assert float(value) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", SLOPE)
def test_gradient_to_the_weights_is_that_of_finite_differences(name):
    draw = np.random.default_rng(3)
    first = tf.Variable(draw.normal(0, 1, (4, 5)), dtype=tf.float32)
    second = tf.constant(draw.normal(0, 1, (5, 1)), tf.float32)
    real, fake = _data(6, 4), _data(6, 4, seed=1)
    penalty = penalties.make(name)

    def value():
        return _penalise(penalty, lambda x: tf.tanh(x @ first) @ second, real, fake)

    with tf.GradientTape() as tape:
        now = value()
    gradient = tape.gradient(now, first).numpy()
    start, step = first.numpy(), 1e-2
    for index in [(0, 0), (1, 3), (3, 4)]:
        ends = []
        for sign in (1, -1):
            moved = start.copy()
            moved[index] += sign * step
            first.assign(moved)
            ends.append(float(value()))
        assert (ends[0] - ends[1]) / (2 * step) == pytest.approx(gradient[index], rel=0.02)
        first.assign(start)


def _points(name, real, fake, **options):
    """Records where a penalty evaluates the slope."""
    seen = []

    def score(data):
        seen.append(data)
        return tf.reduce_sum(data, axis=1)

    batch = _batch(score, real, real if fake is None else fake)
    penalties.make(name, **options)(score, batch, StatelessRng(5, 7))
    return seen[-1].numpy()


@pytest.mark.parametrize(
    ("name", "expected"), [("r1", 16 / 2), ("r2", 16 / 2), ("gradient_penalty", (4 - 1) ** 2)]
)
def test_a_pack_has_one_slope(name, expected):
    """Σ 2xᵢ of the four values in a pack of two has slope 4, that of one datum would be √8."""
    data = _data(6, 2)

    def score(data):
        return 2 * tf.reduce_sum(tf.reshape(data, [-1, 4]), axis=1, keepdims=True)

    assert float(_penalise(penalties.make(name), score, data)) == pytest.approx(expected, rel=1e-5)


def test_data_of_a_pack_lie_between_real_and_fake_at_the_same_share():
    seen = []

    def score(data):
        seen.append(data)
        return tf.reduce_sum(tf.reshape(data, [-1, 4]), axis=1, keepdims=True)

    _penalise(penalties.make("gradient_penalty"), score, tf.ones([6, 2]), tf.zeros([6, 2]))
    shares = seen[-1].numpy().reshape(3, 4)
    assert (shares == shares[:, :1]).all()
    assert len(np.unique(shares)) == 3


def test_gradient_penalty_is_taken_at_random_points_between_real_and_fake():
    real, fake = tf.ones([4000, 3]), -tf.ones([4000, 3])
    points = _points("gradient_penalty", real, fake)

    alpha = (points[:, 0] + 1) / 2
    np.testing.assert_allclose(points, np.repeat(points[:, :1], 3, axis=1), atol=1e-6)
    assert np.quantile(alpha, [0, 0.25, 0.5, 0.75, 1]) == pytest.approx(
        [0, 0.25, 0.5, 0.75, 1], abs=0.03
    )


@pytest.mark.parametrize("noise_scale", [0.5, 2.0])
def test_dragan_looks_around_reals_in_standard_deviations(noise_scale):
    real = tf.tile([[3.0, -1.0]], [4000, 1])  # mean 1, standard deviation 2
    distance = _points("dragan", real, None, noise_scale=noise_scale) - real.numpy()

    largest = noise_scale * 2
    assert distance.min() >= -1e-6
    assert distance.max() <= largest
    # The product of two uniform numbers, one of which is drawn per datum.
    assert distance.mean() == pytest.approx(largest / 4, rel=0.05)
    assert distance.var() == pytest.approx(largest**2 * (1 / 9 - 1 / 16), rel=0.1)
    covariance = np.cov(distance.T)[0, 1]
    assert covariance == pytest.approx(largest**2 * (1 / 3 / 4 - 1 / 16), rel=0.25)


def test_the_same_draws_give_the_same_penalty():
    def score(data):
        return tf.reduce_sum(tf.sin(3 * data), axis=1)

    for name in ("gradient_penalty", "dragan"):
        values = [
            float(_penalise(penalties.make(name), score, _data(8, 4), _data(8, 4, seed=1), seed))
            for seed in (0, 0, 1)
        ]
        assert values[0] == values[1] != values[2]


def _lecam(penalty, real_logits, fake_logits, step=5000):
    logits = tf.convert_to_tensor(real_logits), tf.convert_to_tensor(fake_logits)
    return penalty(None, _logits(*logits), StatelessRng(0, step))


# Logits on real and fake data in a step; a_R, a_F and the penalty in the authors' code
# (google/lecam-gan, biggan_cifar), whose decay is .9 there, with start_itr=2.
LECAM = [
    ([1.0, 3.0], [-3.0, 1.0], 2.0, -1.0, 0.0),
    ([-2.0, 0.5], [0.0, -0.5], -0.75, -0.25, 0.0),
    ([0.25, 1.5], [1.0, -2.0], -0.5875, -0.275, 0.0),
    ([2.0, -1.0], [-0.25, 0.5], -0.47875, -0.235, 2.4976122),
    ([0.5, 0.75], [1.25, -1.0], -0.368375, -0.199, 0.8940760),
]


def test_lecam_is_the_authors():
    penalty = penalties.make("lecam", decay=0.9, start_step=2)
    for step, (real, fake, average_real, average_fake, expected) in enumerate(LECAM):
        value = _lecam(penalty, real, fake, step)
        averages = [float(penalty.average_real), float(penalty.average_fake)]
        assert averages == pytest.approx([average_real, average_fake])
        assert float(value) == pytest.approx(expected)


def test_lecam_starts_after_the_authors_1000_steps():
    values = [
        float(_lecam(penalties.make("lecam"), [3.0], [-1.0], step)) for step in (0, 1000, 1001)
    ]
    # (3 - -1)² and (3 - -1)²
    assert values == [0.0, 0.0, 32.0]


def test_lecam_by_hand():
    penalty = penalties.make("lecam", decay=0.75)
    # The first batch sets the averages to 2 and -1: (1 - -1)² and (3 - -1)², (2 - -3)², (2 - 1)².
    value = _lecam(penalty, [1.0, 3.0], [-3.0, 1.0])
    assert float(value) == pytest.approx((4 + 16) / 2 + (25 + 1) / 2)
    assert [float(penalty.average_real), float(penalty.average_fake)] == [2.0, -1.0]

    # Then 0.75 · 2 + 0.25 · -2 = 1 and 0.75 · -1 + 0.25 · 7 = 1; nothing below relu's corner.
    value = _lecam(penalty, [-7.0, 3.0], [0.0, 14.0])
    assert [float(penalty.average_real), float(penalty.average_fake)] == [1.0, 1.0]
    assert float(value) == pytest.approx((0 + 4) / 2 + (1 + 0) / 2)


def test_lecam_has_no_gradient_through_its_averages():
    penalty = penalties.make("lecam")
    real, fake = tf.Variable([1.0, 3.0]), tf.Variable([-3.0, 1.0])
    with tf.GradientTape() as tape:
        value = penalty(None, _logits(real, fake), StatelessRng(0, 5000))
    to_real, to_fake = tape.gradient(value, [real, fake])

    np.testing.assert_allclose(to_real, [2.0, 4.0])
    np.testing.assert_allclose(to_fake, [-5.0, -1.0])


def test_lecam_state_moves_in_a_graph_and_survives_a_checkpoint(tmp_path):
    first, second = penalties.make("lecam", decay=0.5), penalties.make("lecam", decay=0.5)
    step = tf.function(lambda value: _lecam(first, value, value - 1.0))
    for value in (0.0, 8.0, 2.0):
        step(tf.constant([value]))
    # ((0 + 8) / 2 + 2) / 2
    assert float(first.average_real) == 3.0

    path = tf.train.Checkpoint(penalty=first).write(str(tmp_path / "checkpoint"))
    tf.train.Checkpoint(penalty=second).read(path).assert_consumed()
    _lecam(second, [5.0], [2.0])
    assert [float(second.average_real), float(second.average_fake)] == [4.0, 2.0]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_lecam_is_float32_whatever_the_logits(dtype):
    # 600² is beyond float16.
    value = _lecam(
        penalties.make("lecam"), tf.constant([300.0], dtype), tf.constant([-300.0], dtype)
    )
    assert value.dtype == tf.float32
    assert float(value) == pytest.approx(2 * 600.0**2, rel=1e-2)


def _consistency(score, real, fake, **options):
    """The penalty of data that the augmentation has halved."""
    batch = _batch(score, real, fake)._replace(
        real_logits=score(real / 2, augmented=True),
        fake_logits=score(fake / 2, augmented=True),
        real_augmented=real / 2,
        fake_augmented=fake / 2,
    )
    return penalties.make("bcr", **options)(score, batch, StatelessRng(0, 0))


def test_consistency_by_hand():
    """D = 1 + (left - right) of images that a flip mirrors half of: (2 (left - right))² for each.

    The images are seen augmented, here halved, so that left - right is 1 for real, 2 for fake data.
    """
    count = 4000
    real = tf.tile([[[[2.0], [0.0]]]], [count, 1, 1, 1])

    def score(data, augmented=False):
        assert augmented or data is not None
        return 1.0 + data[:, 0, 0] - data[:, 0, 1]

    value = _consistency(score, real, 2.0 * real, transforms=["flip"])
    assert value.dtype == tf.float32
    assert float(value) == pytest.approx(0.5 * 2.0**2 + 0.5 * 4.0**2, rel=0.1)


def test_consistency_of_a_discriminator_that_is_invariant_is_0():
    def score(data, augmented=False):
        return tf.reduce_sum(tf.square(data), axis=[1, 2, 3])

    assert float(_consistency(score, _data(8, 4, 4, 1), _data(8, 4, 4, 1), transforms=["flip"])) < (
        1e-9
    )
    assert float(_consistency(score, _data(8, 8, 8, 1), _data(8, 8, 8, 1))) > 1e-3


def test_consistency_moves_both_logits():
    """The gradient of (w T - w x)² is 2 (w T - w x) (T - x), through both."""
    weight = tf.Variable(1.0)
    real = tf.tile([[[[2.0], [0.0]]]], [8, 1, 1, 1])

    def score(data, augmented=False):
        return weight * (data[:, 0, 0] - data[:, 0, 1])

    with tf.GradientTape() as tape:
        value = _consistency(score, real, 0.0 * real, transforms=["flip"])
    # The penalty is quadratic in the weight.
    assert float(tape.gradient(value, weight)) == pytest.approx(2.0 * float(value), rel=1e-5)
    assert float(value) > 0


def test_consistency_is_for_images():
    penalty = penalties.PENALTIES.get("bcr")
    penalty.check_shape((8, 8, 1))
    with pytest.raises(ValueError, match=r"data have shape \[5\], expected images"):
        penalty.check_shape((5,))


# Those that take vectors.
OF_VECTORS = sorted(DEFAULT_WEIGHTS.keys() - {"bcr"})


@pytest.mark.parametrize("name", OF_VECTORS)
def test_flat_discriminators_have_finite_gradients(name):
    weights = tf.Variable([0.0, 0.0])
    with tf.GradientTape() as tape:
        value = _penalise(penalties.make(name), _linear(weights), _data(4, 2))
    assert np.isfinite(tape.gradient(value, weights)).all()


@pytest.mark.parametrize("name", OF_VECTORS)
def test_compiles_with_xla(name):
    weights, penalty = tf.Variable([1.0, -2.0]), penalties.make(name)

    @tf.function(jit_compile=True)
    def step():
        with tf.GradientTape() as tape:
            value = _penalise(penalty, _linear(weights), _data(4, 2), _data(4, 2, seed=1))
        return value, tape.gradient(value, weights)

    assert all(np.isfinite(value).all() for value in step())


WRONG = [
    (
        "r12",
        {},
        "unknown penalty 'r12': did you mean 'r2'? known: bcr, dragan, gradient_penalty, lecam",
    ),
    (
        "gradient_penalty",
        {"taget": 1},
        "penalty 'gradient_penalty': taget: unknown key; did you mean 'target'? known: one_sided",
    ),
    (
        "gradient_penalty",
        {"target": -1},
        "penalty 'gradient_penalty': target: input should be greater than or equal to 0, found -1",
    ),
    ("r1", {"gamma": 2}, "penalty 'r1': gamma: unknown key; none are known here"),
    ("lecam", {"decay": 1}, "penalty 'lecam': decay: input should be less than 1, found 1"),
    ("dragan", {"noise_scale": 0}, "penalty 'dragan': noise_scale: input should be greater than"),
]


@pytest.mark.parametrize(("name", "options", "message"), WRONG)
def test_wrong_options_are_named(name, options, message):
    with pytest.raises(ValueError) as error:
        penalties.make(name, **options)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


# One with per-row noise, and those that use statistics of the whole batch.
@pytest.mark.parametrize("name", ["gradient_penalty", "dragan", "lecam"])
def test_two_devices_are_penalised_like_one(two_devices, name):
    data = np.random.default_rng(0).normal(size=(2, 8, 4)).astype("float32")
    data[:, :4] += 2.0  # the devices see different means and deviations

    def values(strategy):
        count = strategy.num_replicas_in_sync
        with strategy.scope():
            penalty = penalties.make(name)

        def score(data):
            return tf.reduce_sum(tf.sin(data), axis=1)

        def replica(real, fake):
            index = tf.distribute.get_replica_context().replica_id_in_sync_group
            rng = StatelessRng(3, tf.constant(11, tf.int64), index, count)
            return penalty(score, _batch(score, real, fake), rng)

        @tf.function
        def step(real, fake):
            value = strategy.run(replica, args=(real, fake))
            return strategy.reduce(tf.distribute.ReduceOp.MEAN, value, axis=None)

        def share(rows):
            size = 8 // count
            return strategy.experimental_distribute_values_from_function(
                lambda context: tf.constant(rows[context.replica_id_in_sync_group * size :][:size])
            )

        return [float(step(share(scale * data[0]), share(scale * data[1]))) for scale in (1, 2)]

    one, two = values(tf.distribute.get_strategy()), values(two_devices)
    np.testing.assert_allclose(one, two, rtol=1e-5)
