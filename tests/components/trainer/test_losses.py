import numpy as np
import pytest
import tensorflow as tf

from components.trainer import losses

REAL = [-5.0, 1.4, 12.5, 2.7]
FAKE = [10.0, 4.4, -5.5, 3.6]

# Published values for these logits: generator loss, discriminator loss.
ORACLE = {
    "least_squares": (17.69625, 41.73375),
    "non_saturating": (1.38582, 5.833866),
}


def test_every_loss_has_an_oracle():
    assert losses.LOSSES.names() == sorted(ORACLE)


@pytest.mark.parametrize("name", ORACLE)
@pytest.mark.parametrize("shape", [(4,), (4, 1), (1, 2, 2, 1)])
def test_published_values(name, shape):
    loss = losses.get(name)
    real, fake = tf.reshape(REAL, shape), tf.reshape(FAKE, shape)

    assert float(loss.generator(real, fake)) == pytest.approx(ORACLE[name][0], rel=1e-5)
    assert float(loss.discriminator(real, fake)) == pytest.approx(ORACLE[name][1], rel=1e-5)


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
