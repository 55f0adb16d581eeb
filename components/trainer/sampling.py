"""Samples of a generator while it is trained, from the same latents each time."""

import keras
import numpy as np
import tensorflow as tf

from components.trainer.data.batches import latents
from components.trainer.data.scaling import Scaling
from components.trainer.export import Served, finished
from components.trainer.gan.network_pair import with_labels

# Latents, and labels [n] or None.
Inputs = tuple[tf.Tensor, tf.Tensor | None]

# Training draws latents at indices from 0; what looks at the generator draws its own below.
GRID, EVALUATION, QUALITY = -1, -2, -3


class Sampler:
    """Draws data from generators of one training.

    Args:
      seed: of the training.
      latent_dim: size of one latent vector.
      batch_size: data that are generated at once.
      class_shares: how often each class is sampled, [classes]; None without conditioning.
      scaling: of vectors, to [-1, 1]: samples are in the units of the data again.
    """

    def __init__(
        self,
        *,
        seed: int,
        latent_dim: int,
        batch_size: int,
        class_shares: np.ndarray | None,
        scaling: Scaling | None,
    ) -> None:
        self._seed, self._latent_dim, self._batch_size = seed, latent_dim, batch_size
        self._class_shares, self._scaling = class_shares, scaling
        self._call = tf.function(lambda network, inputs: network(inputs, training=False))

    def inputs(self, index: int, count: int) -> Inputs:
        """Latents and labels of `index`: all classes in turn for GRID, else as in the data."""
        drawn = latents(self._seed, index, (count, self._latent_dim))
        if self._class_shares is None:
            return drawn, None
        classes = len(self._class_shares)
        if index == GRID:
            return drawn, tf.range(count) % classes
        rng = np.random.default_rng([self._seed, -index])
        labels = rng.choice(classes, count, p=self._class_shares)
        return drawn, tf.constant(labels, tf.int32)

    def generate(self, generator: keras.Model, inputs: Inputs, rows: slice) -> tf.Tensor:
        """What the generator makes of some rows of `inputs`, in [-1, 1]."""
        drawn, labels = inputs
        own = None if labels is None else labels[rows]
        return self._call(generator, with_labels(drawn[rows], own))

    def sample(self, generator: keras.Model, inputs: Inputs) -> np.ndarray:
        """uint8 images, or vectors in the units of the data, a batch at a time."""
        starts = range(0, len(inputs[0]), self._batch_size)
        batches = (
            self.generate(generator, inputs, slice(start, start + self._batch_size))
            for start in starts
        )
        return np.concatenate([self.finished(batch) for batch in batches])

    def finished(self, values: tf.Tensor) -> np.ndarray:
        """Data in [-1, 1] as they leave the trainer."""
        return finished(values, self._scaling).numpy()

    def served(self, generator: keras.Model) -> Served:
        """The generator with the signatures of its export."""
        return Served(generator, self._latent_dim, self._class_shares, self._scaling)
