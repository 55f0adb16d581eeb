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
