import gc
import itertools
import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from components.common.config import validate
from components.compute import hardware
from components.trainer import GANTrainer
from components.trainer.callbacks import callback, quality
from components.trainer.callbacks.collapse import CollapseError
from components.trainer.callbacks.quality import identity
from components.trainer.config import TrainerConfig
from components.trainer.data.batches import step_batches
from components.trainer.data.encoding import Encoding
from components.trainer.gan import losses
from components.trainer.networks import DISCRIMINATORS


def _weights(trainer):
    networks = (trainer.generator, trainer.discriminator, trainer.ema_generator)
    return [weight for network in networks for weight in network.get_weights()]


def _assert_equal(ours, theirs, **tolerance):
    for a, b in itertools.zip_longest(_weights(ours), _weights(theirs)):
        np.testing.assert_allclose(a, b, **(tolerance or {"rtol": 0, "atol": 0}))


def test_from_a_notebook(digits, tmp_path):
    layers = keras.layers
    generator = keras.Sequential([layers.Dense(64, activation="tanh"), layers.Reshape((8, 8, 1))])
    discriminator = keras.Sequential([layers.Flatten(), layers.Dense(1)])
    dataset = tf.data.Dataset.from_tensor_slices(digits)
    trainer = GANTrainer(
        generator, discriminator, loss="hinge", latent_dim=10, dataset=dataset, batch_size=32
    )
    line = trainer.train(images=320)
    scores = trainer.evaluate(digits[:100])
    trainer.export(str(tmp_path / "exported"))

    assert line["fid"] > 0
    assert set(scores) == {
        "discriminator_loss",
        "generator_loss",
        "confidence",
        "fid",
        "kid",
        "coverage",
        "recall",
        "diversity",
    }
    assert trainer.sample(64, seed=7).shape == (64, 8, 8, 1)
    assert (tmp_path / "exported" / "saved_model.pb").exists()


def test_the_discriminator_learns_to_tell_noise_from_digits(make_trainer, digits):
    trainer = make_trainer(generator_optimizer=keras.optimizers.SGD(0.0))
    trainer.train(images=16 * 150)
    scores = trainer.evaluate(digits[:256])

    assert scores["confidence"] > 0.95
    assert scores["discriminator_loss"] < 0.7


SGD = {"name": "sgd", "learning_rate": 0.05}


@pytest.mark.parametrize("name", ["non_saturating", "relativistic_pairing"])
def test_one_step_is_the_plain_alternating_update(make_trainer, name):
    """The shared forward pass against two tapes, two passes and Keras's own optimizers."""
    trainer = make_trainer(loss=name, generator_optimizer=SGD, discriminator_optimizer=SGD)
    plain = make_trainer()
    inputs = next(
        iter(step_batches(plain.source, batch_size=16, discriminator_steps=1, latent_dim=8, seed=0))
    )
    real = tf.cast(inputs["real"][:, 0], tf.float32) / 127.5 - 1.0
    latents = inputs["latents"][:, 0]
    loss = losses.get(name)
    generator, discriminator = plain.generator, plain.discriminator

    with tf.GradientTape() as tape:
        value = loss.discriminator(discriminator(real), discriminator(generator(latents)))
    gradients = tape.gradient(value, discriminator.trainable_variables)
    keras.optimizers.SGD(0.05).apply(gradients, discriminator.trainable_variables)
    with tf.GradientTape() as tape:
        value = loss.generator(discriminator(real), discriminator(generator(latents)))
    gradients = tape.gradient(value, generator.trainable_variables)
    keras.optimizers.SGD(0.05).apply(gradients, generator.trainable_variables)

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


def test_a_batch_in_parts_is_the_whole_batch(make_trainer):
    whole = make_trainer(generator_optimizer=SGD, discriminator_optimizer=SGD)
    parts = make_trainer(
        generator_optimizer=SGD, discriminator_optimizer=SGD, gradient_accumulation=4
    )
    lines = [trainer.train(images=16 * 5) for trainer in (whole, parts)]

    _assert_equal(whole, parts, rtol=1e-4, atol=1e-5)
    assert lines[0]["generator_loss"] == pytest.approx(lines[1]["generator_loss"], rel=1e-4)


def test_a_lazy_penalty_is_computed_every_interval_with_its_weight_multiplied(
    make_trainer, tmp_path
):
    """With a frozen generator and SGD: every second step at twice the weight."""
    still = {"name": "sgd", "learning_rate": 1e-12}
    trainer = make_trainer(
        penalties=[{"name": "r1", "weight": 3.0, "interval": 2}],
        generator_optimizer=still,
        discriminator_optimizer={"name": "sgd", "learning_rate": 1e-3},
        log_every_images=16,
    )
    plain = make_trainer(
        penalties=[{"name": "r1", "weight": 6.0}],
        generator_optimizer=still,
        discriminator_optimizer={"name": "sgd", "learning_rate": 1e-3},
    )
    for one in (trainer, plain):
        one.train(images=16)
    _assert_equal(trainer, plain)

    trainer.train(images=64, folder=str(tmp_path))
    lines = (tmp_path / "log" / "log.jsonl").read_text().splitlines()
    assert ["r1" in json.loads(line) for line in lines] == [False, True, False]


@pytest.mark.parametrize(
    ("dtype", "precision", "passes"),
    [
        # Reals and fakes for each player's update (the generator's loss needs no reals): the
        # slopes are those of the same passes, unless a copy in float32 computes them.
        ("float32", "float32", 3),
        ("mixed_bfloat16", "networks", 3),
        ("mixed_bfloat16", "float32", 5),
    ],
)
def test_r1_and_r2_differentiate_the_logits_of_the_loss(
    make_trainer, monkeypatch, dtype, precision, passes
):
    called = []
    network = DISCRIMINATORS.get("mlp")
    call = network.call

    def counting(self, *args, **kwargs):
        called.append(self.compute_dtype)
        return call(self, *args, **kwargs)

    both = [{"name": name, "precision": precision} for name in ("r1", "r2")]
    trainer = make_trainer(dtype=dtype, penalties=both)
    monkeypatch.setattr(network, "call", counting)
    line = trainer.train(images=16)

    assert len(called) == passes, called
    assert called.count("float32") == (2 if passes == 5 else passes * (dtype == "float32"))
    assert line["r1"] > 0 and line["r2"] > 0


@pytest.mark.parametrize(
    ("networks", "has", "expected"),
    [
        ({"generator": "dcgan", "discriminator": "dcgan"}, True, "mixed_bfloat16"),
        ({"generator": "dcgan", "discriminator": "dcgan"}, False, "float32"),
        ({"generator": "mlp", "discriminator": "mlp"}, True, "float32"),
        ({"generator": "dcgan", "discriminator": "mlp"}, True, "float32"),
        ({"generator": "r3gan", "discriminator": "r3gan"}, True, "float32"),
        # Of your own networks nothing is known.
        ({"generator": "users:make", "discriminator": "dcgan"}, True, "float32"),
    ],
)
def test_auto_takes_what_is_faster(monkeypatch, networks, has, expected):
    monkeypatch.setattr(hardware, "has_bfloat16", lambda: has)
    config = TrainerConfig(images=1, networks=networks)

    assert config.precision == "auto"
    assert config.settled().precision == expected
    chosen = config.model_copy(update={"precision": "mixed_float16"})
    assert chosen.settled() == chosen


@pytest.mark.parametrize("name", ["r1", "r2"])
def test_in_bfloat16_a_penalty_is_about_that_in_float32(make_trainer, name):
    values = {
        precision: make_trainer(
            dtype="mixed_bfloat16", penalties=[{"name": name, "precision": precision}]
        ).train(images=16)[name]
        for precision in ("float32", "networks")
    }
    assert values["networks"] == pytest.approx(values["float32"], rel=0.02)
    assert values["networks"] != values["float32"]


def test_weight_clipping_bounds_the_discriminator(make_trainer):
    trainer = make_trainer(loss="wasserstein", weight_clip=0.01)
    trainer.train(images=16)

    largest = max(np.abs(w).max() for w in trainer.discriminator.get_weights())
    assert largest <= 0.01
    assert max(np.abs(w).max() for w in trainer.generator.get_weights()) > 0.01


def test_schedules_move_with_images_seen(make_trainer, tmp_path):
    rates = {"start": 1e-3, "end": 1e-4, "shape": "linear"}
    trainer = make_trainer(
        generator_optimizer={"learning_rate": rates, "beta_2": {"start": 0.9, "end": 0.99}},
        penalties=[{"name": "r1", "weight": {"start": 1.0, "end": 0.0, "images": 64}}],
        ema_half_life_images={"start": 0, "end": 100, "after_images": 32},
        log_every_images=16,
    )
    trainer.train(images=160, folder=str(tmp_path))

    lines = [json.loads(line) for line in (tmp_path / "log" / "log.jsonl").read_text().splitlines()]
    found = [line["generator_learning_rate"] for line in lines]
    # A line is written after its step, and holds the values that the step used.
    expected = [1e-3 - 9e-4 * step * 16 / 160 for step in range(10)]
    assert found == pytest.approx(expected)
    assert [line["r1_weight"] for line in lines][4:] == [0.0] * 6
    assert lines[0]["generator_beta_2"] == 0.9
    assert lines[-1]["generator_beta_2"] > 0.98
    assert float(trainer.generator_optimizer.beta_2) == pytest.approx(lines[-1]["generator_beta_2"])


@pytest.mark.parametrize("half_life", [0, 16, 160])
def test_the_average_halves_its_distance_each_half_life(make_trainer, half_life):
    trainer = make_trainer(ema_half_life_images=half_life)
    start = trainer.generator.get_weights()[0]
    trainer.train(images=16)
    now = trainer.generator.get_weights()[0]

    decay = 0.5 ** (16 / half_life) if half_life else 0.0
    expected = decay * start + (1 - decay) * now
    np.testing.assert_allclose(trainer.ema_generator.get_weights()[0], expected, atol=1e-6)


def test_the_ramp_up_bounds_the_half_life_by_the_images_seen(make_trainer):
    trainer = make_trainer(ema_half_life_images=10_000, ema_ramp_up=0.5)
    trainer.train(images=16)
    np.testing.assert_array_equal(
        trainer.ema_generator.get_weights()[0], trainer.generator.get_weights()[0]
    )
    trainer.train(images=32)
    before = trainer.ema_generator.get_weights()[0]
    trainer.train(images=48)
    # Before the third step 32 images were seen: the half-life is 16, one step.
    expected = 0.5 * before + 0.5 * trainer.generator.get_weights()[0]
    np.testing.assert_allclose(trainer.ema_generator.get_weights()[0], expected, atol=1e-6)


def test_adaptive_augmentation_answers_to_the_discriminator(make_trainer):
    adaptive = {"target": 0.6, "images": 16 * 20, "every_steps": 2}
    trainer = make_trainer(
        augmentation={"adaptive": adaptive}, generator_optimizer=keras.optimizers.SGD(0.0)
    )
    # The generator is frozen, so the discriminator soon recognises all real digits.
    line = trainer.train(images=16 * 60)

    assert line["real_sign"] > 0.6
    assert 0.0 < line["augmentation_probability"] <= 1.0


def test_samples_depend_on_the_seed_alone(make_trainer):
    trainer = make_trainer()
    first, again, other = trainer.sample(5, 7), trainer.sample(5, 7), trainer.sample(5, 8)

    assert first.shape == (5, 8, 8, 1)
    assert first.dtype == np.uint8
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_vectors_train_through_the_same_code(make_trainer):
    columns = np.random.default_rng(0).uniform(-1, 1, (100, 5)).astype("float32")
    trainer = make_trainer(dataset=columns, quality={"every_images": 16, "samples": 50})
    line = trainer.train(images=32)

    samples = trainer.sample(3)
    assert (samples.shape, samples.dtype) == ((3, 5), np.float32)
    assert line["fid"] > 0


def test_encoded_rows_leave_in_the_units_of_the_data(make_trainer, wine, encoding, tmp_path):
    shown = []

    def extract(rows):
        shown.append(rows)
        return identity(rows)

    options = {"encoding": encoding, "quality": {"every_images": 32, "samples": 50}}
    unit = encoding.encode(wine)
    trainer = make_trainer(dataset=unit, extract=extract, **options)
    trainer.train(images=64, folder=str(tmp_path))
    trainer.evaluate(unit[:60])
    # The data themselves come first: the median wine has a proline of some 670.
    assert np.median(shown[0][:, -1]) == pytest.approx(np.median(wine[:, -1]), rel=0.2)
    for made in (trainer.sample(50), *shown):
        assert made.dtype == np.float32
        assert (made >= wine.min(axis=0)).all()
        assert (made <= wine.max(axis=0)).all()
        decimals = Encoding.learn(made, encoding.columns).decimals
        assert np.less_equal(decimals, encoding.decimals).all()
    assert not (tmp_path / "log" / "grids").exists()

    other = Encoding.learn(2 * wine, encoding.columns)
    trainer = make_trainer(dataset=unit, **{**options, "encoding": other})
    with pytest.raises(ValueError, match=r"another configuration \(encoding\.0\.values: "):
        trainer.train(images=64, folder=str(tmp_path))


def test_an_encoding_of_another_width_is_refused(make_trainer, digits, encoding):
    with pytest.raises(ValueError, match=r"encoding: makes vectors \[13\], .* \[8, 8, 1\]"):
        make_trainer(dataset=digits, encoding=encoding)


def test_unscaled_units_outweigh_no_column_where_there_is_no_extractor(wine, encoding):
    features = quality.encoded(encoding)(wine)["features"]
    assert np.ptp(features, axis=0) == pytest.approx(np.full(13, 2), abs=0.05)


def test_the_best_generator_is_sampled_and_exported(make_trainer):
    # After 1600 images it can only get worse.
    rate = {"start": 2e-4, "end": 50.0, "images": 1, "after_images": 16 * 100}
    trainer = make_trainer(
        quality={"every_images": 160, "samples": 200}, generator_optimizer={"learning_rate": rate}
    )
    trainer.train(images=16 * 100)
    best = float(trainer.selection.score), int(trainer.selection.images)
    trainer.train(images=16 * 140)

    assert (float(trainer.selection.score), int(trainer.selection.images)) == best
    assert trainer.chosen_generator is trainer.best_generator
    ours, averaged = trainer.best_generator.get_weights(), trainer.ema_generator.get_weights()
    assert any((a != b).any() for a, b in zip(ours, averaged, strict=True))


def _brightness(images):
    """Knows the two classes: bright images are of class 1."""
    features = np.reshape(images, (len(images), -1)).astype(np.float64)
    return {"features": features, "labels": (features.mean(axis=1) > 127).astype(np.int64)}


class Planted(keras.Model):
    """Makes noise around black or white: of the other class at first, later of the class asked for.

    At first the noise is that of the data, so the other scores prefer the wrong classes.
    """

    def __init__(self):
        super().__init__()
        self.swapped = self.add_weight(shape=(), initializer="ones", trainable=False)
        self.scale = self.add_weight(shape=(), initializer="ones")

    def get_config(self):
        return {}

    def call(self, inputs, training=None):
        latents, labels = inputs
        asked = tf.cast(tf.reshape(labels, [-1, 1]), latents.dtype)
        bright = asked + self.swapped * (1 - 2 * asked)
        noise = tf.tanh(latents) * (0.05 + 0.15 * (1 - self.swapped)) * self.scale
        return tf.reshape((2 * bright - 1) * 0.7 + noise, [-1, 4, 4, 1])


class _Swap(callback.Callback):
    def step_end(self, trainer, step):
        # After the measurement of 64 images.
        swapped = 1.0 if step.images < 64 else 0.0
        for generator in (trainer.generator, trainer.ema_generator):
            generator.swapped.assign(swapped)


def test_a_generator_of_the_classes_asked_for_beats_a_better_one_of_others(tmp_path):
    rng = np.random.default_rng(0)
    labels = np.arange(200) % 2
    noise = 0.05 * np.tanh(rng.normal(size=(200, 4, 4, 1)))
    images = ((2 * labels - 1).reshape(-1, 1, 1, 1) * 0.7 + noise + 1) * 127.5
    trainer = GANTrainer(
        Planted(),
        DISCRIMINATORS.get("mlp")((4, 4, 1), seed=1, num_classes=2, conditioning="projection"),
        (images.round().astype(np.uint8), labels),
        extract=_brightness,
        callbacks=[_Swap()],
        latent_dim=16,
        batch_size=16,
        conditioning={},
        generator_optimizer=keras.optimizers.SGD(1e-12),
        quality={"every_images": 64, "samples": 100},
        watch={"grace_images": 0},
    )
    trainer.train(images=128, folder=str(tmp_path))

    first, second = map(json.loads, (tmp_path / "log/log.jsonl").read_text().splitlines())
    assert (first["class_accuracy"], second["class_accuracy"]) == (0, 1)
    assert first["fid"] < second["fid"]
    assert int(trainer.selection.images) == 128
    (warning,) = (
        json.loads(line)["warning"]
        for line in (tmp_path / "log/warnings.jsonl").read_text().splitlines()
        if "class_accuracy" in line
    )
    assert warning.startswith("64 images: class_accuracy 0:")
    assert trainer.evaluate((images.round().astype(np.uint8), labels))["class_accuracy"] == 1


def test_training_stops_when_it_gets_no_better(make_trainer):
    trainer = make_trainer(
        generator_optimizer=keras.optimizers.SGD(0.0),
        quality={"every_images": 32, "samples": 50, "patience": 3},
    )
    trainer.train(images=16 * 1000)

    # The first measurement is the best, and three are as good.
    assert trainer.images_seen == 32 * 4


COLLAPSING = {
    # A generator that can only make grey.
    "generator_optimizer": {"name": "sgd", "learning_rate": 1e-12},
    "quality": {"every_images": 64, "samples": 200},
    "watch": {"grace_images": 128, "rollback": True, "max_rollbacks": 2},
    "checkpoint_every_images": 64,
}


def test_a_collapse_warns_rolls_back_with_lower_rates_and_ends(make_trainer, tmp_path, caplog):
    trainer = make_trainer(**COLLAPSING)
    for weight in (trainer.generator, trainer.ema_generator):
        weight.set_weights([np.zeros_like(values) for values in weight.get_weights()])
    with pytest.raises(CollapseError, match="collapsed again at step 8, after 2 rollbacks"):
        trainer.train(images=16 * 100, folder=str(tmp_path))

    told = caplog.text
    assert "coverage" in told
    assert "diversity 0 is below watch.min_diversity 0.3" in told
    assert "rolled back to step 4" in told
    assert float(trainer.learning_rate_factor) == 0.25
    assert int(trainer.step) == 8
    rate = float(trainer.discriminator_optimizer.learning_rate)
    assert rate == pytest.approx(0.25 * 2e-4)


def test_a_saturated_discriminator_is_only_warned_of(make_trainer, caplog):
    trainer = make_trainer(
        generator_optimizer=keras.optimizers.SGD(0.0),
        discriminator_optimizer={"learning_rate": 0.01},
        quality={"every_images": 1600, "samples": 50},
        watch={"grace_images": 0, "min_coverage": 0, "min_diversity": 0, "max_confidence": 0.99},
    )
    trainer.train(images=3200)
    assert "it is saturated" in caplog.text
    assert trainer.images_seen == 3200


def test_classes_follow_the_label(make_trainer, digits, labels):
    """A trained conditional generator: its ones look like ones, its zeros like zeros."""
    few = labels < 2
    classes = {"num_classes": 2}
    trainer = make_trainer(
        dataset=(digits[few], labels[few]),
        generator={**classes, "conditioning": "concatenation"},
        discriminator={**classes, "conditioning": "projection"},
        conditioning={"generator": "concatenation", "discriminator": "projection"},
        generator_optimizer={"learning_rate": 2e-3},
        discriminator_optimizer={"learning_rate": 2e-3},
        batch_size=32,
        ema_half_life_images=1000,
    )
    trainer.train(images=32 * 600)
    centres = [digits[labels == label].mean(axis=0) for label in (0, 1)]
    for label in (0, 1):
        made = trainer.sample(100, seed=1, label=label).astype(float)
        distances = [np.linalg.norm((made - c).reshape(100, -1), axis=1) for c in centres]
        right = np.mean(distances[label] < distances[1 - label])
        assert right > 0.9, f"{right:.0%} of the samples of class {label}"
    with pytest.raises(ValueError, match="label: 2, the generator has classes 0-1"):
        trainer.sample(1, label=2)


def test_from_config(digits, labels):
    config = TrainerConfig(
        networks={"generator": "mlp", "discriminator": "dcgan", "width": 8},
        images=100,
        batch_size=20,
        latent_dim=4,
        generator_optimizer={"learning_rate": 0.003, "beta_1": 0.1},
        discriminator_optimizer={"name": "rmsprop"},
        conditioning={},
    )
    trainer = GANTrainer.from_config(config, (digits, labels))

    assert float(trainer.generator_optimizer.learning_rate) == pytest.approx(0.003)
    assert trainer.generator_optimizer.beta_1 == 0.1
    assert float(trainer.discriminator_optimizer.learning_rate) == pytest.approx(2e-4)
    assert type(trainer.discriminator_optimizer).__name__ == "RMSprop"
    assert type(trainer.discriminator).__name__ == "DCGANDiscriminator"
    assert trainer.num_classes == 10


WRONG = {
    "unknown": ({"losss": "hinge"}, "losss: unknown key; did you mean 'loss'"),
    "batch": ({"batch_size": 2000}, "batch_size: 2000 is more than the 1797 data"),
    "batch of one": ({"batch_size": 1}, "batch_size: .* greater than or equal to 2, found 1"),
    "loss": ({"loss": "hinges"}, "loss: unknown loss 'hinges': did you mean 'hinge'"),
    "smoothing": ({"loss": "hinge", "label_smoothing": 0.1}, "loss 'hinge' has no labels"),
    "penalty": ({"penalties": [{"name": "r3"}]}, "penalties.0.name: unknown penalty 'r3'"),
    "penalty option": (
        {"penalties": [{"name": "r1", "options": {"target": 1}}]},
        "penalty 'r1': target: unknown key",
    ),
    "weight": (
        {"penalties": [{"name": "r1", "weight": -1}]},
        "weight: .*-1.0, expected at least 0",
    ),
    "half": (
        {"dtype": "mixed_float16", "penalties": [{"name": "r1", "precision": "networks"}]},
        "penalties: r1: precision networks would be float16.*; use float32",
    ),
    "twice": ({"penalties": [{"name": "r1"}, {"name": "r1"}]}, "penalties: r1 .* 2 times"),
    "rate": ({"generator_optimizer": {"learning_rate": 0}}, "learning_rate: .* greater than 0"),
    "schedule": (
        {"generator_optimizer": {"learning_rate": {"start": 1e-3}}},
        "generator_optimizer.learning_rate.end: missing",
    ),
    "optimizer": (
        {"generator_optimizer": {"name": "adamm"}},
        "generator_optimizer.name: unknown optimizer 'adamm': did you mean 'adam'",
    ),
    "optimizer option": (
        {"generator_optimizer": {"options": {"momentum": 0.9}}},
        "optimizer 'adam': momentum: unknown key",
    ),
    "parts": ({"gradient_accumulation": 3}, "gradient_accumulation: 3 does not divide .* 16"),
    "augmentation": (
        {"augmentation": {"transforms": ["colour"]}},
        "transforms.0: unknown augmentation 'colour': did you mean 'color'",
    ),
    "adaptive": (
        {"loss": "wasserstein", "augmentation": {"adaptive": {}}},
        "augmentation.adaptive: .*loss 'wasserstein'",
    ),
    "no labels": ({"conditioning": {}}, "conditioning: the dataset has no labels"),
    "patience": ({"quality": {"every_images": None, "patience": 2}}, "patience: 2 counts"),
    "rollback": (
        {"watch": {"rollback": True}},
        "watch.rollback: needs measurements; set quality.every_images",
    ),
}


@pytest.mark.parametrize(("options", "message"), WRONG.values(), ids=WRONG)
def test_wrong_options_are_named_before_the_first_step(make_trainer, options, message):
    with pytest.raises(ValueError, match=message) as caught:
        make_trainer(**options).train(images=16)
    assert "\n" not in str(caught.value)


def test_augmentation_is_for_images(make_trainer):
    columns = np.zeros((100, 5), "float32")
    with pytest.raises(ValueError, match=r"augmentation: data have shape \[5\], expected images"):
        make_trainer(dataset=columns, augmentation={})


def test_networks_that_do_not_fit_are_named(digits, labels):
    layers = keras.layers
    good = keras.Sequential([layers.Dense(64), layers.Reshape((8, 8, 1))])
    flat = keras.Sequential([layers.Dense(10)])
    narrow = keras.Sequential([keras.Input((3,)), layers.Dense(10)])
    one = keras.Sequential([layers.Flatten(), layers.Dense(1)])
    mixing = keras.Sequential([layers.Lambda(lambda x: tf.reshape(x, [-1]))])

    def make(generator, discriminator, **options):
        GANTrainer(generator, discriminator, (digits, labels), latent_dim=4, **options)

    with pytest.raises(ValueError, match=r"generator: makes data of shape \[10\].* \[8, 8, 1\]"):
        make(flat, one)
    with pytest.raises(ValueError, match=r"networks.generator: does not take latents \[n, 4\]"):
        make(narrow, one)
    with pytest.raises(ValueError, match="networks.discriminator: .*logits of shape .* for 2 data"):
        make(good, mixing)
    with pytest.raises(ValueError, match="networks.discriminator: does not take data and labels"):
        make(good, one, conditioning={})


@pytest.mark.parametrize("player", ["generator", "discriminator"])
def test_what_is_not_finite_ends_training_with_its_name(make_trainer, tmp_path, player):
    trainer = make_trainer(checkpoint_every_images=32)
    trainer.train(images=64, folder=str(tmp_path))
    network = getattr(trainer, player)
    network.set_weights([np.full_like(w, np.nan) for w in network.get_weights()])

    with pytest.raises(FloatingPointError) as caught:
        trainer.train(images=16 * 50, folder=str(tmp_path))
    message = str(caught.value)
    assert f"{player}'s weights are not finite" in message
    assert "_loss is nan" in message
    assert "at step 5 (80 images)" in message
    assert f"last good checkpoint: {tmp_path}/checkpoints/ckpt-4" in message


def test_xla_learns_the_same(make_trainer):
    plain, compiled = make_trainer(), make_trainer(xla=True)
    for trainer in (plain, compiled):
        trainer.train(images=16 * 4)
    _assert_equal(plain, compiled, rtol=1e-3, atol=1e-4)


def test_a_batch_that_devices_cannot_share_is_refused(make_trainer):
    class Three:
        num_replicas_in_sync, cluster_resolver = 3, None

    with pytest.raises(ValueError, match="batch_size: 16 is not a multiple of the 3 devices"):
        make_trainer(strategy=Three())


def test_packs_that_do_not_fill_a_batch_are_refused(make_trainer, digits):
    with pytest.raises(ValueError, match="networks.pac: 3 does not divide the 16 data of a device"):
        make_trainer(discriminator={"pac": 3})
    trainer = make_trainer(discriminator={"pac": 4})
    trainer.train(images=32)
    # 18 are packs of four and two more.
    assert np.isfinite(list(trainer.evaluate(digits[:18]).values())).all()
    with pytest.raises(ValueError, match="networks.pac: 5 does not divide the batch of 16"):
        validate(TrainerConfig, {"images": 1, "batch_size": 16, "networks": {"pac": 5}})


def test_packs_have_no_scores_of_samples(make_trainer):
    message = r"export_scores: true needs a logit of each datum, but networks\.pac: 4 has one of"
    with pytest.raises(ValueError, match=message):
        make_trainer(discriminator={"pac": 4}, export_scores=True)
    with pytest.raises(ValueError, match=message):
        validate(TrainerConfig, {"images": 1, "networks": {"pac": 4}, "export_scores": True})


def test_training_goes_on_where_it_stopped(make_trainer):
    whole, parts = make_trainer(), make_trainer()
    whole.train(images=160)
    for images in (48, 49, 160):
        parts.train(images=images)
    _assert_equal(whole, parts)


class _Counts(callback.Callback):
    """Live tensors, and all objects that Python's collector tracks, at some steps."""

    def __init__(self, steps):
        self.steps = steps
        self.tensors, self.objects = [], []

    def step_end(self, trainer, step):
        if step.step in self.steps:
            gc.collect()
            # By type: isinstance would run the __class__ of proxies.
            kinds = [type(each) for each in gc.get_objects()]
            # The progress bar's estimate of the speed keeps the last 1000 steps.
            self.objects.append(sum(kind.__name__ != "ProgressSample" for kind in kinds))
            self.tensors.append(sum(issubclass(kind, tf.Tensor) for kind in kinds))


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, id="never measured"),
        pytest.param({"quality": {"every_images": 320, "samples": 50}}, id="measured"),
        pytest.param(
            {"penalties": [{"name": "r1", "interval": 4}, {"name": "lecam", "interval": 3}]},
            id="lazy penalties",
        ),
        pytest.param(
            {"augmentation": {"transforms": ["translation"], "adaptive": {}}}, id="adaptive"
        ),
        pytest.param({"gradient_accumulation": 2}, id="accumulation"),
        pytest.param({"discriminator_steps": 2, "conditioning": {}}, id="classes"),
    ],
)
def test_nothing_grows_with_the_steps(make_trainer, digits, labels, tmp_path, options):
    # In the same phase of the log, which keeps the terms since its last line.
    counts = _Counts([62, 162, 262])
    of_classes = {"num_classes": 10}
    classes = "conditioning" in options
    trainer = make_trainer(
        dataset=(digits, labels) if classes else digits,
        generator={**of_classes, "conditioning": "concatenation"} if classes else {},
        discriminator={**of_classes, "conditioning": "projection"} if classes else {},
        callbacks=[counts],
        log_every_images=16 * 20,
        **options,
    )
    # On, because the last step saves a checkpoint.
    trainer.train(images=16 * 270, folder=str(tmp_path))

    # A leak of one object a step would add 100 each time; a cache is filled once.
    for found, few in ((counts.tensors, 5), (counts.objects, 50)):
        assert min(np.diff(found)) <= few, found
