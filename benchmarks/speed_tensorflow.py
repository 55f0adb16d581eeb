"""TensorFlow's turns in `speed.py`: our trainer, and a tutorial's loop.

Without an argument, each precision gets a process, as cores are shared for a whole process.
"""

import json
import sys
import time
from typing import Any

import numpy as np
from speed_turns import PRECISIONS, Loop, Worker, serve, timed


def main() -> None:
    if not sys.argv[1:]:
        route()
        return
    if sys.argv[1] == "bfloat16":
        # As networks in bfloat16 and `tfx-gan run` do, before TensorFlow computes anything.
        from components.compute import hardware

        hardware.share_cores()
    serve(subject)


def route() -> None:
    """Passes each question on to the process of its precision."""
    workers = {each: Worker([sys.executable, *sys.argv, each]) for each in PRECISIONS}
    for line in sys.stdin:
        question = json.loads(line)
        print(f"={json.dumps(workers[question['precision']].ask(question))}", flush=True)
    for worker in workers.values():
        worker.end()


def subject(question: dict) -> str | Loop:
    import tensorflow as tf

    if "version" in question:
        return f"TensorFlow {'.'.join(tf.__version__.split('.')[:2])}"
    width, batch, shape = question["width"], question["batch"], tuple(question["shape"])
    data = np.random.default_rng(0).integers(0, 256, (4096, *shape), dtype=np.uint8)
    if question["loop"] == "tutorial":
        return _tutorial(data, width, batch)
    from components.trainer import GANTrainer, networks
    from components.trainer.callbacks.callback import Callback

    class Clock(Callback):
        def __init__(self) -> None:
            self.ends: list[float] = []

        def step_end(self, trainer: GANTrainer, step: Any) -> None:  # noqa: ANN401
            self.ends.append(time.perf_counter())

    precision = {"float32": "float32", "bfloat16": "mixed_bfloat16"}[question["precision"]]
    options, network, clock = {"width": width, "dtype": precision}, question["network"], Clock()
    of_slopes = any(each["name"] == "gradient_penalty" for each in question["penalties"])
    without = {"batch_norm": False} if of_slopes else {}
    trainer = GANTrainer(
        networks.resolve(network, networks.GENERATORS)(100, shape, **options),
        networks.resolve(network, networks.DISCRIMINATORS)(shape, seed=1, **without, **options),
        data,
        batch_size=batch,
        penalties=question["penalties"],
        loss="relativistic_pairing" if network == "r3gan" else "non_saturating",
        quality={"every_images": None},
        callbacks=[clock],
    )

    def loop(steps: int) -> float:
        clock.ends.clear()
        # The first step's end is the start: what `train` sets up is not a step.
        trainer.train(trainer.images_seen + (steps + 1) * batch)
        return (clock.ends[-1] - clock.ends[0]) / steps

    return loop


def _tutorial(data: np.ndarray, width: int, batch: int) -> Loop:
    """The DCGAN loop of TensorFlow's tutorial: Keras's layers and optimizers, two tapes."""
    import keras
    import tensorflow as tf

    layers = keras.layers

    def upscale(filters: int, strides: int, **options: Any) -> keras.layers.Layer:  # noqa: ANN401
        return layers.Conv2DTranspose(
            filters, 5, strides=strides, padding="same", use_bias=False, **options
        )

    generator = keras.Sequential(
        [
            layers.Dense(49 * 4 * width, use_bias=False),
            layers.BatchNormalization(),
            layers.LeakyReLU(),
            layers.Reshape((7, 7, 4 * width)),
            upscale(2 * width, 1),
            layers.BatchNormalization(),
            layers.LeakyReLU(),
            upscale(width, 2),
            layers.BatchNormalization(),
            layers.LeakyReLU(),
            upscale(1, 2, activation="tanh"),
        ]
    )
    discriminator = keras.Sequential(
        [
            layers.Conv2D(width, 5, strides=2, padding="same"),
            layers.LeakyReLU(),
            layers.Conv2D(2 * width, 5, strides=2, padding="same"),
            layers.BatchNormalization(),
            layers.LeakyReLU(),
            layers.Flatten(),
            layers.Dense(1),
        ]
    )
    optimizers = [keras.optimizers.Adam(2e-4, 0.5) for _ in range(2)]
    dataset = tf.data.Dataset.from_tensor_slices((data / 127.5 - 1).astype(np.float32))
    batches = iter(dataset.shuffle(len(data)).repeat().batch(batch).prefetch(2))
    generator(tf.zeros([2, 100])), discriminator(tf.zeros([2, 28, 28, 1]))
    for optimizer, network in zip(optimizers, (generator, discriminator), strict=True):
        optimizer.build(network.trainable_variables)

    @tf.function
    def step(real: tf.Tensor) -> None:
        latents = tf.random.normal([batch, 100])
        with tf.GradientTape() as first, tf.GradientTape() as second:
            fake = generator(latents, training=True)
            of_real, of_fake = (
                discriminator(real, training=True),
                discriminator(fake, training=True),
            )
            generator_loss = tf.reduce_mean(tf.nn.softplus(-of_fake))
            discriminator_loss = tf.reduce_mean(tf.nn.softplus(-of_real) + tf.nn.softplus(of_fake))
        for optimizer, network, tape, loss in zip(
            optimizers,
            (generator, discriminator),
            (first, second),
            (generator_loss, discriminator_loss),
            strict=True,
        ):
            variables = network.trainable_variables
            optimizer.apply(tape.gradient(loss, variables), variables)

    return timed(lambda: step(next(batches)))


if __name__ == "__main__":
    main()
