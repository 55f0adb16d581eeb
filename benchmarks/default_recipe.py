"""Compares the default recipe with a plain DCGAN, trained for the same time on the same data.

    python benchmarks/default_recipe.py [--seconds 300] [--seeds 3] [--source DIR]

Both train on the full Fashion-MNIST, one after the other on the same machine; tracing and compiling
are included. The plain DCGAN is that of the tutorials: Keras layers, batch 64, Adam 2e-4 with
beta_1 0.5, float32, no classes, the generator run twice per step, no averaging. There is no model
selection: each trains until its time is up, and is then scored with 10 000 samples against the
10 000 test images, on the features of a classifier trained for this comparison only.
"""

import json
import time
from collections.abc import Callable

import click
import fashion_mnist
import keras
import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.table import Table

from components.data import examples
from components.trainer import GANTrainer
from pipeline import config

_RECIPE = "data/fashion_mnist/recipe.yaml"
_SAMPLES = 10_000
_CHUNK = 200

# A sampler of uint8 images, and the number of images seen.
Trained = tuple[Callable[[int, int], np.ndarray], int]


@click.command()
@click.option("--seconds", default=300.0, show_default=True, help="Training time of each.")
@click.option("--seeds", default=3, show_default=True, help="Trainings of each.")
@click.option("--source", help="Folder with the four IDX files; default: the Debian package.")
@click.option("--out", type=click.Path(dir_okay=False), help="JSON to write.")
def main(seconds: float, seeds: int, source: str | None, out: str | None) -> None:
    """Trains both, prints the table."""
    data = fashion_mnist.load(source)
    yardstick = fashion_mnist.Yardstick(data)
    click.echo(f"classifier for the comparison: {yardstick.accuracy:.1%} test accuracy")
    contestants = {"default recipe": default_recipe, "plain DCGAN": plain_dcgan}
    results = []
    for seed in range(seeds):
        for name, train in contestants.items():
            sample, images = train(data.train, seed, seconds)
            scores = yardstick.score(sample(_SAMPLES, seed))
            results.append({"name": name, "seed": seed, "images": images, **scores})
            click.echo(json.dumps(results[-1]))
    columns = ("images", "fid", "kid", "precision", "recall")
    table = Table("", "seed", *columns)
    for result in sorted(results, key=lambda result: result["name"]):
        values = [f"{result[column]:.4g}" for column in columns[1:]]
        table.add_row(result["name"], str(result["seed"]), f"{result['images']:,}", *values)
    Console().print(table)
    median = {
        name: float(np.median([r["fid"] for r in results if r["name"] == name]))
        for name in contestants
    }
    ratio = median["default recipe"] / median["plain DCGAN"]
    click.echo(f"median FID, default recipe over plain DCGAN: {ratio:.2f}")
    if out:
        with open(out, "w", encoding="utf-8") as file:
            json.dump(results, file, indent=2)


def default_recipe(train: examples.Split, seed: int, seconds: float) -> Trained:
    """The default recipe's trainer, without model selection."""
    started = time.monotonic()
    never = 10**9
    recipe = config.load(
        _RECIPE,
        [
            f"trainer.seed={seed}",
            "trainer.quality.every_images=null",
            f"trainer.images={never}",
        ],
    ).trainer
    trainer = GANTrainer.from_config(recipe, (train.data, train.labels))
    steps, rate = _CHUNK, None
    while steps > 0:
        trainer.train(trainer.images_seen + steps * recipe.batch_size)
        elapsed = time.monotonic() - started
        rate = rate or int(trainer.step) / elapsed
        left = seconds - elapsed
        # Half of the time left, in case the estimated rate is wrong.
        steps = int(rate * left / 2) if left > 10 else int(rate * left)
    return trainer.sample, trainer.images_seen


def plain_dcgan(train: examples.Split, seed: int, seconds: float) -> Trained:
    """The DCGAN of the tutorials, written without code of this project."""
    started = time.monotonic()
    keras.utils.set_random_seed(seed)
    layers = keras.layers
    generator = keras.Sequential(
        [
            keras.Input((100,)),
            layers.Dense(7 * 7 * 256, use_bias=False),
            layers.BatchNormalization(),
            layers.LeakyReLU(0.2),
            layers.Reshape((7, 7, 256)),
            layers.Conv2DTranspose(128, 5, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.LeakyReLU(0.2),
            layers.Conv2DTranspose(64, 5, strides=2, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.LeakyReLU(0.2),
            layers.Conv2DTranspose(1, 5, strides=2, padding="same", activation="tanh"),
        ]
    )
    discriminator = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(64, 5, strides=2, padding="same"),
            layers.LeakyReLU(0.2),
            layers.Conv2D(128, 5, strides=2, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.LeakyReLU(0.2),
            layers.Flatten(),
            layers.Dense(1),
        ]
    )
    cross_entropy = keras.losses.BinaryCrossentropy(from_logits=True)
    generator_optimizer = keras.optimizers.Adam(2e-4, beta_1=0.5)
    discriminator_optimizer = keras.optimizers.Adam(2e-4, beta_1=0.5)
    batch_size = 64

    @tf.function
    def step(real: tf.Tensor) -> None:
        real = tf.cast(real, tf.float32) / 127.5 - 1.0
        with tf.GradientTape() as tape:
            fake = generator(tf.random.normal([batch_size, 100]), training=True)
            real_logits = discriminator(real, training=True)
            fake_logits = discriminator(fake, training=True)
            loss = cross_entropy(tf.ones_like(real_logits), real_logits)
            loss += cross_entropy(tf.zeros_like(fake_logits), fake_logits)
        variables = discriminator.trainable_variables
        discriminator_optimizer.apply(tape.gradient(loss, variables), variables)
        with tf.GradientTape() as tape:
            fake = generator(tf.random.normal([batch_size, 100]), training=True)
            fake_logits = discriminator(fake, training=True)
            loss = cross_entropy(tf.ones_like(fake_logits), fake_logits)
        variables = generator.trainable_variables
        generator_optimizer.apply(tape.gradient(loss, variables), variables)

    batches = tf.data.Dataset.from_tensor_slices(train.data).shuffle(len(train), seed=seed)
    batches = batches.repeat().batch(batch_size, drop_remainder=True).prefetch(2)
    seen = 0
    for real in batches:
        step(real)
        seen += batch_size
        if time.monotonic() - started >= seconds:
            break

    def sample(count: int, seed: int) -> np.ndarray:
        latents = np.random.default_rng(seed).standard_normal((count, 100), dtype=np.float32)
        made = generator.predict(latents, batch_size=500, verbose=0)
        return examples.to_uint8(tf.constant(made)).numpy()

    return sample, seen


if __name__ == "__main__":
    main()
