"""R3GAN's networks beside the authors' (brownvc/R3GAN, commit 19a7ddf, run in PyTorch 2.14)."""

import math

import numpy as np
import pytest
import tensorflow as tf

from components.trainer.networks import DISCRIMINATORS, GENERATORS
from components.trainer.networks.layers import Residual

SHAPE = (16, 16, 3)
# Other widths, blocks and cardinalities per stage than the defaults would be.
STAGES = {
    "width_per_stage": (24, 16, 8),
    "blocks_per_stage": (1, 2, 1),
    "cardinality_per_stage": (3, 2, 4),
}


def _generator(latent_dim=5, shape=SHAPE, **options):
    return GENERATORS.get("r3gan")(latent_dim, shape, **options)


def _discriminator(shape=SHAPE, **options):
    return DISCRIMINATORS.get("r3gan")(shape, **options)


# name of train.py: width per stage, cardinality per stage, classes, parameters of both networks
PRESETS = {
    "CIFAR10": ((768,) * 4, (96,) * 4, 10, 20_781_952, 21_280_512),
    "FFHQ-256": ((*[768] * 4, 384, 192, 96), (*[96] * 4, 48, 24, 12), 0, 23_057_952, 23_009_568),
    "ImageNet-64": ((1536,) * 5, (96,) * 5, 1000, 103_570_432, 107_205_120),
}


@pytest.mark.parametrize("name", PRESETS)
def test_the_authors_presets_have_as_many_parameters(name):
    widths, cardinalities, classes, *expected = PRESETS[name]
    side = 4 << len(widths) - 1
    options = {
        "width_per_stage": widths,
        "blocks_per_stage": (2,) * len(widths),
        "cardinality_per_stage": cardinalities,
        "expansion_factor": 2,
        "num_classes": classes,
    }
    # In a graph, weights take no memory.
    with tf.Graph().as_default():
        labels = [tf.zeros([1], tf.int32)] if classes else []
        generator = _generator(64, (side, side, 3), **options)
        discriminator = _discriminator((side, side, 3), **options)
        for network, shape in ((generator, [1, 64]), (discriminator, [1, side, side, 3])):
            network([tf.zeros(shape), *labels] if classes else tf.zeros(shape))
        counts = [
            sum(math.prod(weight.shape) for weight in network.trainable_weights)
            for network in (generator, discriminator)
        ]
    assert counts == expected


def test_the_default_is_ffhqs_with_other_widths():
    widths = _generator(5, (256, 256, 3), width=96).stages()
    assert [stage.filters for stage in widths] == list(PRESETS["FFHQ-256"][0])
    assert [stage.groups for stage in widths] == list(PRESETS["FFHQ-256"][1])


def _filled(network, seed, *inputs):
    """Builds `network` and fills its weights with N(0, 0.2), in their order."""
    network(*inputs)
    random = np.random.default_rng(seed)
    network.set_weights([random.normal(0.0, 0.2, w.shape) for w in network.weights])
    return network


# Of [image, row, column, channel]: the corners but one, and a pixel inside, of three channels.
PIXELS = [(n, *place, n) for n in range(3) for place in ((0, 0), (0, 15), (7, 3), (15, 15))]
# classes: the authors' outputs with the same weights and inputs; of the generator after tanh
OUTPUTS = {
    0: (
        [
            *(0.0944, 0.0620, 0.4125, 0.1138),
            *(0.1666, 0.3379, -0.1507, 0.0019),
            *(0.0172, 0.0236, -0.2019, -0.1012),
        ],
        [-0.088103, -0.124241, -0.090170],
    ),
    3: (
        [
            *(0.1024, 0.0673, -0.1616, -0.0406),
            *(0.0960, 0.3026, 0.6781, 0.2207),
            *(0.1315, 0.2415, -0.0940, -0.0835),
        ],
        [0.437671, 0.250498, 0.015237],
    ),
}


@pytest.mark.parametrize("classes", OUTPUTS)
def test_equal_weights_give_the_authors_outputs(classes):
    latents = np.random.default_rng(3).normal(size=(3, 5)).astype("float32")
    images = np.random.default_rng(4).normal(size=(3, 3, 16, 16)).astype("float32")
    images = images.transpose(0, 2, 3, 1)
    inputs = [[values, tf.range(3)] if classes else values for values in (latents, images)]
    generator = _filled(_generator(**STAGES, num_classes=classes), 1, inputs[0])
    discriminator = _filled(_discriminator(**STAGES, num_classes=classes), 2, inputs[1])
    pixels, logits = OUTPUTS[classes]

    made = generator(inputs[0]).numpy()
    assert [made[place] for place in PIXELS] == pytest.approx(pixels, abs=1e-4)
    assert discriminator(inputs[1])[:, 0].numpy() == pytest.approx(logits, abs=2e-5)


def test_initial_weights_are_spread_as_the_authors():
    options = {"width_per_stage": (512, 64), "cardinality_per_stage": (4, 4), "num_classes": 64}
    generator = _generator(64, (8, 8, 3), **options)
    discriminator = _discriminator((8, 8, 3), **options)
    generator([tf.zeros([1, 64]), tf.zeros([1], tf.int32)])
    discriminator([tf.zeros([1, 8, 8, 3]), tf.zeros([1], tf.int32)])
    blocks = [layer for layer in generator.body.stack if isinstance(layer, Residual)]
    dense, basis = generator.body.stack[:2]
    *_, summary, linear = discriminator.body.stack
    # Four blocks; a block's kernels have the gain sqrt(2 / 1.04) / 4^(1/4).
    gain = math.sqrt(2 / 1.04) * 4**-0.25
    grouped = 9 * 512 * 2 // 4
    expected = [
        (dense.kernel, 1 / math.sqrt(64 + 64)),
        (basis.basis, 1),
        (generator.embedding.kernel, 1 / math.sqrt(64)),
        (blocks[0].main.stack[0].kernel, gain / math.sqrt(512)),
        (blocks[0].main.stack[2].kernel, gain / math.sqrt(grouped)),
        (blocks[0].main.stack[4].kernel, 0),
        (summary.basis, 1 / 4),
        (linear.kernel, 1 / math.sqrt(512)),
        (discriminator.projection.kernel, 1 / math.sqrt(512 * 64)),
    ]
    spreads = [float(np.std(weight)) for weight, _ in expected]
    assert spreads == pytest.approx([spread for _, spread in expected], rel=0.05)


def test_the_logit_is_the_product_with_the_class():
    images, labels = tf.random.stateless_normal([3, *SHAPE], [1, 1]), tf.constant([0, 2, 1])
    network = _filled(_discriminator(**STAGES, num_classes=3), 2, [images, labels])
    features, embeddings = network.body(images).numpy(), network.projection.kernel.numpy().T

    assert features.shape == (3, 24)
    assert embeddings.shape == (3, 24)
    expected = (features * embeddings[labels]).sum(axis=1)
    np.testing.assert_allclose(network([images, labels])[:, 0], expected, rtol=1e-4)


def test_blocks_start_as_the_identity():
    network = _discriminator((8, 8, 1), width=8)
    network(tf.zeros([3, 8, 8, 1]))
    blocks = [layer for layer in network.body.stack if isinstance(layer, Residual)]
    maps = tf.random.stateless_normal([3, 4, 4, 8], [2, 2])

    assert len(blocks) == 4
    for block in blocks:
        np.testing.assert_array_equal(block(maps), maps)


@pytest.mark.parametrize("make", [_generator, _discriminator])
def test_the_smallest_map_is_in_float32(make):
    network = make(**STAGES, dtype="mixed_bfloat16")
    network(tf.zeros([2, 5]) if make is _generator else tf.zeros([2, *SHAPE]))
    dtypes = [b.compute_dtype for b in network.body.stack if isinstance(b, Residual)]

    smallest_first = dtypes if make is _generator else dtypes[::-1]
    assert smallest_first == ["float32", "bfloat16", "bfloat16", "bfloat16"]


ERRORS = [
    ({"width_per_stage": (8, 8)}, "width_per_stage: 2 numbers, .*16x16 have 3 maps: 4x4, 8x8, 16"),
    ({"blocks_per_stage": (1,) * 4}, "blocks_per_stage: 4 numbers, .*16x16 have 3 maps"),
    ({"blocks_per_stage": (1, 0, 1)}, "blocks_per_stage: 0, expected 1 or more"),
    ({"cardinality_per_stage": (3, 3, 3)}, "cardinality_per_stage: 3 does not divide the 256 "),
    ({"width_per_stage": (8, 8, 12)}, "width_per_stage: 12, .*multiple of 8 .*cardinality_per_"),
    ({"width": 12}, "width: 12, expected a multiple of 8"),
    ({"width": 12, "expansion_factor": 3}, "width: 12, expected a multiple of 16"),
    ({"expansion_factor": 0}, "expansion_factor: 0, expected 1 or more"),
    ({"width": 8, "width_per_stage": (8, 8, 8)}, "width: does not go with width_per_stage"),
]


@pytest.mark.parametrize(("options", "message"), ERRORS)
@pytest.mark.parametrize("make", [_generator, _discriminator])
def test_numbers_that_do_not_fit_are_refused(make, options, message):
    with pytest.raises(ValueError, match=message):
        make(**options)


@pytest.mark.parametrize("registry", [GENERATORS, DISCRIMINATORS], ids=lambda r: r.kind)
@pytest.mark.parametrize("option", [*STAGES, "expansion_factor"])
def test_other_networks_refuse_its_options(registry, option):
    sizes = ((4,) if registry is GENERATORS else ()) + (SHAPE,)
    for name in set(registry.names()) - {"r3gan"}:
        message = f"{option}: not supported by {registry.kind} {name}; use r3gan"
        with pytest.raises(ValueError, match=message):
            registry.get(name)(*sizes, **{option: 2})
