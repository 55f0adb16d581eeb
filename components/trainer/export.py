"""The generator as a SavedModel that plain TensorFlow serves."""

import os
import uuid

import keras
import tensorflow as tf

from components import examples


class Served(tf.Module):
    """The two signatures of a pushed generator.

    Args:
      generator: latents [n, latent_dim] to images [n, height, width, channels] in [-1, 1].
      latent_dim: size of one latent vector.
    """

    def __init__(self, generator: keras.Model, latent_dim: int) -> None:
        super().__init__()
        self.generator = generator
        self.latent_dim = latent_dim

    def signatures(self) -> dict[str, tf.types.experimental.GenericFunction]:
        """What the SavedModel answers to, by signature name."""
        latents = tf.TensorSpec([None, self.latent_dim], tf.float32, name="latents")
        count = tf.TensorSpec([], tf.int32, name="count")
        seed = tf.TensorSpec([], tf.int64, name="seed")
        return {
            "serving_default": tf.function(self.serve, input_signature=[latents]),
            "sample": tf.function(self.sample, input_signature=[count, seed]),
        }

    def serve(self, latents: tf.Tensor) -> dict[str, tf.Tensor]:
        """`images`: float32 [n, height, width, channels] in [-1, 1]."""
        return {"images": self.generator(latents, training=False)}

    def sample(self, count: tf.Tensor, seed: tf.Tensor) -> dict[str, tf.Tensor]:
        """`images`: uint8 [count, height, width, channels], the same for the same arguments."""
        latents = tf.random.stateless_normal(
            (count, self.latent_dim), tf.stack([seed, tf.zeros_like(seed)])
        )
        return {"images": examples.to_uint8(self.generator(latents, training=False))}


def save(generator: keras.Model, latent_dim: int, path: str) -> None:
    """Writes the SavedModel to the folder `path`, which appears when it is whole.

    Raises:
      FileExistsError: where `path` exists.
    """
    if tf.io.gfile.exists(path):
        raise FileExistsError(f"{path} exists: name a new folder for the export")
    path = path.rstrip("/")
    aside = os.path.join(os.path.dirname(path), f".{os.path.basename(path)}.{uuid.uuid4().hex}")
    served = Served(generator, latent_dim)
    tf.saved_model.save(served, aside, signatures=served.signatures())
    tf.io.gfile.rename(aside, path)
