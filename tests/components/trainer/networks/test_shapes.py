"""Every network at every class of image sizes that it accepts."""

import math

import pytest
import tensorflow as tf

from components.trainer.networks import DISCRIMINATORS, GENERATORS, maps

SIDES = range(8, 257, 4)
# How networks halve their maps, as `maps.halvings` is told.
HALVINGS = {
    "dcgan": {"smallest": 5, "at_least": 2},
    "resnet": {"smallest": 5},
    "r3gan": {"smallest": 4},
}


def _class_of(name, height, width):
    """What tells sizes apart: halvings, doublings of filters, an odd side at the end, a square."""
    shape = (height, width, 1)
    count = maps.halvings(shape, **HALVINGS[name])
    filters = maps.filters(shape, count + 1, 1)
    return count, tuple(filters), (height | width) >> count & 1, height == width


def _smallest_of_each_class(name):
    found = {}
    sizes = sorted(((h, w) for h in SIDES for w in SIDES if h >= w), key=math.prod)
    for size in sizes:
        found.setdefault(_class_of(name, *size), size)
    # Tall ones and wide ones in turn.
    return [size[:: (-1) ** index] for index, size in enumerate(found.values())]


CASES = [(name, size) for name in HALVINGS for size in _smallest_of_each_class(name)]


def _options(name, shape):
    """The narrowest networks, with all the parts there are."""
    if name != "r3gan":
        return {"width": 1, "self_attention": True}
    count = maps.halvings(shape, **HALVINGS[name]) + 1
    stages = {"width_per_stage": (2,) * (count - 1) + (1,), "blocks_per_stage": (1,) * count}
    return {**stages, "cardinality_per_stage": (1,) * count, "expansion_factor": 1}


def test_the_sizes_are_those_that_networks_accept():
    for name in HALVINGS:
        for side in range(1, 300):
            accepted = side in SIDES
            try:
                GENERATORS.get(name).check_shape((side, side, 1))
            except ValueError:
                accepted = not accepted
            assert accepted, (name, side)


@pytest.mark.parametrize(("name", "size"), CASES, ids=lambda value: str(value))
def test_every_accepted_size_is_made_and_judged(name, size):
    shape = (*size, 1)
    options = _options(name, shape)
    data = GENERATORS.get(name)(2, shape, **options)(tf.zeros([1, 2]))
    logits = DISCRIMINATORS.get(name)(shape, **options)(data)

    assert data.shape == (1, *shape)
    assert logits.shape == (1, 1)
