"""Trains a small classifier: a number of images, stopped early on rows held out from training."""

import logging

import keras
import numpy as np
import tensorflow as tf

from components.compute import fused
from components.feature_extractor import network
from components.feature_extractor.config import FeatureExtractorConfig

# Looks at the held-out rows in the budget; and how many in a row without a better accuracy end the
# training. With two, and gains below half a standard error left out, 60 000 images of clothes lost
# 1 % of accuracy for a quarter of the time.
_ROUNDS, _PATIENCE = 12, 3
# Of the average of the weights, which is what is kept.
_HALF_LIFE_IMAGES = 10_000
_HELD_OUT_SHARE, _MOST_HELD_OUT = 10, 2000

_log = logging.getLogger(__name__)


def held_out_rows(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows to learn from and rows that decide when to stop, both sorted, int64.

    A tenth of the rows, at most 2000, is held out; of fewer than 10 rows all are both.
    """
    held_out = min(count // _HELD_OUT_SHARE, _MOST_HELD_OUT)
    order = np.random.default_rng(seed).permutation(count)
    if not held_out:
        return np.sort(order), np.sort(order)
    return np.sort(order[held_out:]), np.sort(order[:held_out])


def fit(
    extractor: keras.Model,
    learner: keras.Model,
    shown: tf.data.Dataset,
    held_out: tf.data.Dataset,
    config: FeatureExtractorConfig,
) -> None:
    """Trains `learner`, and gives `extractor` the average of its weights.

    Adam's rate falls along a cosine over `config.images`. Of the averages, one a round, the one
    with the highest accuracy on the held-out rows counts, of equal ones the last.

    Args:
      extractor: float32 model of `network.build`.
      learner: the same in the dtype to compute in.
      shown: batches of (images, labels), an epoch.
      held_out: batches of rows to stop on.
      config: images, batch size, learning rate.
    """
    steps = -(-config.images // config.batch_size)
    each = -(-steps // _ROUNDS)
    fitting = _Fitting(extractor, learner, config, steps)
    batches = iter(shown.repeat())
    call = network.caller(extractor)
    best, chosen, since = -1.0, extractor.get_weights(), 0
    for start in range(0, steps, each):
        fitting.run(batches, tf.constant(min(each, steps - start)))
        accuracy = network.accuracy(call, held_out)
        since = 0 if accuracy > best else since + 1
        if accuracy >= best:
            best, chosen = accuracy, extractor.get_weights()
        if since == _PATIENCE:
            break
    seen = min(start + each, steps) * config.batch_size
    _log.info("FeatureExtractor: %d images, held-out accuracy %.4f", seen, best)
    extractor.set_weights(chosen)


class _Fitting:
    """The state of a training; its rounds run without Python between the steps."""

    def __init__(
        self,
        extractor: keras.Model,
        learner: keras.Model,
        config: FeatureExtractorConfig,
        steps: int,
    ) -> None:
        self._learner = learner
        self._variables = learner.trainable_variables
        self._optimizer = fused.Adam(
            keras.optimizers.schedules.CosineDecay(config.learning_rate, steps)
        )
        self._optimizer.build(self._variables)
        self._decay = 0.5 ** (config.batch_size / _HALF_LIFE_IMAGES)
        self._pairs = [
            (average.value, weight.value)
            for average, weight in zip(extractor.weights, learner.weights, strict=True)
            if weight.dtype == "float32"
        ]

    @tf.function
    def run(self, batches: tf.data.Iterator, steps: tf.Tensor) -> None:
        """Some steps of training."""
        for _ in tf.range(steps):
            images, labels = next(batches)
            self._update(images, labels)

    def _update(self, images: tf.Tensor, labels: tf.Tensor) -> None:
        done = tf.cast(self._optimizer.iterations, tf.float32)
        with tf.GradientTape() as tape:
            probabilities = self._learner(images, training=True)["probabilities"]
            losses = keras.losses.sparse_categorical_crossentropy(labels, probabilities)
            loss = tf.reduce_mean(losses)
        self._optimizer.apply(tape.gradient(loss, self._variables), self._variables)
        # The first weights, which know nothing, are forgotten at once.
        kept = tf.minimum(self._decay, (1 + done) / (10 + done))
        for average, weight in self._pairs:
            average.assign(average * kept + weight * (1 - kept))
