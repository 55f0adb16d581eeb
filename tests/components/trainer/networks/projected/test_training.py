"""Training against the projected discriminator: losses, penalties, modes, devices, resuming."""

import numpy as np
import pytest
import tensorflow as tf

from components import feature_extractor
from components.common import saved_models
from components.data.examples import Split
from components.feature_extractor import FeatureExtractorConfig
from components.features import Extractor
from components.trainer import GANTrainer
from components.trainer.callbacks.quality import ExtractWith
from components.trainer.gan.losses import LOSSES
from components.trainer.networks import DISCRIMINATORS, GENERATORS

pytestmark = pytest.mark.usefixtures("lite0")

SHAPE = (8, 8, 1)
SMALL = {"width": 4, "feature_resolution": 64}


@pytest.fixture
def make(digits):
    """Makes a trainer of an mlp against a small projected discriminator."""

    def make(dtype="float32", dataset=digits, conditional=False, strategy=None, **options):
        classes = {"num_classes": 10, "dtype": dtype} if conditional else {"dtype": dtype}
        settings = {"latent_dim": 4, "batch_size": 8, "quality": {"every_images": None}}
        return GANTrainer(
            GENERATORS.get("mlp")(4, SHAPE, **classes),
            DISCRIMINATORS.get("projected")(SHAPE, seed=1, **SMALL, **classes),
            dataset,
            strategy=strategy,
            **{**settings, **options},
        )

    return make


@pytest.fixture
def eagerly():
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def _projection(trainer):
    return [weight.numpy() for weight in trainer.discriminator.body.weights]


@pytest.mark.parametrize("loss", LOSSES.names())
def test_every_loss_has_logits_of_patches(make, eagerly, loss):
    top_k = {} if LOSSES.get(loss).relativistic else {"top_k": 0.5}
    trainer = make(loss=loss, **top_k)
    line = trainer.train(16)

    assert all(np.isfinite(value) for value in line.values()), line
    assert {"discriminator_loss", "generator_loss", "real_sign", "confidence"} <= set(line)
    assert np.isfinite(list(trainer.evaluate(trainer.source.take(12, 0)[0]).values())).all()


@pytest.mark.parametrize("penalty", ["r1", "r2", "lecam", "bcr"])
def test_penalties_of_patches(make, eagerly, penalty):
    line = make(penalties=[{"name": penalty}], augmentation={"adaptive": {}}, loss="hinge").train(
        16
    )

    assert np.isfinite(line[penalty])
    assert line[penalty] > 0 or penalty == "lecam"


def test_penalties_of_each_datum_are_refused_for_its_batch_normalisation(make):
    with pytest.raises(ValueError, match="gradient_penalty .*batch normalisation"):
        make(penalties=[{"name": "gradient_penalty"}])


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_classes_augmentation_and_a_penalty_in_both_precisions(make, digits, labels, dtype):
    trainer = make(
        dtype,
        (digits, labels),
        conditional=True,
        conditioning={},
        loss="hinge",
        augmentation={},
        penalties=[{"name": "r1", "interval": 2}],
        weight_clip=0.05,
    )
    before, generator = _projection(trainer), trainer.generator.get_weights()
    line = trainer.train(24)

    assert all(np.isfinite(value) for value in line.values()), line
    assert any(
        (a != b).any() for a, b in zip(generator, trainer.generator.get_weights(), strict=True)
    )
    # The random projection is neither trained nor clipped.
    for old, new in zip(before, _projection(trainer), strict=True):
        np.testing.assert_array_equal(old, new)
    assert max(np.abs(weight).max() for weight in before) > 0.05
    clipped = [np.abs(w).max() for w in trainer.discriminator.trainable_weights]
    assert max(clipped) <= 0.05 + 1e-6


def test_two_devices_learn_what_one_does(make, two_devices):
    sgd = {"name": "sgd", "learning_rate": 0.01}
    options = {"loss": "hinge", "generator_optimizer": sgd, "discriminator_optimizer": sgd}
    found = []
    for strategy in (tf.distribute.get_strategy(), two_devices):
        trainer = make(strategy=strategy, **options)
        trainer.train(16)
        found.append([*trainer.generator.get_weights(), *trainer.discriminator.get_weights()])

    for one, two in zip(*found, strict=True):
        np.testing.assert_allclose(two, one, rtol=1e-2, atol=5e-5)


RESUME = """
    import sys
    import numpy as np, tensorflow as tf
    tf.config.experimental.enable_op_determinism()
    from components.trainer import GANTrainer
    from components.trainer.networks import DISCRIMINATORS, GENERATORS

    def trained(images, folder):
        data = np.random.default_rng(0).integers(0, 255, (20, 8, 8, 1), dtype=np.uint8)
        trainer = GANTrainer(
            GENERATORS.get("mlp")(4, (8, 8, 1)),
            DISCRIMINATORS.get("projected")((8, 8, 1), width=4, feature_resolution=64),
            data, latent_dim=4, batch_size=4, loss="hinge", augmentation={},
            quality={"every_images": None}, checkpoint_every_images=8)
        trainer.train(images, folder)
        networks = trainer.generator, trainer.discriminator, trainer.ema_generator
        return [weights for network in networks for weights in network.get_weights()]

    whole = trained(16, sys.argv[1])
    trained(8, sys.argv[2])
    for expected, found in zip(whole, trained(16, sys.argv[2]), strict=True):
        np.testing.assert_array_equal(expected, found)
"""


def test_resumed_is_bit_identical_to_never_interrupted(run_python, tmp_path):
    process = run_python(RESUME, tmp_path / "whole", tmp_path / "resumed")
    _, errors = process.communicate(timeout=500)

    assert process.returncode == 0, errors[-2000:]
    # Without EfficientNet-Lite0, whose maps' weights are 13 MB.
    sizes = [file.stat().st_size for file in (tmp_path / "whole" / "checkpoints").glob("*.data*")]
    assert max(sizes) < 2e6


def test_the_record_and_the_trainer_know_the_weights(make, digits, tmp_path):
    trainer = make()
    trainer.export(str(tmp_path / "model"))
    assert saved_models.description(str(tmp_path / "model"))["pretrained"] == "efficientnet_lite0"

    splits = {name: Split(digits[:4], None) for name in ("train", "eval")}
    config = FeatureExtractorConfig(kind="efficientnet_lite0")
    known = feature_extractor.make(str(tmp_path / "extractor"), splits, config, "digits")
    assert known["pretrained"] == "efficientnet_lite0"
    extract = ExtractWith(Extractor(str(tmp_path / "extractor")))
    with pytest.raises(ValueError, match="cannot judge it; use an extractor of another kind"):
        make(extract=extract)
