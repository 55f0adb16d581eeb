import keras
import numpy as np
import pytest
import tensorflow as tf

from components.compute import fused
from components.trainer.gan import optimizers

# By the papers' formulas: 1.0 after one update with learning rate 0.1 and gradient 1.0.
ONE_UPDATE = {
    "adadelta": 1 - 0.1 * np.sqrt(1e-7) / np.sqrt(0.05 + 1e-7),
    "adafactor": 1 - 0.1,
    "adagrad": 1 - 0.1 / np.sqrt(1.1),
    "adam": 1 - 0.1,
    "adamax": 1 - 0.1,
    "adamw": (1 - 0.1 * 0.004) - 0.1,
    "ftrl": -0.1 * (1 - (np.sqrt(1.1) - np.sqrt(0.1)) / 0.1) / np.sqrt(1.1),
    "lamb": 1 - 0.1,
    "lion": 1 - 0.1,
    "nadam": 1 - 0.1 * (1 + 0.1 * 0.48528 / (1 - 0.468 * 0.48528)),
    "rmsprop": 1 - 0.1 / np.sqrt(0.1),
    "sgd": 1 - 0.1,
}


def _ones(*shape):
    return keras.Variable(np.ones(shape, "float32"))


def test_every_optimizer_has_an_oracle():
    assert optimizers.OPTIMIZERS.names() == sorted(ONE_UPDATE)
    assert optimizers.OPTIMIZERS.get("adam") is fused.Adam


@pytest.mark.parametrize("name", ONE_UPDATE)
def test_each_updates_in_a_graph(name):
    optimizer, variable = optimizers.make(name, learning_rate=0.1), _ones(2)
    optimizer.build([variable])
    tf.function(lambda: optimizers.apply(optimizer, [tf.ones([2])], [variable]))()

    np.testing.assert_allclose(variable, [ONE_UPDATE[name]] * 2, rtol=1e-4)


TAKES = [
    ("adam", "beta_2", True),
    ("adam", "weight_decay", True),
    ("adam", "amsgrad", False),
    ("adamw", "amsgrad", True),
    ("sgd", "beta_1", False),
    ("sgd", "momentum", True),
    ("lion", "beta_2", True),
    ("rmsprop", "rho", True),
    ("sgd", "kwargs", False),
    ("sgd", "name", False),
    # The trainer does these itself.
    ("sgd", "clipnorm", False),
    ("sgd", "use_ema", False),
    ("sgd", "loss_scale_factor", False),
    ("sgd", "gradient_accumulation_steps", False),
]


@pytest.mark.parametrize(("name", "option", "expected"), TAKES)
def test_takes(name, option, expected):
    assert optimizers.takes(name, option) is expected


def test_options_reach_the_optimizer():
    # PyYAML reads 1e-8 as a string.
    adam = optimizers.make("adam", learning_rate=0.5, beta_1=0, epsilon="1e-8")
    assert float(adam.learning_rate) == 0.5
    assert (adam.beta_1, adam.beta_2, adam.epsilon) == (0.0, 0.999, 1e-8)
    assert optimizers.make("sgd", momentum=0.5, nesterov=True).nesterov is True


WRONG = [
    ("adm", {}, "unknown optimizer 'adm': did you mean 'adam'? known: adadelta, adafactor, "),
    (
        "adam",
        {"beta2": 0.9},
        "optimizer 'adam': beta2: unknown key; did you mean 'beta_2'? "
        "known: beta_1, beta_2, epsilon, learning_rate, weight_decay",
    ),
    ("sgd", {"global_clipnorm": 1.0}, "optimizer 'sgd': global_clipnorm: unknown key; known: lea"),
    ("adam", {"epsilon": "tiny"}, "optimizer 'adam': epsilon: input should be a valid number, un"),
    ("sgd", {"nesterov": 3}, "optimizer 'sgd': nesterov: input should be a valid boolean, unable "),
    ("sgd", {"momentum": 3}, "optimizer 'sgd': `momentum` must be a float between [0, 1]."),
]


@pytest.mark.parametrize(("name", "options", "message"), WRONG)
def test_wrong_options_are_named(name, options, message):
    with pytest.raises(ValueError) as error:
        optimizers.make(name, **options)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


def _adam_by_hand(value, gradients, learning_rates, betas_2, beta_1=0.5, decay=0.0):
    """Kingma & Ba 2015, algorithm 1, with the rate and beta_2 of each step."""
    first = second = 0.0
    steps = zip(gradients, learning_rates, betas_2, strict=True)
    for step, (gradient, learning_rate, beta_2) in enumerate(steps, start=1):
        value *= 1 - decay * learning_rate
        first = beta_1 * first + (1 - beta_1) * gradient
        second = beta_2 * second + (1 - beta_2) * gradient**2
        corrected = first / (1 - beta_1**step), second / (1 - beta_2**step)
        value -= learning_rate * corrected[0] / (np.sqrt(corrected[1]) + 1e-7)
    return value


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_scheduled_hyperparameters_count_at_each_update_and_survive_a_checkpoint(name, tmp_path):
    rates, betas_2 = (0.1, 0.05, 0.02), (0.9, 0.99, 0.95)
    gradients = (1.0, -3.0, 0.25)

    def start():
        optimizer, variable = optimizers.make(name, beta_1=0.5), _ones(1)
        scheduled = [optimizers.schedulable(optimizer, key) for key in ("learning_rate", "beta_2")]
        optimizer.build([variable])

        @tf.function
        def update(gradient):
            optimizers.apply(optimizer, [gradient], [variable])

        return optimizer, variable, scheduled, update

    optimizer, variable, scheduled, update = start()
    for step in range(2):
        scheduled[0].assign(rates[step])
        scheduled[1].assign(betas_2[step])
        update(tf.constant([gradients[step]]))
    saved = tf.train.Checkpoint(optimizer=optimizer, variable=variable.value)
    path = saved.write(str(tmp_path / "checkpoint"))

    optimizer, variable, scheduled, update = start()
    resumed = tf.train.Checkpoint(optimizer=optimizer, variable=variable.value)
    resumed.read(path).assert_consumed()
    assert [float(value) for value in scheduled] == pytest.approx([rates[1], betas_2[1]])
    scheduled[0].assign(rates[2])
    scheduled[1].assign(betas_2[2])
    update(tf.constant([gradients[2]]))

    decay = 0.004 if name == "adamw" else 0.0
    expected = _adam_by_hand(1.0, gradients, rates, betas_2, decay=decay)
    np.testing.assert_allclose(variable, [expected], rtol=1e-5)


def test_the_same_variable_comes_back_also_through_loss_scaling():
    optimizer = optimizers.make("adam", beta_2=0.75)
    beta_2 = optimizers.schedulable(optimizer, "beta_2")
    wrapped = optimizers.with_loss_scaling(optimizer)

    assert float(beta_2) == 0.75
    assert optimizers.schedulable(wrapped, "beta_2") is beta_2
    learning_rate = optimizers.schedulable(wrapped, "learning_rate")
    learning_rate.assign(0.25)
    assert float(wrapped.learning_rate) == 0.25


@pytest.mark.parametrize(
    ("name", "option", "message"),
    [
        ("sgd", "beta_2", "SGD: 'beta_2' cannot be scheduled, only learning_rate"),
        ("adamw", "epsilon", "AdamW: 'epsilon' cannot be scheduled, only learning_rate, beta_1"),
    ],
)
def test_what_cannot_be_scheduled_is_named(name, option, message):
    with pytest.raises(ValueError, match=message):
        optimizers.schedulable(optimizers.make(name), option)


def _gradients(seed=0):
    draw = np.random.default_rng(seed)
    return [draw.normal(size=shape).astype("float32") for shape in ((3, 4), (4,))]


@pytest.mark.filterwarnings("ignore:Gradients do not exist")
@pytest.mark.parametrize("clip_norm", [None, 0.5, 1e3])
@pytest.mark.parametrize("loss_scaling", [False, True])
def test_clips_the_norm_over_all_variables(clip_norm, loss_scaling):
    optimizer = optimizers.make("sgd", learning_rate=1.0)
    if loss_scaling:
        optimizer = optimizers.with_loss_scaling(optimizer)
    variables, gradients = [_ones(3, 4), _ones(4), _ones(2)], _gradients()
    optimizer.build(variables)
    scale = float(optimizers.scaled(optimizer, tf.constant(1.0)))
    assert scale == (2.0**15 if loss_scaling else 1.0)

    # The last variable has no gradient.
    arriving = [tf.constant(gradient * scale) for gradient in gradients] + [None]
    optimizers.apply(optimizer, arriving, variables, clip_norm)

    norm = np.sqrt(sum((gradient.astype("float64") ** 2).sum() for gradient in gradients))
    factor = 1.0 if clip_norm is None else min(1.0, clip_norm / norm)
    for variable, gradient in zip(variables, gradients, strict=False):
        np.testing.assert_allclose(variable, 1 - factor * gradient, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(variables[2], np.ones(2))


def test_rows_that_come_twice_count_once():
    optimizer, table = optimizers.make("sgd", learning_rate=1.0), _ones(3, 1)
    optimizer.build([table])
    rows = tf.IndexedSlices(tf.constant([[3.0], [1.0]]), tf.constant([2, 2]), tf.constant([3, 1]))
    optimizers.apply(optimizer, [rows], [table], clip_norm=2.0)
    # The gradient is (0, 0, 4), its norm 4.
    np.testing.assert_allclose(table, [[1], [1], [-1]])


@pytest.mark.parametrize("clip_norm", [None, 1.0])
@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
def test_a_gradient_that_is_not_finite_is_skipped_and_halves_the_scale(clip_norm, bad):
    optimizer = optimizers.with_loss_scaling(optimizers.make("adam", learning_rate=0.1))
    variables = [_ones(2), _ones(1)]
    optimizer.build(variables)

    @tf.function
    def update(gradient):
        optimizers.apply(optimizer, [gradient, tf.ones([1])], variables, clip_norm)

    update(tf.constant([1.0, bad]))
    np.testing.assert_array_equal(variables[0], [1, 1])
    np.testing.assert_array_equal(variables[1], [1])
    assert float(optimizer.dynamic_scale) == 2.0**14
    assert int(optimizer.iterations) == 0

    update(tf.constant([1.0, 1.0]) * 2.0**14)
    np.testing.assert_allclose(variables[0], [0.9, 0.9], rtol=1e-4)
    assert int(optimizer.iterations) == 1


def test_float16_overflow_lowers_the_scale_until_it_fits():
    layer = keras.layers.Dense(1, dtype="mixed_float16", use_bias=False)
    layer.build((None, 2))
    before = layer.get_weights()[0].copy()
    optimizer = optimizers.with_loss_scaling(optimizers.make("sgd", learning_rate=0.01))
    optimizer.build(layer.trainable_variables)

    @tf.function
    def update():
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.cast(layer(tf.constant([[8.0, 4.0]])), tf.float32))
            scaled = optimizers.scaled(optimizer, loss)
        gradients = tape.gradient(scaled, layer.trainable_variables)
        optimizers.apply(optimizer, gradients, layer.trainable_variables)

    # 8 * 2**15 and 8 * 2**14 and 8 * 2**13 are beyond 65504, the largest float16.
    for _ in range(3):
        update()
        np.testing.assert_array_equal(layer.get_weights()[0], before)
    assert float(optimizer.dynamic_scale) == 2.0**12
    update()
    np.testing.assert_allclose(before - layer.get_weights()[0], [[0.08], [0.04]], rtol=1e-3)


def test_loss_scaling_survives_a_checkpoint(tmp_path):
    def start():
        optimizer = optimizers.with_loss_scaling(optimizers.make("adam"))
        optimizers.schedulable(optimizer, "beta_2")
        optimizer.build([_ones(1)])
        return optimizer

    first, second = start(), start()
    first.dynamic_scale.assign(64.0)
    first.step_counter.assign(7)
    optimizers.schedulable(first, "beta_2").assign(0.25)
    path = tf.train.Checkpoint(optimizer=first).write(str(tmp_path / "checkpoint"))
    tf.train.Checkpoint(optimizer=second).read(path).assert_consumed()

    assert float(second.dynamic_scale) == 64.0
    assert int(second.step_counter) == 7
    assert float(optimizers.schedulable(second, "beta_2")) == 0.25


@pytest.mark.parametrize("loss_scaling", [False, True])
@pytest.mark.parametrize("clip_norm", [None, 0.05])
def test_two_devices_clip_scale_and_skip_like_one(two_devices, clip_norm, loss_scaling):
    rows = np.random.default_rng(0).normal(size=(8, 3)).astype("float32")
    bad = rows.copy()
    bad[-1] = np.inf  # on the second device only

    def train(strategy):
        with strategy.scope():
            variable = keras.Variable(np.ones(3, "float32"))
            optimizer = optimizers.make("adam", learning_rate=0.1, epsilon=1.0)
            if loss_scaling:
                optimizer = optimizers.with_loss_scaling(optimizer)
            beta_2 = optimizers.schedulable(optimizer, "beta_2")
            optimizer.build([variable])

        def replica(rows):
            with tf.GradientTape() as tape:
                loss = tf.reduce_sum(rows * tf.convert_to_tensor(variable)) / 8.0
                loss = optimizers.scaled(optimizer, loss)
            gradients = tape.gradient(loss, [variable.value])
            optimizers.apply(optimizer, gradients, [variable], clip_norm)

        @tf.function
        def step(rows):
            strategy.run(replica, args=(rows,))

        share = 8 // strategy.num_replicas_in_sync

        def shared(batch):
            return strategy.experimental_distribute_values_from_function(
                lambda context: tf.constant(
                    batch[context.replica_id_in_sync_group * share :][:share]
                )
            )

        for batch, value in ((rows, 0.9), (bad, 0.8), (rows, 0.7), (rows, 0.95)):
            if loss_scaling or batch is rows:
                beta_2.assign(value)
                step(shared(batch))
        return np.asarray(variable), float(optimizers.scaled(optimizer, tf.constant(1.0)))

    one, two = train(tf.distribute.get_strategy()), train(two_devices)
    np.testing.assert_allclose(one[0], two[0], rtol=1e-5)
    assert one[1] == two[1] == (2.0**14 if loss_scaling else 1.0)
    assert np.isfinite(one[0]).all() and (one[0] != 1).all()
