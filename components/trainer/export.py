"""Exports the generator as a SavedModel that needs only TensorFlow to serve."""

import keras
import numpy as np
import tensorflow as tf

from components.common import files
from components.data import examples
from components.trainer.data.scaling import Scaling

# The random stream of labels in `sample`; latents use stream 0.
_LABELS_STREAM = 1

Tensors = dict[str, tf.Tensor]


class ServingSignatures(tf.Module):
    """The serving signatures of an exported generator.

    All return `images`, or `vectors` (float32 [n, columns]) if the data are vectors; with a scaling
    these are in the units of the data, and the signature `columns` returns their column names.

    Args:
      generator: latents [n, latent_dim], or [latents, labels [n]] with classes, to data in [-1, 1].
      latent_dim: size of one latent vector.
      class_shares: sampling frequency of each class, [classes]; None for an unconditional
        generator. Classes of frequency 0 are not served: the generator has never been trained on
        them, and would answer with images of no class.
      scaling: of vectors; None for images, and for vectors that are in [-1, 1] by themselves.
    """

    def __init__(
        self,
        generator: keras.Model,
        latent_dim: int,
        class_shares: np.ndarray | None = None,
        scaling: Scaling | None = None,
    ) -> None:
        super().__init__()
        self.generator = generator
        self.latent_dim = latent_dim
        self._class_shares = class_shares
        self._scaling = scaling

    def signatures(self) -> dict[str, tf.types.experimental.GenericFunction]:
        """The SavedModel's signatures by name."""
        latents = tf.TensorSpec([None, self.latent_dim], tf.float32, name="latents")
        labels = tf.TensorSpec([None], tf.int64, name="labels")
        count = tf.TensorSpec([], tf.int32, name="count")
        seed = tf.TensorSpec([], tf.int64, name="seed")
        label = tf.TensorSpec([], tf.int64, name="label")
        found = {"sample": tf.function(self.sample, input_signature=[count, seed])}
        if self._class_shares is None:
            found["serving_default"] = tf.function(self.serve, input_signature=[latents])
        else:
            found["serving_default"] = tf.function(self.serve, input_signature=[latents, labels])
            by_class = tf.function(self.sample_class, input_signature=[count, seed, label])
            found["sample_class"] = by_class
        if self._scaling:
            found["columns"] = tf.function(self.columns, input_signature=[])
        return found

    def serve(self, latents: tf.Tensor, labels: tf.Tensor | None = None) -> Tensors:
        """float32 images in [-1, 1], or vectors in the units of the data, without rounding."""
        values = self._generate(latents, labels)
        return _named(self._scaling.from_unit(values) if self._scaling else values)

    def sample(self, count: tf.Tensor, seed: tf.Tensor) -> Tensors:
        """`count` postprocessed data; equal arguments give equal data."""
        labels = None
        if self._class_shares is not None:
            logits = tf.math.log(tf.constant(self._class_shares, tf.float32))
            stream = tf.stack([seed, tf.constant(_LABELS_STREAM, tf.int64)])
            labels = tf.random.stateless_categorical(logits[tf.newaxis], count, stream)[0]
        return self._sample(count, seed, labels)

    def sample_class(self, count: tf.Tensor, seed: tf.Tensor, label: tf.Tensor) -> Tensors:
        """Like `sample`, with all data of class `label`."""
        assert self._class_shares is not None  # A signature of conditional generators only.
        served = tf.constant(np.flatnonzero(self._class_shares), tf.int64)
        # Without the check a GPU would return zeros for a class that does not exist.
        tf.debugging.Assert(
            tf.reduce_any(label == served),
            [f"label: no such class; {classes_in_words(self._class_shares)}; asked for", label],
        )
        return self._sample(count, seed, tf.fill([count], label))

    def columns(self) -> Tensors:
        """The column names of the vectors."""
        assert self._scaling  # A signature of generators with a scaling only.
        return {"names": tf.constant(self._scaling.columns)}

    def _sample(self, count: tf.Tensor, seed: tf.Tensor, labels: tf.Tensor | None) -> Tensors:
        latents = tf.random.stateless_normal(
            (count, self.latent_dim), tf.stack([seed, tf.zeros_like(seed)])
        )
        return _named(postprocess(self._generate(latents, labels), self._scaling))

    def _generate(self, latents: tf.Tensor, labels: tf.Tensor | None) -> tf.Tensor:
        inputs = latents if labels is None else [latents, labels]
        return tf.cast(self.generator(inputs, training=False), tf.float32)


def postprocess(values: tf.Tensor, scaling: Scaling | None = None) -> tf.Tensor:
    """Generated images [-1, 1] to uint8, vectors to float32.

    With a scaling, vectors are converted to the units of the data and rounded to their decimals.
    """
    if scaling:
        return scaling.rounded(scaling.from_unit(values))
    return examples.to_uint8(values) if values.shape.rank == 4 else tf.cast(values, tf.float32)


def classes_in_words(class_shares: np.ndarray) -> str:
    """The classes that a generator can make, and those that had no examples.

    >>> classes_in_words(np.array([0.5, 0.25, 0.0, 0.25]))
    'the generator has classes 0-1, 3; the data had no examples of 2'
    """
    there = class_shares > 0
    words = f"the generator has classes {_ranges(np.flatnonzero(there))}"
    if not there.all():
        words += f"; the data had no examples of {_ranges(np.flatnonzero(~there))}"
    return words


def _ranges(numbers: np.ndarray) -> str:
    runs = np.split(numbers, np.flatnonzero(np.diff(numbers) > 1) + 1)
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def _named(values: tf.Tensor) -> Tensors:
    return {"images" if values.shape.rank == 4 else "vectors": values}


def save(generator: ServingSignatures, path: str) -> None:
    """Writes the SavedModel to the folder `path`, atomically.

    Raises:
      FileExistsError: if `path` exists.
    """
    if tf.io.gfile.exists(path):
        raise FileExistsError(f"{path} exists already; give a new folder for the export")
    with files.atomic(path.rstrip("/")) as temporary:
        tf.saved_model.save(generator, temporary, signatures=generator.signatures())
