import keras
import numpy as np
import pytest
import tensorflow as tf

from components.trainer import fused


def _values(shape, seed=0):
    return np.random.default_rng(seed).normal(1.5, 2.0, shape).astype("float32")


@pytest.mark.parametrize("shape", [(16, 6), (4, 5, 5, 6)])
@pytest.mark.parametrize("training", [True, False])
def test_batch_normalization_is_that_of_keras(shape, training):
    ours = fused.BatchNormalization(momentum=0.8, epsilon=1e-3)
    plain = keras.layers.BatchNormalization(momentum=0.8, epsilon=1e-3)
    inputs, weights = tf.constant(_values(shape)), tf.constant(_values(shape, seed=1))
    for layer in (ours, plain):
        layer.build(shape)
        layer.set_weights([_values(6, seed) for seed in (2, 3, 4)] + [np.abs(_values(6, 5))])

    results = []
    for layer in (ours, plain):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = layer(inputs, training=training)
            loss = tf.reduce_sum(outputs * weights)
        gradients = tape.gradient(loss, [inputs, *layer.trainable_variables])
        results.append([outputs, *gradients])

    for value, expected in zip(*results, strict=True):
        np.testing.assert_allclose(value, expected, rtol=2e-3, atol=2e-4)
    np.testing.assert_allclose(ours.moving_mean, plain.moving_mean, rtol=1e-5)
    # The fused op keeps the unbiased variance (Bessel's correction), Keras the biased one.
    count = np.prod(shape[:-1])
    correction = count / (count - 1) if training else 1.0
    batch_share = np.asarray(plain.moving_variance) - 0.8 * np.abs(_values(6, 5)) * training
    expected = np.asarray(plain.moving_variance) + (correction - 1.0) * batch_share * training
    np.testing.assert_allclose(ours.moving_variance, expected, rtol=1e-4)


def test_batch_normalization_keeps_float32_statistics_under_bfloat16():
    layer = fused.BatchNormalization(dtype="mixed_bfloat16")
    outputs = layer(_values((64, 4, 4, 3)), training=True)

    assert outputs.dtype == tf.bfloat16
    assert {variable.dtype for variable in layer.variables} == {"float32"}
    assert float(tf.abs(tf.reduce_mean(tf.cast(outputs, tf.float32)))) < 0.02


def test_adam_is_that_of_keras():
    options = {"learning_rate": 0.01, "beta_1": 0.5, "beta_2": 0.9}
    ours, plain = fused.Adam(**options), keras.optimizers.Adam(**options)
    variables = [keras.Variable(_values((3, 2))) for _ in range(2)]
    for step in range(5):
        gradient = tf.constant(_values((3, 2), seed=step))
        ours.apply([gradient], variables[:1])
        plain.apply([gradient], variables[1:])

    np.testing.assert_allclose(variables[0], variables[1], rtol=1e-5)
    assert int(ours.iterations) == 5
