import numpy as np
import pytest
import tensorflow as tf

from components.trainer.networks import DISCRIMINATORS, GENERATORS

IMAGES = [(8, 8, 1), (12, 20, 3), (28, 28, 1), (32, 32, 3), (64, 40, 3)]
SHAPES = {
    "mlp": [(8, 8, 1), (28, 28, 1), (5,), (3, 7, 3)],
    "dcgan": [*IMAGES, (256, 256, 1)],
    "resnet": IMAGES,
    "r3gan": IMAGES,
}
CASES = [(name, shape) for name, shapes in SHAPES.items() for shape in shapes]
# Small, because the tests make many.
WIDTH = 8
SHAPE = (8, 8, 1)
LABELS = tf.constant([0, 1, 2])


def _latents(count=3):
    return tf.random.stateless_normal([count, 16], [0, 0])


def _generator(name, shape=SHAPE, **options):
    return GENERATORS.get(name)(16, shape, **{"width": WIDTH, **options})


def _discriminator(name, shape=SHAPE, **options):
    return DISCRIMINATORS.get(name)(shape, **{"width": WIDTH, **options})


def _weights(network):
    return np.concatenate([np.ravel(weight) for weight in network.get_weights()])


def test_every_network_is_in_the_table():
    assert GENERATORS.names() == sorted(SHAPES)
    # Its tests are in projected/.
    assert DISCRIMINATORS.names() == sorted([*SHAPES, "projected"])


@pytest.mark.parametrize(("name", "shape"), CASES)
def test_latents_to_data_to_logits(name, shape):
    data = _generator(name, shape)(_latents())
    logits = _discriminator(name, shape)(data)

    assert data.shape == (3, *shape)
    assert logits.shape == (3, 1)
    assert 0.0 < float(tf.reduce_max(tf.abs(data))) <= 1.0


@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("name", SHAPES)
def test_outputs_and_weights_are_float32_in_mixed_precision(name, dtype):
    options = {"dtype": dtype, "num_classes": 3}
    generator = _generator(name, **options)
    discriminator = _discriminator(name, conditioning="auxiliary", **options)
    data = generator([_latents(), LABELS], training=True)
    logits = discriminator(data, training=True)

    assert [value.dtype for value in (data, *logits)] == [tf.float32] * 3
    assert {v.dtype for v in [*generator.variables, *discriminator.variables]} == {"float32"}
    assert np.all(np.isfinite(np.concatenate([np.ravel(data), *map(np.ravel, logits)])))


@pytest.mark.parametrize("name", SHAPES)
def test_the_seed_decides_the_weights(name):
    def weights(seed):
        generator = _generator(name, seed=seed)
        generator(_latents())
        discriminator = _discriminator(name, seed=seed, num_classes=3)
        discriminator([tf.zeros([3, *SHAPE]), LABELS])
        return np.concatenate([_weights(generator), _weights(discriminator)])

    np.testing.assert_array_equal(weights(1), weights(1))
    assert not np.array_equal(weights(1), weights(2))


GENERATOR_OPTIONS = [
    ("mlp", {"num_classes": 3}),
    ("dcgan", {"num_classes": 3, "self_attention": True}),
    ("dcgan", {"num_classes": 3, "conditioning": "normalization"}),
    ("resnet", {"num_classes": 3, "self_attention": True}),
    ("resnet", {"num_classes": 3, "conditioning": "normalization"}),
    ("r3gan", {"num_classes": 3}),
]
DISCRIMINATOR_OPTIONS = [
    ("mlp", {"num_classes": 3, "spectral_norm": True}),
    ("dcgan", {"num_classes": 3, "spectral_norm": True, "self_attention": True}),
    ("resnet", {"num_classes": 3, "spectral_norm": True, "self_attention": True}),
    ("r3gan", {"num_classes": 3}),
]


def _moved(network, *inputs):
    """Builds `network` and perturbs its weights, as some are initialised to 0 or 1."""
    network(*inputs)
    random = np.random.default_rng(0)
    for variable in network.trainable_variables:
        variable.assign_add(random.normal(0.0, 0.1, variable.shape))
    return network


@pytest.mark.parametrize(("name", "options"), GENERATOR_OPTIONS)
def test_a_conditional_generator_shows_the_label(name, options):
    same = tf.repeat(_latents(1), 3, axis=0)
    generator = _moved(_generator(name, **options), [same, LABELS])
    images = generator([same, LABELS]).numpy()

    assert images.shape == (3, *SHAPE)
    assert min(np.abs(images[a] - images[b]).max() for a, b in ((0, 1), (0, 2), (1, 2))) > 1e-3
    np.testing.assert_allclose(generator([same, LABELS]), images, rtol=1e-5, atol=1e-6)
    again = generator([same, tf.constant([2, 1, 2])]).numpy()
    np.testing.assert_allclose(again[[1, 2]], images[[1, 2]], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("name", "options"), GENERATOR_OPTIONS)
def test_a_generator_takes_weights_of_classes_for_labels(name, options):
    generator = _moved(_generator(name, **options), [_latents(), LABELS])
    expected = generator([_latents(), LABELS])

    np.testing.assert_array_equal(generator([_latents(), tf.eye(3)]), expected)
    mixed = generator([_latents(), (tf.eye(3) + tf.roll(tf.eye(3), 1, 0)) / 2])
    assert np.isfinite(mixed).all()
    assert not np.isclose(mixed, expected).all(axis=(1, 2, 3)).any()


@pytest.mark.parametrize(("name", "options"), DISCRIMINATOR_OPTIONS[:-1])
def test_projection_adds_the_inner_product_with_the_class(name, options):
    data = tf.random.stateless_normal([3, *SHAPE], [1, 1])
    network = _moved(_discriminator(name, **options), [data, LABELS])
    logits = network([data, LABELS]).numpy()

    assert logits.shape == (3, 1)
    features = tf.cast(network.body(data), tf.float32).numpy()
    kernel = network.projection.kernel.numpy()
    if options.get("spectral_norm"):
        kernel = network.projection.normalised_kernel().numpy()
    expected = network.head(features).numpy()[:, 0] + [features[i] @ kernel[:, i] for i in range(3)]
    np.testing.assert_allclose(logits[:, 0], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", SHAPES)
def test_an_auxiliary_head_gives_class_logits(name):
    data = tf.random.stateless_normal([3, *SHAPE], [1, 1])
    network = _discriminator(name, num_classes=4, conditioning="auxiliary")
    logits, class_logits = network(data)

    assert (logits.shape, class_logits.shape) == ((3, 1), (3, 4))
    plain = _discriminator(name)
    np.testing.assert_allclose(plain(data), logits, rtol=1e-5, atol=1e-6)


def _gradients(network, inputs):
    """Gradient of the squared outputs, calling the network as penalties do."""
    weights = [variable.value for variable in network.trainable_variables]
    state = [variable.value for variable in network.non_trainable_variables]
    with tf.GradientTape() as tape:
        tape.watch(weights)
        outputs, _ = network.stateless_call(weights, state, inputs, training=True)
        loss = tf.reduce_sum(outputs**2)
    return tape.gradient(loss, weights)


@pytest.mark.parametrize(
    ("make", "name", "options"),
    [(_generator, *case) for case in GENERATOR_OPTIONS]
    + [(_discriminator, *case) for case in DISCRIMINATOR_OPTIONS],
)
def test_every_weight_learns_through_a_stateless_call(make, name, options):
    values = _latents() if make is _generator else tf.random.stateless_normal([3, *SHAPE], [1, 1])
    network = _moved(make(name, **options), [values, LABELS])
    before = network.get_weights()
    gradients = _gradients(network, [values, LABELS])

    for variable, gradient in zip(network.trainable_variables, gradients, strict=True):
        assert gradient is not None, variable.path
        # A bias before a normalisation layer has no effect.
        if "bias" not in variable.path:
            assert float(tf.reduce_max(tf.abs(gradient))) > 0.0, variable.path
    for a, b in zip(before, network.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("make", "name", "options"),
    [(_generator, *case) for case in GENERATOR_OPTIONS]
    + [(_discriminator, *case) for case in DISCRIMINATOR_OPTIONS],
)
def test_the_configuration_makes_the_same_network(make, name, options):
    values = _latents() if make is _generator else tf.zeros([3, *SHAPE])
    network = make(name, seed=5, **options)
    copy = type(network).from_config(network.get_config())
    network([values, LABELS])
    copy([values, LABELS])

    assert network.get_config() == copy.get_config()
    assert options.items() <= network.get_config().items()
    np.testing.assert_array_equal(_weights(network), _weights(copy))


@pytest.mark.parametrize("name", ["dcgan", "resnet"])
@pytest.mark.parametrize("make", [_generator, _discriminator])
def test_self_attention_starts_as_nothing(make, name):
    values = _latents() if make is _generator else tf.random.stateless_normal([3, *SHAPE], [1, 1])
    plain, attentive = make(name), make(name, self_attention=True)
    plain(values)
    attentive(values)
    extra = len(attentive.trainable_variables) - len(plain.trainable_variables)

    assert extra == 5
    assert sum(v.path.endswith("gamma") and v.shape == () for v in attentive.variables) == 1


ERRORS = [
    (_generator, "mlp", {"self_attention": True}, "self_attention: .*generator mlp.*dcgan"),
    (_generator, "r3gan", {"self_attention": True}, "self_attention: .*dcgan or resnet"),
    (_discriminator, "mlp", {"self_attention": True}, "self_attention: .*dcgan or resnet"),
    (_discriminator, "r3gan", {"self_attention": True}, "self_attention: .*discriminator r3gan"),
    (_discriminator, "r3gan", {"spectral_norm": True}, "spectral_norm: .*dcgan or mlp or resnet"),
    (_generator, "r3gan", {"width": 20}, "width: 20, .*multiple of 8"),
    (_generator, "dcgan", {"width": 0}, "width: 0 .*1 or more"),
    (_generator, "dcgan", {"num_classes": -1}, "num_classes: -1 is negative"),
    (_generator, "dcgan", {"num_classes": 2, "conditioning": "normalisation"}, "'normalization'"),
    (_discriminator, "dcgan", {"num_classes": 2, "conditioning": "x"}, "auxiliary, projection"),
    (
        _generator,
        "mlp",
        {"num_classes": 2, "conditioning": "normalization"},
        "conditioning.generator: mlp .*use concatenation",
    ),
]


@pytest.mark.parametrize(("make", "name", "options", "message"), ERRORS)
def test_options_that_a_network_does_not_have_are_refused(make, name, options, message):
    with pytest.raises(ValueError, match=message):
        make(name, **options)


def test_a_conditional_network_asks_for_labels():
    with pytest.raises(ValueError, match=r"call it with \[inputs, labels\]"):
        _generator("mlp", num_classes=3)(_latents())


@pytest.mark.parametrize("registry", [GENERATORS, DISCRIMINATORS], ids=lambda r: r.kind)
@pytest.mark.parametrize("name", ["dcgan", "resnet", "r3gan"])
@pytest.mark.parametrize("shape", [(30, 28, 1), (28, 6, 1), (4, 4, 1), (260, 260, 3), (12,)])
def test_image_networks_name_the_shapes_they_make(registry, name, shape):
    with pytest.raises(ValueError, match=f"{name} makes images"):
        registry.get(name).check_shape(shape)


# Weight shapes of the published networks: kernels of dense and convolution layers only.
RECIPES = {
    (GENERATORS, "mlp", (28, 28, 1)): [(100, 64), (64, 128), (128, 784)],
    (DISCRIMINATORS, "mlp", (28, 28, 1)): [(784, 128), (128, 64), (64, 1)],
    (GENERATORS, "dcgan", (28, 28, 1)): [
        (100, 7 * 7 * 256),
        (5, 5, 128, 256),
        (5, 5, 64, 128),
        (5, 5, 1, 64),
    ],
    (DISCRIMINATORS, "dcgan", (28, 28, 1)): [(5, 5, 1, 64), (5, 5, 64, 128), (7 * 7 * 128, 1)],
    # Miyato et al. 2018, table 4: three convolutions per block that changes the resolution.
    (GENERATORS, "resnet", (32, 32, 3)): [
        (100, 4 * 4 * 256),
        *[(3, 3, 256, 256), (3, 3, 256, 256), (1, 1, 256, 256)] * 3,
        (3, 3, 256, 3),
    ],
    (DISCRIMINATORS, "resnet", (32, 32, 3)): [
        *[(3, 3, 3, 128), (3, 3, 128, 128), (1, 1, 3, 128)],
        *[(3, 3, 128, 128), (3, 3, 128, 128), (1, 1, 128, 128)],
        *[(3, 3, 128, 128)] * 4,
        (128, 1),
    ],
    # Huang et al. 2024: groups of 16 channels; the basis comes after the linear layer.
    (GENERATORS, "r3gan", (32, 32, 3)): [
        *[(100, 128), (4, 4, 128)],
        *[(1, 1, 128, 256), (3, 3, 16, 256), (1, 1, 256, 128)] * 8,
        (1, 1, 128, 3),
    ],
    (DISCRIMINATORS, "r3gan", (32, 32, 3)): [
        (1, 1, 3, 128),
        *[(1, 1, 128, 256), (3, 3, 16, 256), (1, 1, 256, 128)] * 8,
        *[(4, 4, 128), (128, 1)],
    ],
}


@pytest.mark.parametrize(
    ("registry", "name", "shape"), RECIPES, ids=lambda value: getattr(value, "kind", None)
)
def test_the_default_network_is_the_recipe(registry, name, shape):
    if registry is GENERATORS:
        network = registry.get(name)(100, shape)
        network(tf.zeros([1, 100]))
    else:
        network = registry.get(name)(shape)
        network(tf.zeros([1, *shape]))

    kernels = [tuple(v.shape) for v in network.trainable_variables if len(v.shape) > 1]
    assert kernels == RECIPES[registry, name, shape]


@pytest.mark.parametrize(
    ("name", "shape", "filters"),
    [
        ("mlp", (28, 28, 1), {12, 24}),
        ("dcgan", (64, 64, 3), {12, 24, 48}),
        ("resnet", (64, 64, 3), {12, 24}),
        ("resnet", (32, 32, 3), {12}),
    ],
)
def test_width_is_that_of_the_largest_map(name, shape, filters):
    network = _discriminator(name, shape, width=12)
    network(tf.zeros([1, *shape]))
    kernels = [v for v in network.trainable_variables if v.path.endswith("kernel")]

    assert {v.shape[-1] for v in kernels[:-1]} == filters
