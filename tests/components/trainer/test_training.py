import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from components.trainer import losses
from components.trainer.config import TrainerConfig
from components.trainer.training import GANTrainer


def _weights(trainer):
    networks = (trainer.generator, trainer.discriminator, trainer.ema_generator)
    return [weight for network in networks for weight in network.get_weights()]


@pytest.mark.parametrize("loss", losses.LOSSES.names())
@pytest.mark.parametrize("networks", ["mlp", "dcgan"])
@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_trains_and_reports_finite_losses(make_trainer, loss, networks, dtype):
    trainer = make_trainer(networks, dtype, loss=loss)
    before = _weights(trainer)
    means = trainer.train(images=48)

    assert set(means) == {"discriminator_loss", "generator_loss"}
    assert all(np.isfinite(value) for value in means.values())
    assert trainer.images_seen == 48
    assert all(np.isfinite(weight).all() for weight in _weights(trainer))
    assert any((a != b).any() for a, b in zip(before, _weights(trainer), strict=True))


def test_the_discriminator_learns_to_tell_noise_from_digits(make_trainer, digits):
    trainer = make_trainer(generator_optimizer=keras.optimizers.SGD(0.0))
    trainer.train(images=16 * 150)
    scores = trainer.evaluate(digits[:256])

    assert scores["real_accuracy"] > 0.9
    assert scores["fake_accuracy"] > 0.9
    assert scores["discriminator_loss"] < 0.7


@pytest.mark.parametrize("name", ["non_saturating", "relativistic_pairing"])
def test_one_step_is_the_plain_alternating_update(make_trainer, name):
    """The shared forward pass against two tapes, two passes and Keras's own optimizers."""
    sgd = {"learning_rate": 0.05}
    trainer = make_trainer(
        loss=name,
        generator_optimizer=keras.optimizers.SGD(**sgd),
        discriminator_optimizer=keras.optimizers.SGD(**sgd),
    )
    plain = make_trainer()
    real, latents = next(plain._batches(0))
    real, latents = tf.cast(real[:, 0], tf.float32) / 127.5 - 1.0, latents[:, 0]
    loss = losses.get(name)
    generator, discriminator = plain.generator, plain.discriminator

    with tf.GradientTape() as tape:
        value = loss.discriminator(discriminator(real), discriminator(generator(latents)))
    gradients = tape.gradient(value, discriminator.trainable_variables)
    keras.optimizers.SGD(**sgd).apply(gradients, discriminator.trainable_variables)
    with tf.GradientTape() as tape:
        value = loss.generator(discriminator(real), discriminator(generator(latents)))
    gradients = tape.gradient(value, generator.trainable_variables)
    keras.optimizers.SGD(**sgd).apply(gradients, generator.trainable_variables)

    trainer.train(images=16)
    for network in ("generator", "discriminator"):
        for ours, theirs in zip(
            getattr(trainer, network).get_weights(),
            getattr(plain, network).get_weights(),
            strict=True,
        ):
            np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)


def test_discriminator_steps_update_the_discriminator_only(make_trainer):
    trainer = make_trainer(discriminator_steps=3)
    trainer.train(images=16 * 2)

    assert int(trainer.discriminator_optimizer.iterations) == 6
    assert int(trainer.generator_optimizer.iterations) == 2
    assert trainer.images_seen == 32


@pytest.mark.parametrize("half_life", [0, 16, 160])
def test_the_average_halves_its_distance_each_half_life(make_trainer, half_life):
    trainer = make_trainer(ema_half_life_images=half_life)
    start = trainer.generator.get_weights()[0]
    trainer.train(images=16)
    now = trainer.generator.get_weights()[0]

    decay = 0.5 ** (16 / half_life) if half_life else 0.0
    expected = decay * start + (1 - decay) * now
    np.testing.assert_allclose(trainer.ema_generator.get_weights()[0], expected, atol=1e-6)


def test_samples_depend_on_the_seed_alone(make_trainer):
    trainer = make_trainer()
    first, again, other = trainer.sample(5, 7), trainer.sample(5, 7), trainer.sample(5, 8)

    assert first.shape == (5, 8, 8, 1)
    assert first.dtype == np.uint8
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_vectors_train_through_the_same_code(make_trainer):
    columns = np.random.default_rng(0).uniform(-1, 1, (100, 5)).astype("float32")
    trainer = make_trainer(dataset=columns)
    trainer.train(images=32)

    assert trainer.generator.sample(tf.zeros([2, 8])).shape == (2, 5)


def test_from_config(digits):
    config = TrainerConfig(
        networks={"generator": "mlp", "discriminator": "dcgan"},
        images=100,
        batch_size=20,
        latent_dim=4,
        generator_optimizer={"learning_rate": 0.003, "beta_1": 0.1},
    )
    trainer = GANTrainer.from_config(config, digits)

    assert float(trainer.generator_optimizer.learning_rate) == pytest.approx(0.003)
    assert trainer.generator_optimizer.beta_1 == 0.1
    assert float(trainer.discriminator_optimizer.learning_rate) == pytest.approx(2e-4)
    assert type(trainer.discriminator).__name__ == "DCGANDiscriminator"


WRONG = {
    "batch": ({"batch_size": 2000}, "batch_size: 2000 is more than the 1797 data"),
    "loss": ({"loss": "hinges"}, "unknown loss 'hinges': did you mean 'hinge'"),
    "smoothing": ({"loss": "hinge", "label_smoothing": 0.1}, "loss 'hinge' has no labels"),
}


@pytest.mark.parametrize(("options", "message"), WRONG.values(), ids=WRONG)
def test_wrong_options_are_named(make_trainer, options, message):
    with pytest.raises(ValueError, match=message):
        make_trainer(**options)


def test_networks_that_do_not_fit_the_data_are_named(digits):
    generator = keras.Sequential([keras.layers.Dense(10)])
    with pytest.raises(ValueError, match=r"generator: makes data of shape \[10\].* \[8, 8, 1\]"):
        GANTrainer(generator, keras.Sequential(), digits, latent_dim=4)


def test_a_loss_that_is_not_finite_ends_training_with_its_name(make_trainer):
    trainer = make_trainer(generator_optimizer=keras.optimizers.SGD(float("inf")))
    with pytest.raises(FloatingPointError, match="_loss is nan at step"):
        trainer.train(images=16 * 8, log_every_images=16)


DEVICES = """
    import sys
    import numpy as np, tensorflow as tf
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    from components.trainer.networks import DISCRIMINATORS, GENERATORS
    from components.trainer.training import GANTrainer

    def train(strategy):
        data = np.random.default_rng(0).integers(0, 255, (64, 8, 8, 1), dtype=np.uint8)
        trainer = GANTrainer(
            GENERATORS.get("mlp")(8, (8, 8, 1)), DISCRIMINATORS.get("mlp")((8, 8, 1)),
            data, latent_dim=8, batch_size=16, strategy=strategy, ema_half_life_images=32)
        means = trainer.train(images=16 * 20)
        return trainer.ema_generator.get_weights() + trainer.generator.get_weights(), means

    one, one_means = train(tf.distribute.get_strategy())
    two, two_means = train(tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]))
    for a, b in zip(one, two, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)
    for name in one_means:
        np.testing.assert_allclose(one_means[name], two_means[name], rtol=1e-4)
"""


def test_two_devices_are_one_device_on_the_same_global_batch(run_python):
    process = run_python(DEVICES)
    _, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors[-2000:]


def test_a_batch_that_devices_cannot_share_is_refused(make_trainer):
    class Three:
        num_replicas_in_sync = 3

    with pytest.raises(ValueError, match="batch_size: 16 is not a multiple of the 3 devices"):
        make_trainer(strategy=Three())


def test_training_goes_on_where_it_stopped(make_trainer):
    whole, parts = make_trainer(), make_trainer()
    whole.train(images=160)
    for images in (48, 49, 160):
        parts.train(images=images)

    for a, b in itertools.zip_longest(_weights(whole), _weights(parts)):
        np.testing.assert_array_equal(a, b)
