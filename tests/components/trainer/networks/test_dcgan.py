"""The dcgan discriminator: its Lipschitz constant, and what a logit depends on."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from components.trainer.networks import DISCRIMINATORS, copy

SHAPE = (16, 16, 1)
WITHOUT_BATCH_NORM = [{"spectral_norm": True}, {"batch_norm": False}]


def _discriminator(**options):
    network = DISCRIMINATORS.get("dcgan")(SHAPE, width=8, **options)
    network(tf.zeros([2, *SHAPE]))
    return network


def _images(count, seed=0):
    return tf.random.stateless_uniform([count, *SHAPE], [seed, 1], -1.0, 1.0)


def _slopes(network, training):
    """Finite differences in random directions, and in that of the gradient, at 32 images."""
    images = _images(32, seed=5)
    with tf.GradientTape() as tape:
        tape.watch(images)
        logits = network(images, training=training)
    steepest = tape.gradient(logits, images)
    step = 1e-2
    for direction in (steepest, _images(32, seed=6)):
        direction /= tf.norm(tf.reshape(direction, [32, -1]), axis=1)[:, None, None, None]
        ends = [network(images + sign * step * direction, training=training) for sign in (1, -1)]
        yield np.abs(ends[0] - ends[1])[:, 0] / (2 * step)


def _train_to_be_steep(network, steps):
    """Widens the gap between two sets of images, as the Wasserstein loss does without a limit."""
    optimizer = keras.optimizers.Adam(1e-2)
    optimizer.build(network.trainable_variables)
    real, fake = 0.1 * _images(64, seed=1) + 0.3, 0.1 * _images(64, seed=2) - 0.3

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            gap = [tf.reduce_mean(network(data, training=True)) for data in (real, fake)]
            loss = gap[1] - gap[0]
        optimizer.apply(tape.gradient(loss, network.trainable_variables))

    for _ in range(steps):
        step()


def _gain(layer, shape):
    """The largest factor by which a convolution lengthens its input, by power iteration."""
    kernel = layer.normalised_kernel()
    x = tf.random.stateless_normal([1, *shape], [7, 7])
    for _ in range(200):
        x /= tf.norm(x)
        y = tf.nn.conv2d(x, kernel, layer.strides, "SAME")
        x = tf.nn.conv2d_transpose(y, kernel, x.shape, layer.strides, "SAME")
    return float(tf.norm(tf.nn.conv2d(x / tf.norm(x), kernel, layer.strides, "SAME")))


@pytest.mark.parametrize("steps", [0, 100])
def test_spectral_norm_bounds_the_slopes(steps):
    """|D(x) - D(y)| is at most |x - y| times the product of the layers' gains.

    Miyato et al. 2018, eq. 7, as LeakyReLU(0.2) has slopes of 0.2 and 1. Each kernel as a matrix
    has the norm 1; the gain of the convolution itself can be that times 3, as a pixel is in at most
    3×3 of its patches of 5×5 with strides of 2.
    """
    network = _discriminator(spectral_norm=True)
    for _ in range(50):
        network(_images(8), training=True)
    _train_to_be_steep(network, steps)
    # The power iteration follows the weights; let it arrive.
    for _ in range(50):
        network(_images(8), training=True)

    gains, shape = [], SHAPE
    for layer in network.body.stack:
        if isinstance(layer, keras.layers.Conv2D):
            matrix = np.reshape(layer.normalised_kernel(), [-1, layer.filters])
            assert np.linalg.norm(matrix, 2) == pytest.approx(1.0, abs=0.02)
            gains.append(_gain(layer, shape))
            shape = (shape[0] // 2, shape[1] // 2, layer.filters)
            assert gains[-1] <= 3.0
    assert np.linalg.norm(network.head.normalised_kernel(), 2) == pytest.approx(1.0, abs=0.02)
    assert len(gains) == 2

    for training in (False, True):
        for slopes in _slopes(network, training):
            assert slopes.max() <= 1.02 * np.prod(gains)


@pytest.mark.parametrize("options", WITHOUT_BATCH_NORM, ids=str)
def test_without_batch_norm_a_logit_depends_on_its_image_alone(options):
    network = _discriminator(**options)
    images = _images(4)
    others = tf.concat([images[:1], 3.0 * images[1:]], axis=0)
    # Spectral normalisation iterates in training; the first pass is the same in both.
    first, second = network, copy(network)
    second(images)
    second.set_weights(first.get_weights())
    one, two = first(images, training=True), second(others, training=True)
    np.testing.assert_allclose(one[0], two[0], rtol=1e-5, atol=1e-6)
    assert not np.allclose(one[1:], two[1:])


def test_with_batch_norm_it_does_not():
    network = _discriminator()
    images = _images(4)
    others = tf.concat([images[:1], 3.0 * images[1:]], axis=0)
    one, two = (network(data, training=True).numpy() for data in (images, others))
    assert abs(one[0] - two[0]) > 1e-4


@pytest.mark.parametrize("options", [{}, *WITHOUT_BATCH_NORM], ids=str)
def test_a_copy_has_the_same_layers(options):
    network = _discriminator(**options)
    again = copy(network)
    again(tf.zeros([2, *SHAPE]))
    assert [w.shape for w in again.weights] == [w.shape for w in network.weights]
    assert network.get_config()["batch_norm"] is (not options)
    # Where nothing normalises, the convolution has a bias.
    biases = [layer.use_bias for layer in network.body.stack if hasattr(layer, "use_bias")]
    assert biases == [True, bool(options)]
