"""Networks of rows: groups of which one is chosen, conditions that are met, packs."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from components.trainer import networks
from components.trainer.networks import layers
from components.trainer.networks.mlp import MLPDiscriminator, MLPGenerator

GROUPS = (2, 3)


def test_choices_follow_the_logits():
    logits = np.log([0.5, 0.5, 0.7, 0.2, 0.1]).astype(np.float32)
    raw = tf.tile([[0.5, *logits]], [20_000, 1])
    noise = tf.random.stateless_normal([20_000, 5], seed=[0, 1])

    made = layers.RowOutput(GROUPS)(raw, noise).numpy()

    assert made[:, 0] == pytest.approx(np.tanh(0.5))
    for group, shares in ((made[:, 1:3], [0.5, 0.5]), (made[:, 3:], [0.7, 0.2, 0.1])):
        assert set(np.unique(group)) == {0, 1}
        assert (group.sum(axis=1) == 1).all()
        assert stats.chisquare(group.sum(axis=0), 20_000 * np.array(shares)).pvalue > 1e-3


def test_the_gradient_is_that_of_the_softmax():
    raw, noise = tf.constant([[0.3, 1.0, -1.0]]), tf.zeros([1, 3])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(raw)
        made = layers.RowOutput((3,), temperature=0.5)(raw, noise)[0, 0]
        soft = tf.nn.softmax(raw / 0.5)[0, 0]
    np.testing.assert_allclose(tape.gradient(made, raw), tape.gradient(soft, raw), rtol=1e-5)


def test_what_is_asked_for_is_there():
    # Labels ask for the components of the second group, the last one first.
    generator = MLPGenerator(3 + 5, (6,), groups=GROUPS, given=(4, 3, 2), num_classes=3, seed=1)
    latents = tf.random.stateless_normal([300, 8], seed=[0, 1])
    labels = tf.range(300) % 3

    made = generator([latents, labels]).numpy()

    np.testing.assert_array_equal(made[np.arange(300), 1 + np.array([4, 3, 2])[labels]], 1)
    assert (made[:, 3:].sum(axis=1) == 1).all()
    assert np.unique(made[:, 1]).tolist() == [0, 1]
    copy = networks.copy(generator)
    copy([latents, labels])
    copy.set_weights(generator.get_weights())
    np.testing.assert_array_equal(copy([latents, labels]), made)


@pytest.mark.parametrize("shape", [(6,), (4, 4, 3)])
def test_a_pack_has_one_logit(shape):
    one = MLPDiscriminator((*shape[:-1], 4 * shape[-1]), seed=1)
    packing = MLPDiscriminator(shape, pac=4, seed=1)
    data = tf.random.stateless_normal([12, *shape], seed=[0, 1])
    # Joined along the last axis.
    joined = np.stack([np.concatenate(pack, axis=-1) for pack in np.split(data.numpy(), 3)])

    logits = packing(data)

    assert logits.shape == (3, 1)
    np.testing.assert_allclose(logits, one(joined), rtol=1e-5)
    assert networks.copy(packing).pac == 4


def test_a_pack_is_of_the_classes_of_its_data():
    packing = MLPDiscriminator((6,), pac=2, num_classes=3, seed=1)
    data = tf.random.stateless_normal([4, 6], seed=[0, 1])

    def logits(*labels):
        return packing([data, tf.constant(labels)]).numpy()[:, 0]

    np.testing.assert_allclose(logits(0, 1, 2, 2), logits(1, 0, 2, 2), rtol=1e-5)
    assert logits(0, 1, 2, 2)[0] != logits(0, 0, 2, 2)[0]
    assert logits(0, 1, 2, 2)[1] == logits(0, 0, 2, 2)[1]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: MLPDiscriminator((6,), pac=2, num_classes=2, conditioning="auxiliary"),
            "auxiliary tells the class of each datum, but networks.pac judges 2 together; use proj",
        ),
        (
            lambda: networks.resolve("dcgan", networks.GENERATORS)(8, (8, 8, 1), groups=(2,)),
            "groups: dcgan makes images; use mlp",
        ),
    ],
)
def test_what_does_not_go_together_is_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
