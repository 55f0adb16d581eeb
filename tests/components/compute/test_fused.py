import keras
import numpy as np
import pytest
import tensorflow as tf

from components.compute import fused
from components.trainer.networks.layers import ConditionalBatchNormalization


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


def _penalty_gradient(normalise, inputs, gamma):
    """Gradient, with respect to gamma, of the squared gradient with respect to the inputs."""
    with tf.GradientTape() as outer:
        outer.watch(gamma)
        with tf.GradientTape() as inner:
            inner.watch(inputs)
            loss = tf.reduce_sum(normalise(inputs, gamma) ** 3)
        penalty = tf.reduce_sum(inner.gradient(loss, inputs) ** 2)
    return outer.gradient(penalty, gamma)


def test_second_order_gradients_are_those_of_the_formula():
    layer = fused.BatchNormalization()
    layer.build((None, 3, 3, 2))
    inputs, gamma = tf.constant(_values((8, 3, 3, 2))), tf.constant([0.5, 2.0])

    def formula(inputs, gamma):
        mean, variance = tf.nn.moments(inputs, [0, 1, 2])
        return tf.nn.batch_normalization(inputs, mean, variance, 0.0, gamma, 1e-3)

    ours = _penalty_gradient(
        lambda values, gamma: layer.normalise(values, gamma, tf.zeros([2]), training=True),
        inputs,
        gamma,
    )
    np.testing.assert_allclose(ours, _penalty_gradient(formula, inputs, gamma), rtol=1e-3)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("slow", [False, True])
def test_leaky_relu_is_that_of_tensorflow_up_to_second_order(monkeypatch, dtype, slow):
    monkeypatch.setattr(fused, "_SLOW_GRADIENT", slow)
    layer = fused.LeakyReLU(0.2, dtype=dtype)
    inputs = tf.cast(_values((4, 5)) - 1.5, dtype)
    factor = tf.constant(3.0, dtype)

    def both_orders(activate):
        with tf.GradientTape() as outer:
            outer.watch(factor)
            with tf.GradientTape() as inner:
                inner.watch(inputs)
                outputs = activate(factor * inputs)
            first = inner.gradient(outputs, inputs)
        return outputs, first, outer.gradient(first, factor)

    ours = tf.function(lambda: both_orders(layer))()
    theirs = tf.function(lambda: both_orders(lambda x: tf.nn.leaky_relu(x, 0.2)))()
    for a, b in zip(ours, theirs, strict=True):
        assert a.dtype == dtype
        np.testing.assert_allclose(
            tf.cast(a, tf.float32), tf.cast(b, tf.float32), rtol=0 if dtype == "float32" else 0.02
        )


@pytest.mark.parametrize(
    ("make", "shape", "labelled"),
    [
        (fused.BatchNormalization, (8, 3, 3, 4), False),
        (fused.BatchNormalization, (8, 4), False),
        (lambda: ConditionalBatchNormalization(3), (8, 3, 3, 4), True),
    ],
)
def test_two_devices_are_one_device_on_the_same_global_batch(two_devices, make, shape, labelled):
    inputs, weights = _values(shape), _values(shape, seed=1) - 1.5
    labels = np.arange(8, dtype="int32") % 3

    def run(strategy):
        with strategy.scope():
            layer = make()
            layer.build(inputs.shape)

        def step(rows):
            given = {"labels": rows["labels"]} if labelled else {}
            watched = [rows["inputs"], *(v.value for v in layer.trainable_variables)]
            with tf.GradientTape() as outer:
                outer.watch(watched)
                with tf.GradientTape() as tape:
                    tape.watch(watched)
                    outputs = layer(rows["inputs"], training=True, **given)
                    loss = tf.reduce_sum(outputs**2 * rows["weights"])
                first = tape.gradient(loss, watched)
                penalty = tf.reduce_sum(first[0] ** 2)
            second = outer.gradient(penalty, watched)
            return outputs, first, second

        replicas = strategy.num_replicas_in_sync
        size = len(inputs) // replicas

        def rows_of(context):
            own = slice(context.replica_id_in_sync_group * size, None)
            rows = {"inputs": inputs, "labels": labels, "weights": weights}
            return {key: tf.constant(value[own][:size]) for key, value in rows.items()}

        rows = strategy.experimental_distribute_values_from_function(rows_of)
        outputs, first, second = tf.function(lambda r: strategy.run(step, args=(r,)))(rows)
        local = strategy.experimental_local_results
        gathered = [np.concatenate(local(v)) for v in (outputs, first[0], second[0])]
        summed = [sum(np.asarray(v) for v in local(g)) for g in first[1:] + second[1:]]
        state = [np.asarray(local(v.value)[-1]) for v in layer.non_trainable_variables]
        return gathered + summed + state

    one = tf.distribute.get_strategy()
    expected, found = run(one), run(two_devices)
    assert len(expected) == len(found) > 4
    for a, b in zip(expected, found, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-3, atol=2e-3)


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
