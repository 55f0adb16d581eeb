"""The random numbers of a training step: functions of the seed and the step, so that a resumed
training draws the same numbers."""

import tensorflow as tf

# Apart from the streams of `sources` and `data`.
_STEP_STREAM = 2


class StatelessRng:
    """Random numbers of one step, the same however many replicas share its batch.

    Each call takes the next stream of the step: the n-th call of a step gives the same numbers in
    every run. All replicas draw for the global batch and keep their own rows.

    Args:
      seed: of the training.
      step: integer scalar.
      replica: index of this replica, int32 scalar.
      replicas: how many share a batch.
    """

    def __init__(
        self, seed: int, step: tf.Tensor | int, replica: tf.Tensor | int = 0, replicas: int = 1
    ) -> None:
        # The dtype of what is folded in changes the numbers.
        step = tf.cast(step, tf.int64)
        self._step_seed = tf.random.experimental.stateless_fold_in([seed, _STEP_STREAM], step)
        self._replica = replica
        self._replicas = replicas
        self._calls = 0

    def uniform(self, count: int, *shape: int) -> tf.Tensor:
        """float32 [count, *shape] in [0, 1): one row for each of this replica's `count` data."""
        size = (count * self._replicas, *shape)
        return self._own(tf.random.stateless_uniform(size, self._next_seed()), count)

    def normal(self, count: int, *shape: int) -> tf.Tensor:
        """float32 [count, *shape] from N(0, 1): one row for each of this replica's data."""
        size = (count * self._replicas, *shape)
        return self._own(tf.random.stateless_normal(size, self._next_seed()), count)

    def _next_seed(self) -> tf.Tensor:
        self._calls += 1
        return tf.random.experimental.stateless_fold_in(self._step_seed, self._calls)

    def _own(self, rows: tf.Tensor, count: int) -> tf.Tensor:
        if self._replicas == 1:
            return rows
        start = tf.cast(self._replica, tf.int32) * count
        return tf.ensure_shape(rows[start : start + count], (count, *rows.shape[1:]))
