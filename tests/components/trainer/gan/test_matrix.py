"""Every loss with every penalty, and every network, a few steps in eager, graph and mixed modes."""

import numpy as np
import pytest
import tensorflow as tf

from components.trainer.gan.losses import LOSSES
from components.trainer.gan.penalties import PENALTIES
from components.trainer.networks import DISCRIMINATORS

# float16 differs from bfloat16 by its loss scaling, which no loss or penalty depends on.
PAIR_MODES = ("eager", "graph", "mixed_bfloat16")
MODES = {
    "eager": "float32",
    "graph": "float32",
    "mixed_bfloat16": "mixed_bfloat16",
    "mixed_float16": "mixed_float16",
}
CONDITIONINGS = {
    "mlp": ("concatenation", "projection"),
    "dcgan": ("normalization", "auxiliary"),
    "resnet": ("normalization", "projection"),
    "r3gan": ("concatenation", "auxiliary"),
}


@pytest.fixture
def mode(request):
    tf.config.run_functions_eagerly(request.param == "eager")
    yield request.param
    tf.config.run_functions_eagerly(False)


def _weights(trainer):
    return [
        weight.copy()
        for network in (trainer.generator, trainer.discriminator)
        for weight in network.get_weights()
    ]


def _trains(trainer, steps):
    before = _weights(trainer)
    line = trainer.train(images=steps * trainer.options.batch_size)

    assert all(np.isfinite(value) for value in line.values()), line
    assert int(trainer.step) == steps
    after = _weights(trainer)
    assert all(np.isfinite(weight).all() for weight in after)
    assert any((a != b).any() for a, b in zip(before, after, strict=True))
    return line


@pytest.mark.parametrize("mode", PAIR_MODES, indirect=True)
@pytest.mark.parametrize("penalty", PENALTIES.names())
@pytest.mark.parametrize("loss", LOSSES.names())
def test_every_loss_with_every_penalty(make_trainer, mode, loss, penalty):
    trainer = make_trainer(
        dtype=MODES[mode], loss=loss, penalties=[{"name": penalty}], batch_size=8
    )
    line = _trains(trainer, steps=2)

    assert {"discriminator_loss", "generator_loss", penalty} <= set(line)
    assert line[penalty] >= 0


def test_every_network_is_in_the_table():
    # Its tests are in networks/projected/.
    assert DISCRIMINATORS.names() == sorted([*CONDITIONINGS, "projected"])


@pytest.mark.parametrize("mode", MODES, indirect=True)
@pytest.mark.parametrize("network", CONDITIONINGS)
def test_every_network_with_and_without_classes(make_trainer, mode, digits, labels, network):
    width = {"width": 8}
    if mode == "graph":
        lazy = [{"name": "r1", "interval": 2}]
        trainer = make_trainer(
            network,
            MODES[mode],
            generator=width,
            discriminator=width,
            batch_size=8,
            penalties=lazy,
        )
        _trains(trainer, steps=2)

    generator, discriminator = CONDITIONINGS[network]
    trainer = make_trainer(
        network,
        MODES[mode],
        dataset=(digits, labels),
        generator={**width, "num_classes": 10, "conditioning": generator},
        discriminator={**width, "num_classes": 10, "conditioning": discriminator},
        conditioning={"generator": generator, "discriminator": discriminator},
        batch_size=8,
    )
    line = _trains(trainer, steps=2)
    assert ("generator_class_loss" in line) == (discriminator == "auxiliary")
