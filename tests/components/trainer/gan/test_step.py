"""Regularisers in the training step: what they see, and where they are refused."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from components.compute import fused
from components.trainer import GANTrainer
from components.trainer.config import TrainerConfig

DCGAN = {"width": 8}


def _own_discriminator(layer):
    return keras.Sequential(
        [
            keras.layers.Conv2D(4, 3, strides=2),
            keras.Sequential([layer, keras.layers.LeakyReLU()]),
            keras.layers.Flatten(),
            keras.layers.Dense(1),
        ]
    )


def _layers(network, kind):
    found, layers = [], [network]
    while layers:
        layer = layers.pop()
        found += [layer] if isinstance(layer, kind) else []
        layers += layer._layers
    return found


@pytest.mark.parametrize("steps", [1, 5])
def test_ada_counts_the_real_images_that_the_discriminator_is_shown(make_trainer, steps):
    """Karras et al. 2020: p can rise from 0 to 1 in 500 000 of them."""
    trainer = make_trainer(augmentation={"adaptive": {}}, discriminator_steps=steps)
    for _ in range(4):
        trainer.parts.adaptive.observe(tf.constant(1.0))
    # Four steps of batches of 16.
    assert float(trainer.parts.adaptive.probability) == pytest.approx(4 * steps * 16 / 500_000)


PER_EXAMPLE = ["gradient_penalty", "dragan"]


@pytest.mark.parametrize("penalty", PER_EXAMPLE)
def test_a_recipes_dcgan_has_no_batch_norm_where_slopes_are_each_images_own(digits, penalty):
    networks = {"generator": "dcgan", "discriminator": "dcgan", **DCGAN}
    penalised, plain = (
        GANTrainer.from_config(
            TrainerConfig(images=16, latent_dim=8, networks=networks, penalties=penalties), digits
        )
        for penalties in ([{"name": penalty}], [{"name": "r1"}])
    )
    assert not _layers(penalised.discriminator, fused.BatchNormalization)
    assert _layers(plain.discriminator, fused.BatchNormalization)
    assert _layers(penalised.generator, fused.BatchNormalization)


@pytest.mark.parametrize("penalty", PER_EXAMPLE)
def test_batch_norm_is_refused_where_slopes_are_each_images_own(make_trainer, penalty):
    with pytest.raises(
        ValueError, match=rf"^penalties: {penalty} .*batch_norm=False.*r1$"
    ) as raised:
        make_trainer("dcgan", generator=DCGAN, discriminator=DCGAN, penalties=[{"name": penalty}])
    assert "\n" not in str(raised.value)
    make_trainer(
        "dcgan",
        generator=DCGAN,
        discriminator={**DCGAN, "batch_norm": False},
        penalties=[{"name": penalty}],
    )


@pytest.mark.parametrize(
    ("layer", "penalty", "taken"),
    [
        (lambda: keras.layers.BatchNormalization(name="bn"), "gradient_penalty", False),
        (lambda: keras.layers.BatchNormalization(trainable=False), "gradient_penalty", True),
        (lambda: keras.layers.BatchNormalization(), "r1", True),
        (lambda: keras.layers.LayerNormalization(), "gradient_penalty", True),
    ],
)
def test_your_own_discriminator(make_trainer, digits, layer, penalty, taken):
    generator = make_trainer().generator

    def make():
        return GANTrainer(
            generator,
            _own_discriminator(layer()),
            digits,
            latent_dim=8,
            batch_size=16,
            penalties=[{"name": penalty}],
            quality={"every_images": None},
        )

    if taken:
        assert make().train(images=16)[penalty] > 0
    else:
        with pytest.raises(ValueError, match=r"batch normalisation \(bn\); use LayerNormal"):
            make()


def test_consistency_transforms_what_the_discriminator_has_seen(digits):
    """Grey images that the augmentation changes, and flips do not: only draws could differ."""
    generator = keras.Sequential(
        [keras.layers.Dense(1), keras.layers.Reshape((1, 1, 1)), keras.layers.UpSampling2D(8)]
    )
    discriminator = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(1)])
    grey = np.repeat(np.arange(0, 240, 10, dtype=np.uint8), 64).reshape(-1, 8, 8, 1)

    def penalty(transforms):
        trainer = GANTrainer(
            keras.models.clone_model(generator),
            keras.models.clone_model(discriminator),
            grey,
            latent_dim=8,
            batch_size=8,
            quality={"every_images": None},
            augmentation={"groups": ["color"]},
            penalties=[{"name": "bcr", "options": {"transforms": transforms}}],
        )
        return trainer.train(images=8)["bcr"]

    assert penalty(["flip"]) < 1e-8
    assert penalty(["translation"]) > 1e-3


def test_consistency_takes_two_more_passes_and_no_copy(make_trainer, monkeypatch):
    trainer = make_trainer(dtype="mixed_bfloat16", penalties=[{"name": "bcr"}])
    called, call = [], type(trainer.discriminator).call

    def counting(self, *args, **kwargs):
        called.append(self.compute_dtype)
        return call(self, *args, **kwargs)

    monkeypatch.setattr(type(trainer.discriminator), "call", counting)
    trainer.train(images=16)
    assert called == ["bfloat16"] * 5


def test_the_generator_learns_from_the_share_that_is_scheduled(make_trainer):
    everything, all_of_them, few = (
        make_trainer(top_k=share, seed=3) for share in (None, 1.0, {"start": 0.25, "end": 1.0})
    )
    lines = [trainer.train(images=16) for trainer in (everything, all_of_them, few)]
    assert lines[0]["generator_loss"] == pytest.approx(lines[1]["generator_loss"], rel=1e-6)
    # The loss of the fakes that look most real is the smaller.
    assert lines[2]["generator_loss"] < lines[0]["generator_loss"]
    assert few.scheduled["top_k"] == 0.25
    for ours, theirs in zip(
        everything.generator.get_weights(), all_of_them.generator.get_weights(), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


WRONG = [
    ({"top_k": 0.5, "loss": "relativistic_pairing"}, "top_k: the loss 'relativistic_pairing'"),
    ({"top_k": 0}, "top_k: .*greater than 0"),
    ({"top_k": {"start": 1.0, "end": 1.5}}, "top_k.*1.5"),
    ({"augmentation": {"groups": ["colour"]}}, "augmentation.groups.0: .*'blit'"),
    (
        {"penalties": [{"name": "bcr", "options": {"transforms": ["flop"]}}]},
        "penalty 'bcr': transforms.0: unknown augmentation 'flop'",
    ),
]


@pytest.mark.parametrize(("options", "message"), WRONG)
def test_wrong_options_are_named(make_trainer, options, message):
    with pytest.raises(ValueError, match=message) as raised:
        make_trainer(**options)
    assert "\n" not in str(raised.value)


def test_consistency_is_refused_for_tables(make_trainer):
    message = r"penalties: bcr: data have shape \[5\], expected images"
    options = {"penalties": [{"name": "bcr"}]}
    with pytest.raises(ValueError, match=message):
        make_trainer(dataset=np.zeros((100, 5), "float32"), **options)
    networks = {"generator": "mlp", "discriminator": "mlp"}
    with pytest.raises(ValueError, match=message):
        TrainerConfig(images=1, networks=networks, **options).check_shape((5,))


def test_everything_at_once_compiles_with_xla(make_trainer):
    trainer = make_trainer(
        xla=True,
        batch_size=8,
        top_k={"start": 1.0, "end": 0.5},
        augmentation={"adaptive": {}},
        penalties=[
            {"name": "bcr"},
            {"name": "r1"},
            {"name": "lecam", "options": {"start_step": 0}},
        ],
    )
    line = trainer.train(images=16)
    assert all(np.isfinite(value) for value in line.values())
    assert line["bcr"] > 0 and line["lecam"] > 0
