import keras
import numpy as np
import pytest
import tensorflow as tf

from components.trainer.gan import losses

REAL = [-5.0, 1.4, 12.5, 2.7]
FAKE = [10.0, 4.4, -5.5, 3.6]
OTHER_REAL = [-2.0, 0.4, 12.5, 2.7]

# Published values for such logits: real logits, generator loss, discriminator loss.
ORACLE = {
    "least_squares": (REAL, 17.69625, 41.73375),
    "non_saturating": (REAL, 1.38582, 5.833866),
    "minimax": (REAL, -4.510821, 5.833866),
    "wasserstein": (REAL, -3.125, 0.225),
    "hinge": (REAL, -3.125, 6.75),
    "relativistic_pairing": (REAL, 4.597435, 4.822435),
    "relativistic_average": (OTHER_REAL, 4.9401135, 4.390114),
}


def test_every_loss_has_an_oracle():
    assert losses.LOSSES.names() == sorted(ORACLE)


@pytest.mark.parametrize("name", ORACLE)
@pytest.mark.parametrize("shape", [(4,), (4, 1), (1, 2, 2, 1)])
def test_published_values(name, shape):
    loss = losses.get(name)
    logits, generator, discriminator = ORACLE[name]
    real, fake = tf.reshape(logits, shape), tf.reshape(FAKE, shape)

    assert float(loss.generator(real, fake)) == pytest.approx(generator, rel=1e-5)
    assert float(loss.discriminator(real, fake)) == pytest.approx(discriminator, rel=1e-5)


@pytest.mark.parametrize("name", ORACLE)
def test_the_generator_of_a_loss_that_is_not_relativistic_sees_no_reals(name):
    loss = losses.get(name)
    values = [float(loss.generator(tf.constant(real), tf.constant(FAKE))) for real in (REAL, FAKE)]

    assert (values[0] != values[1]) is loss.relativistic


# Of the highest k of FAKE, in PyTorch: loss(torch.topk(fake, k).values), and its gradient.
TOP = [
    ("non_saturating", 1, 4.5398901e-05, [-4.5397868e-05, 0, 0, 0]),
    ("non_saturating", 2, 0.0061239912, [-2.2698934e-05, -0.0060642166, 0, 0]),
    ("least_squares", 2, 23.14, [4.5, 1.7, 0, 0]),
    ("minimax", 3, -6.0130687, [-0.33331820, -0.32929051, 0, -0.32446769]),
    ("wasserstein", 3, -6.0, [-1 / 3, -1 / 3, 0, -1 / 3]),
    ("hinge", 2, -7.2, [-0.5, -0.5, 0, 0]),
]


@pytest.mark.parametrize(("name", "count", "value", "gradient"), TOP)
@pytest.mark.parametrize("share", [0.25, 0.2])
def test_the_generator_learns_from_the_highest_logits_alone(name, count, value, gradient, share):
    fake = tf.Variable(tf.reshape(FAKE, (4, 1)))
    # Rounded down: k of 4 is the same up to the next quarter.
    share = count / 4 + (0.25 - share)

    @tf.function(jit_compile=True)
    def loss_and_gradient(share):
        with tf.GradientTape() as tape:
            weights = losses.top_weights(fake, share)
            loss = losses.get(name).generator(None, fake, weights)
        return loss, tape.gradient(loss, fake)

    loss, found = loss_and_gradient(tf.constant(share))
    assert float(loss) == pytest.approx(value, rel=1e-5)
    np.testing.assert_allclose(found[:, 0], gradient, rtol=1e-5, atol=1e-9)


def test_the_highest_share_of_many():
    logits = np.random.default_rng(0).normal(size=(10, 1)).astype("float32")
    for count in range(1, 11):
        weights = losses.top_weights(tf.constant(logits), count / 10)[:, 0].numpy()
        highest = np.argsort(-logits[:, 0])[:count]
        assert set(np.flatnonzero(weights)) == set(highest)
        np.testing.assert_allclose(weights[highest], 10 / count, rtol=1e-6)
    # At least one is left.
    assert np.count_nonzero(losses.top_weights(tf.constant(logits), 0.01)) == 1


def test_data_are_ranked_by_the_mean_over_their_patches():
    patches = tf.constant([[9.0, -9.0], [1.0, 1.0], [-1.0, 2.0]])[:, :, None, None]
    weights = losses.top_weights(patches, 1 / 3)
    assert weights.shape == (3, 1, 1, 1)
    assert tf.reshape(weights, [-1]).numpy().tolist() == [0.0, 3.0, 0.0]


def test_the_highest_are_those_of_all_devices(two_devices):
    logits = np.array([[3.0], [2.0], [4.0], [1.0], [-1.0], [-2.0], [0.5], [-3.0]], "float32")

    def loss(strategy):
        size = 8 // strategy.num_replicas_in_sync
        rows = strategy.experimental_distribute_values_from_function(
            lambda c: tf.constant(logits[c.replica_id_in_sync_group * size :][:size])
        )

        def replica(fake):
            return losses.get("hinge").generator(None, fake, losses.top_weights(fake, 0.625))

        value = tf.function(lambda fake: strategy.run(replica, args=(fake,)))(rows)
        return float(strategy.reduce(tf.distribute.ReduceOp.MEAN, value, axis=None))

    # -(3 + 2 + 4 + 1 + 0.5) / 5
    assert loss(tf.distribute.get_strategy()) == pytest.approx(-2.1)
    assert loss(two_devices) == pytest.approx(-2.1)


@pytest.mark.parametrize("name", ORACLE)
def test_only_a_relativistic_loss_has_no_highest(name):
    if not losses.get(name).relativistic:
        losses.check_top_k(name, "top_k")
        return
    with pytest.raises(ValueError, match=f"^top_k: the loss '{name}' .*one of hinge, least_s"):
        losses.check_top_k(name, "top_k")


def test_smoothing_is_that_of_keras():
    keras_loss = keras.losses.BinaryCrossentropy(from_logits=True, label_smoothing=0.25)
    real, fake = tf.constant(REAL), tf.constant(FAKE)
    on_fake = tf.reduce_mean(tf.nn.softplus(fake))
    expected = keras_loss(tf.ones_like(real)[:, None], real[:, None]) + on_fake

    for name in ("non_saturating", "minimax"):
        smoothed = float(losses.get(name, label_smoothing=0.25).discriminator(real, fake))
        assert smoothed == pytest.approx(6.19637, rel=1e-5)
        assert smoothed == pytest.approx(float(expected), rel=1e-5)


def test_smoothed_least_squares_is_least_at_the_label():
    loss = losses.get("least_squares", label_smoothing=0.25)
    at = [float(loss.discriminator(tf.constant([r]), tf.zeros([1]))) for r in (0.75, 0.875, 1.0)]
    assert at == pytest.approx([0.125**2 / 2, 0.0, 0.125**2 / 2])


@pytest.mark.parametrize("name", ["wasserstein", "hinge", "relativistic_average"])
def test_smoothing_without_labels_is_an_error(name):
    with pytest.raises(ValueError, match=f"loss '{name}' has no labels.* least_squ"):
        losses.get(name, label_smoothing=0.1)


@pytest.mark.parametrize("smoothing", [-0.1, 1.0, float("nan")])
def test_smoothing_out_of_range_is_an_error(smoothing):
    with pytest.raises(ValueError, match="label_smoothing: .* expected 0 or more and less than 1"):
        losses.get("minimax", label_smoothing=smoothing)


@pytest.mark.parametrize("name", ORACLE)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_a_float32_scalar_whatever_comes_in(name, dtype):
    loss = losses.get(name)
    # Squares and exponentials of these overflow in half precision.
    real, fake = tf.constant([300.0, -300.0], dtype), tf.constant([-300.0, 300.0], dtype)

    for value in (loss.discriminator(real, fake), loss.generator(real, fake)):
        assert value.dtype == tf.float32
        assert value.shape == ()
        assert np.isfinite(value)


def test_an_unknown_name_gets_the_nearest_one():
    with pytest.raises(ValueError, match="unknown loss 'least_square': did you mean 'least_squ"):
        losses.get("least_square")
