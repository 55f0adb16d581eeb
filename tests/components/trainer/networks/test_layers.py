import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from components.trainer.networks import DISCRIMINATORS, layers, maps, spectral


def _random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def _largest(kernel):
    kernel = np.asarray(kernel)
    return np.linalg.svd(kernel.reshape(-1, kernel.shape[-1]), compute_uv=False)[0]


SPECTRAL = [
    (lambda **options: spectral.Dense(7, **options), (4, 12)),
    (lambda **options: spectral.Dense(1, use_bias=False, **options), (4, 12)),
    (lambda **options: spectral.Conv2D(6, 3, strides=2, padding="same", **options), (2, 8, 8, 3)),
]


@pytest.mark.parametrize(("make", "shape"), SPECTRAL)
def test_the_largest_singular_value_goes_to_1(make, shape):
    inputs = _random(*shape)
    layer = make(kernel_initializer=keras.initializers.RandomNormal(stddev=3.0, seed=1))
    layer(inputs)

    assert 1.0 - 1e-5 < _largest(layer.normalised_kernel()) < 2.0
    fresh = layer.u.numpy()
    layer(inputs, training=False)
    np.testing.assert_array_equal(layer.u, fresh)

    before = layer.kernel.numpy()
    for _ in range(30):
        layer(inputs, training=True)
    np.testing.assert_allclose(_largest(layer.normalised_kernel()), 1.0, atol=0.05)
    np.testing.assert_array_equal(layer.kernel, before)


@pytest.mark.parametrize(("make", "shape"), SPECTRAL)
def test_a_spectral_layer_is_the_plain_layer_with_the_normalised_kernel(make, shape):
    inputs = _random(*shape)
    layer = make(kernel_initializer=keras.initializers.RandomNormal(stddev=3.0, seed=1))
    outputs = layer(inputs)
    plain_class = type(layer).__bases__[1]
    plain = plain_class.from_config(layer.get_config())
    plain.build(shape)
    plain.kernel.assign(layer.normalised_kernel())

    np.testing.assert_allclose(outputs, plain(inputs), rtol=1e-4, atol=1e-5)


def test_the_gradient_flows_through_the_singular_value():
    layer = spectral.Dense(4, kernel_initializer=keras.initializers.RandomNormal(seed=1))
    inputs, weights = _random(3, 5), _random(3, 4, seed=1)
    for _ in range(200):
        layer(inputs, training=True)
    kernel = layer.kernel.numpy().astype("float64")
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(inputs) * weights)
    gradient = tape.gradient(loss, layer.kernel.value)

    def value(kernel):
        return np.sum(inputs @ kernel / _largest(kernel) * weights)

    numeric = np.zeros_like(kernel)
    for index in np.ndindex(*kernel.shape):
        step = np.zeros_like(kernel)
        step[index] = 1e-6
        numeric[index] = (value(kernel + step) - value(kernel - step)) / 2e-6
    np.testing.assert_allclose(gradient, numeric, rtol=1e-3, atol=1e-2)
    # W / sigma does not depend on the scale of W.
    np.testing.assert_allclose(np.sum(np.asarray(gradient) * kernel), 0.0, atol=1e-3)


def test_two_devices_take_the_power_iteration_of_one(two_devices):
    data = np.random.default_rng(0).normal(size=(4, 8, 8, 1)).astype("float32")

    def run(strategy):
        with strategy.scope():
            network = DISCRIMINATORS.get("dcgan")(
                (8, 8, 1), width=8, spectral_norm=True, self_attention=True
            )
            network(data)
        size = len(data) // strategy.num_replicas_in_sync
        rows = strategy.experimental_distribute_values_from_function(
            lambda c: tf.constant(data[c.replica_id_in_sync_group * size :][:size])
        )
        step = tf.function(lambda r: strategy.run(lambda x: network(x, training=True), args=(r,)))
        for _ in range(3):
            logits = step(rows)
        weights = [np.asarray(v) for v in network.non_trainable_variables]
        return [np.concatenate(strategy.experimental_local_results(logits)), *weights]

    one = run(tf.distribute.get_strategy())
    two = run(two_devices)
    assert len(one) == 8
    for a, b in zip(one, two, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("side", [4, 5])
def test_self_attention_is_the_formula(side):
    layer = layers.SelfAttention(seeds=[1, 2, 3, 4])
    inputs = _random(2, side, side, 16)
    np.testing.assert_array_equal(layer(inputs), inputs)
    layer.gamma.assign(0.7)
    outputs = layer(inputs).numpy()

    def pooled(values):
        if side % 2:
            return values
        return values.reshape(2, side // 2, 2, side // 2, 2, -1).max((2, 4))

    def kernel(part):
        return part.normalised_kernel().numpy()[0, 0]

    query = inputs @ kernel(layer.query)
    key, value = pooled(inputs @ kernel(layer.key)), pooled(inputs @ kernel(layer.value))
    assert [query.shape[-1], key.shape[-1], value.shape[-1]] == [2, 2, 8]
    for image in range(2):
        scores = np.einsum("hwc,ijc->hwij", query[image], key[image])
        weights = np.exp(scores) / np.exp(scores).sum((2, 3), keepdims=True)
        seen = np.einsum("hwij,ijc->hwc", weights, value[image])
        expected = inputs[image] + 0.7 * seen @ kernel(layer.out)
        np.testing.assert_allclose(outputs[image], expected, rtol=1e-4, atol=1e-5)


def test_conditional_batch_normalization_has_parameters_of_each_class():
    layer = layers.ConditionalBatchNormalization(3)
    inputs, labels = _random(6, 2, 2, 4), np.array([0, 2, 1, 1, 0, 2])
    np.testing.assert_allclose(
        layer(inputs, labels=labels, training=True), _standardised(inputs), atol=1e-4
    )
    gamma, beta = _random(3, 4, seed=1), _random(3, 4, seed=2)
    layer.gamma.assign(gamma)
    layer.beta.assign(beta)

    rows = [values[labels][:, None, None] for values in (gamma, beta)]
    expected = _standardised(inputs) * rows[0] + rows[1]
    np.testing.assert_allclose(
        layer(inputs, labels=labels, training=True), expected, rtol=1e-4, atol=1e-4
    )


def test_conditional_batch_normalization_mixes_classes_by_weights():
    layer = layers.ConditionalBatchNormalization(3)
    inputs, weights = _random(6, 2, 2, 4), _random(6, 3, seed=3)
    layer(inputs, labels=weights, training=True)
    gamma, beta = _random(3, 4, seed=1), _random(3, 4, seed=2)
    layer.gamma.assign(gamma)
    layer.beta.assign(beta)

    rows = [(weights @ values)[:, None, None] for values in (gamma, beta)]
    np.testing.assert_allclose(
        layer(inputs, labels=weights, training=True),
        _standardised(inputs) * rows[0] + rows[1],
        rtol=1e-4,
        atol=1e-4,
    )


def _standardised(inputs):
    mean, variance = inputs.mean((0, 1, 2)), inputs.var((0, 1, 2))
    return (inputs - mean) / np.sqrt(variance + 1e-3)


@pytest.mark.parametrize("gpu", [False, True])
def test_a_grouped_convolution_is_that_of_keras(gpu, monkeypatch):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["a GPU"] * gpu)
    options = {"filters": 8, "kernel_size": 3, "padding": "same", "groups": 2}
    ours, plain = layers.GroupedConv2D(**options), keras.layers.Conv2D(**options)
    inputs = _random(2, 5, 5, 4)
    for layer in (ours, plain):
        layer.build(inputs.shape)
    plain.set_weights([_random(3, 3, 2, 8), _random(8)])
    ours.set_weights(plain.get_weights())

    np.testing.assert_allclose(ours(inputs), plain(inputs), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_a_grouped_convolution_learns_on_the_cpu(dtype):
    layer = layers.GroupedConv2D(8, 3, padding="same", groups=2, dtype=dtype)
    inputs = tf.constant(_random(2, 5, 5, 4))
    layer(inputs)

    @tf.function
    def gradient():
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.cast(layer(inputs), tf.float32) ** 2)
        return tape.gradient(loss, layer.kernel.value)

    assert np.all(np.isfinite(gradient()))


# Inputs and outputs of the authors' code (brownvc/R3GAN, R3GAN/Resamplers.py), times 16 and 64.
UPSAMPLED = (
    [[1, 2, 0], [3, -1, 4]],
    [
        [9, 15, 21, 18, 6, 0],
        [18, 23, 21, 19, 17, 12],
        [30, 29, 7, 9, 35, 36],
        [27, 24, 0, 3, 33, 36],
    ],
)
DOWNSAMPLED = (
    [[1, 2, 0, 5, -3, 1], [3, -1, 4, 0, 2, 2], [0, 1, -2, 6, 1, 3], [2, 2, 1, -4, 0, 1]],
    [[58, 95, 51], [52, 34, 63]],
)


@pytest.mark.parametrize(
    ("layer", "maps", "scale"),
    [(layers.BlurUpsample, UPSAMPLED, 16), (layers.BlurDownsample, DOWNSAMPLED, 64)],
)
@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_resampling_is_r3gans(layer, maps, scale, dtype):
    inputs, expected = (np.array(values, "float32")[None, :, :, None] for values in maps)
    # Channels and images do not mix.
    factors = np.array([[1.0, -2.0], [0.5, 0.0]], "float32").reshape(2, 1, 1, 2)
    outputs = layer(dtype=dtype)(inputs * factors)
    np.testing.assert_allclose(scale * tf.cast(outputs, tf.float32), expected * factors, rtol=1e-2)


def test_resampling_shifts_and_darkens_nothing():
    impulse = np.zeros((1, 8, 8, 1), "float32")
    impulse[0, 3, 3] = 1.0
    along = layers.BlurUpsample()(impulse).numpy().sum((0, 2, 3))
    assert along @ np.arange(16) / along.sum() == pytest.approx(6.5)

    constant = np.ones((1, 4, 4, 1), "float32")
    for _ in range(4):
        constant = layers.BlurUpsample()(constant)
    row = np.ravel(constant[0, 32])
    # The authors' values at the edge.
    assert row[:4] == pytest.approx([0.31640625, 0.47265625, 0.57421875, 0.65625])
    assert row[::-1] == pytest.approx(row)
    down = layers.BlurDownsample()(np.ones((1, 8, 8, 1), "float32"))
    assert np.ravel(down[0, 1]) == pytest.approx([0.875, 1.0, 1.0, 0.875])


@pytest.mark.parametrize("layer", [layers.BlurUpsample(), layers.BlurDownsample()])
@pytest.mark.parametrize("axis", [1, 2])
def test_resampling_commutes_with_mirrors(layer, axis):
    inputs = _random(2, 4, 6, 3)
    mirrored = layer(np.flip(inputs, axis))
    np.testing.assert_allclose(mirrored, np.flip(layer(inputs), axis), atol=1e-6)


SIDES = st.integers(2, 64).map(lambda quarter: 4 * quarter)


@given(height=SIDES, width=SIDES, smallest=st.sampled_from([4, 5]))
@settings(max_examples=200, deadline=None)
def test_maps_are_whole_and_no_smaller_than_asked(height, width, smallest):
    shape = (height, width, 3)
    maps.check_images("any", shape)
    count = maps.halvings(shape, smallest)
    sides = (height >> count, width >> count)

    assert count >= 1
    assert (sides[0] << count, sides[1] << count) == (height, width)
    assert count == 1 or min(sides) >= smallest
    assert any(side % 2 or side // 2 < smallest for side in sides)
    level = maps.attention_level(shape, count)
    assert 1 <= level <= count
    assert level == count or max(height, width) >> level <= 16
    assert level == 1 or max(height, width) >> (level - 1) > 16


@pytest.mark.parametrize(
    ("side", "smallest", "count"),
    [(28, 4, 2), (32, 4, 3), (64, 4, 4), (8, 4, 1), (32, 5, 2), (28, 5, 2), (256, 4, 6)],
)
def test_sides_of_the_published_networks(side, smallest, count):
    assert maps.halvings((side, side, 3), smallest) == count


@pytest.mark.parametrize(
    ("side", "expected"),
    [(32, [128] * 4), (64, [128, 256, 256, 256]), (256, [128, 256, 512, 1024, 1024, 1024])],
)
def test_filters_double_down_to_32(side, expected):
    assert maps.filters((side, side, 3), len(expected), 128) == expected
