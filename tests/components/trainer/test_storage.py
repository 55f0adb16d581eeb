"""Weights in 16 bits: half the space, and nearly the same outputs."""

import numpy as np
import pytest
import tensorflow as tf

from components.trainer.networks import GENERATORS
from components.trainer.storage import HalfStored

COLOUR = (16, 16, 3)
NETWORKS = {
    "mlp": ("mlp", {"data_shape": (5,)}),
    "dcgan": ("dcgan", {"data_shape": COLOUR, "self_attention": True}),
    "resnet": ("resnet", {"data_shape": COLOUR, "num_classes": 3, "conditioning": "normalization"}),
    "r3gan": ("r3gan", {"data_shape": COLOUR, "num_classes": 3}),
}
# Relative precision of one weight.
PRECISION = {"float16": 2**-11, "bfloat16": 2**-8}


def made(name):
    kind, options = NETWORKS[name]
    network = GENERATORS.get(kind)(latent_dim=6, width=8, seed=1, **options)
    latents = tf.random.stateless_normal([4, 6], [0, 0])
    given = [latents, tf.constant([0, 2, 1, 0])] if "num_classes" in options else latents
    network(given)
    return network, given


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("dtype", PRECISION)
def test_it_answers_as_the_network_and_leaves_it_alone(name, dtype):
    network, given = made(name)
    expected, before = network(given).numpy(), [each.numpy() for each in network.weights]

    stored = HalfStored(network, dtype)

    np.testing.assert_allclose(stored(given), expected, atol=20 * PRECISION[dtype])
    for weight, value in zip(network.weights, before, strict=True):
        np.testing.assert_array_equal(weight, value)
    kinds = {(each.shape.rank >= 2, each.dtype.name) for each in stored.variables}
    assert kinds <= {(True, dtype), (False, "float32")}
    assert len(stored.variables) == len(network.weights)
    with pytest.raises(ValueError, match="training: is not possible"):
        stored(given, training=True)


@pytest.mark.parametrize(
    ("dtype", "value", "message"),
    [
        ("float16", 7e4, "float16 holds numbers up to 65504, .*kernel has 70000; use bfloat16"),
        ("float16", -np.inf, "float16 .* has inf; use bfloat16"),
        ("bfloat16", 3.4e38, r"bfloat16 holds numbers up to 3.3895e\+38, .*; use float32"),
        ("bfloat16", np.nan, "bfloat16 .* has nan; use float32"),
    ],
)
def test_a_weight_that_does_not_fit_is_named(dtype, value, message):
    network, _ = made("mlp")
    kernel = next(each for each in network.trainable_weights if len(each.shape) == 2)
    changed = kernel.numpy()
    changed[0, 0] = value
    kernel.assign(changed)

    with pytest.raises(ValueError, match=f"export_weights: {message}"):
        HalfStored(network, dtype)
