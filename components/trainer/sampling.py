"""Samples of a generator during training, always from the same latents."""

import keras
import numpy as np
import tensorflow as tf

from components.serving import draws
from components.serving.contract import classes_in_words, row_seeds
from components.trainer.config import TrainingConfig
from components.trainer.data.batches import latents
from components.trainer.data.encoding import Encoding
from components.trainer.export import ServingSignatures, postprocess
from components.trainer.gan.network_pair import Scorer, with_labels

# Latents, and labels [n] or None.
Inputs = tuple[tf.Tensor, tf.Tensor | None]

# Training uses indices from 0; negative ones are free for other purposes.
GRID, EVALUATION, QUALITY = -1, -2, -3


class Sampler:
    """Samples the generators of one training.

    Args:
      options: the training options.
      class_shares: sampling frequency of each class, [classes]; None without conditioning.
      encoding: of the rows of a table, which samples are decoded to.
    """

    def __init__(
        self,
        options: TrainingConfig,
        class_shares: np.ndarray | None,
        encoding: Encoding | None,
    ) -> None:
        self._options, self._class_shares, self._encoding = options, class_shares, encoding
        self._call = tf.function(lambda network, inputs: network(inputs, training=False))

    def inputs(self, index: int, count: int) -> Inputs:
        """Latents and labels for `index`: classes cycle for GRID, otherwise follow the data."""
        drawn = latents(self._options.seed, index, (count, self._options.latent_dim))
        if self._class_shares is None:
            return drawn, None
        classes = len(self._class_shares)
        if index == GRID:
            # A class without examples is never learnt, so its row would only show noise.
            labels = np.resize(np.flatnonzero(self._class_shares), count)
            return drawn, tf.constant(labels, tf.int32)
        rng = np.random.default_rng([self._options.seed, -index])
        labels = rng.choice(classes, count, p=self._class_shares)
        return drawn, tf.constant(labels, tf.int32)

    def generate(self, generator: keras.Model, inputs: Inputs, rows: slice) -> tf.Tensor:
        """Generated data in [-1, 1] for some rows of `inputs`."""
        drawn, labels = inputs
        return self._call(
            generator, with_labels(drawn[rows], None if labels is None else labels[rows])
        )

    def sample(self, generator: keras.Model, inputs: Inputs) -> np.ndarray:
        """uint8 images, or codes of rows, generated batch by batch."""
        size = self._options.batch_size
        # One, even if it is empty, for the shape.
        starts = range(0, max(1, len(inputs[0])), size)
        batches = (self.generate(generator, inputs, slice(at, at + size)) for at in starts)
        return np.concatenate([self.postprocess(batch) for batch in batches])

    def postprocess(self, values: tf.Tensor) -> np.ndarray:
        """Data in [-1, 1] in the form in which they leave the trainer."""
        return postprocess(values, self._encoding).numpy()

    def draw(
        self, generator: keras.Model, count: int, seed: int, label: int | None = None
    ) -> np.ndarray:
        """What the exported generator makes of the seeds `row_seeds(seed, count)`."""
        shares = self._class_shares
        if label is not None and shares is None:
            raise ValueError(f"label: {label}, the generator has no classes")
        if label is not None and shares is not None and label not in np.flatnonzero(shares):
            raise ValueError(f"label: {label}, {classes_in_words(shares)}")
        seeds, labels = tf.constant(row_seeds(seed, count)), None
        if label is not None:
            labels = tf.fill([count], tf.constant(label, tf.int64))
        elif shares is not None:
            labels = draws.classes(seeds, shares)
        return self.sample(generator, (draws.latents(seeds, self._options.latent_dim), labels))

    def serving(self, generator: keras.Model, scorer: Scorer | None = None) -> ServingSignatures:
        """The generator with the signatures that it is exported with."""
        conditioning = self._options.conditioning
        return ServingSignatures(
            generator,
            self._options.latent_dim,
            self._class_shares,
            self._encoding,
            self._options.export_weights,
            conditioning is not None and conditioning.by != "label",
            scorer,
        )
