import numpy as np
import pytest
import tensorflow as tf

from components.trainer.networks import DISCRIMINATORS, GENERATORS

SHAPES = {
    "mlp": [(8, 8, 1), (28, 28, 1), (5,), (3, 7, 3)],
    "dcgan": [(8, 8, 1), (28, 28, 1), (32, 32, 3), (40, 24, 3), (64, 64, 3), (256, 256, 1)],
}
CASES = [(name, shape) for name, shapes in SHAPES.items() for shape in shapes]


def test_every_network_is_in_the_table():
    assert GENERATORS.names() == DISCRIMINATORS.names() == sorted(SHAPES)


@pytest.mark.parametrize(("name", "shape"), CASES)
def test_latents_to_data_to_logits(name, shape):
    generator = GENERATORS.get(name)(16, shape)
    discriminator = DISCRIMINATORS.get(name)(shape)

    data = generator.sample(tf.random.stateless_normal([3, 16], [0, 0]))
    logits = discriminator.score(data)

    assert data.shape == (3, *shape)
    assert logits.shape == (3, 1)
    assert float(tf.reduce_max(tf.abs(data))) <= 1.0


@pytest.mark.parametrize("name", SHAPES)
def test_outputs_and_weights_are_float32_under_bfloat16(name):
    generator = GENERATORS.get(name)(16, (28, 28, 1), dtype="mixed_bfloat16")
    discriminator = DISCRIMINATORS.get(name)((28, 28, 1), dtype="mixed_bfloat16")
    data = generator(tf.zeros([2, 16]), training=True)

    assert data.dtype == tf.float32
    assert discriminator(data, training=True).dtype == tf.float32
    for variable in [*generator.variables, *discriminator.variables]:
        assert variable.dtype == "float32"


@pytest.mark.parametrize("name", SHAPES)
def test_the_seed_decides_the_weights(name):
    def weights(seed):
        generator = GENERATORS.get(name)(16, (8, 8, 1), seed=seed)
        generator(tf.zeros([1, 16]))
        return np.concatenate([weight.ravel() for weight in generator.get_weights()])

    np.testing.assert_array_equal(weights(1), weights(1))
    assert not np.array_equal(weights(1), weights(2))


@pytest.mark.parametrize("registry", [GENERATORS, DISCRIMINATORS], ids=lambda r: r.kind)
@pytest.mark.parametrize("shape", [(30, 28, 1), (28, 6, 1), (4, 4, 1), (260, 260, 3), (12,)])
def test_dcgan_names_the_shapes_it_makes(registry, shape):
    with pytest.raises(ValueError, match="dcgan makes images"):
        registry.get("dcgan").check_shape(shape)


# Weight shapes of the recipe for 28×28: kernels of dense and convolution layers only.
RECIPE = {
    GENERATORS: [(100, 7 * 7 * 256), (5, 5, 128, 256), (5, 5, 64, 128), (5, 5, 1, 64)],
    DISCRIMINATORS: [(5, 5, 1, 64), (5, 5, 64, 128), (7 * 7 * 128, 1)],
}


@pytest.mark.parametrize("registry", RECIPE, ids=lambda registry: registry.kind)
def test_dcgan_at_28_is_the_recipe(registry):
    shape = (28, 28, 1)
    if registry is GENERATORS:
        network = registry.get("dcgan")(100, shape)
        network(tf.zeros([1, 100]))
    else:
        network = registry.get("dcgan")(shape)
        network(tf.zeros([1, *shape]))

    kernels = [tuple(v.shape) for v in network.trainable_variables if len(v.shape) > 1]
    assert kernels == RECIPE[registry]
