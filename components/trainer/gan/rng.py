"""Stateless random numbers of a training step, so that a resumed training draws the same ones."""

import tensorflow as tf

# `data.sources` and `data.batches` use other streams.
_STEP_STREAM = 2


class StatelessRng:
    """Random numbers of one step, independent of the number of replicas.

    The n-th call in a step returns the same numbers in every run. All replicas draw for the global
    batch and keep their own rows.

    Args:
      seed: of the training.
      step: integer scalar.
      replica: index of this replica, int32 scalar.
      replicas: number of replicas that share the batch.

    Attributes:
      step: int64 scalar, the steps before this one.
    """

    def __init__(
        self, seed: int, step: tf.Tensor | int, replica: tf.Tensor | int = 0, replicas: int = 1
    ) -> None:
        # The numbers depend on the dtype that is folded in.
        self.step = tf.cast(step, tf.int64)
        self._step_seed = tf.random.experimental.stateless_fold_in([seed, _STEP_STREAM], self.step)
        self._replica = replica
        self._replicas = replicas
        self._calls = 0

    def uniform(self, count: int, *shape: int) -> tf.Tensor:
        """float32 [count, *shape] from U[0, 1), a row for each of this replica's `count` data."""
        size = (count * self._replicas, *shape)
        return self._own(tf.random.stateless_uniform(size, self._next_seed()), count)

    def normal(self, count: int, *shape: int) -> tf.Tensor:
        """float32 [count, *shape] from N(0, 1), a row for each of this replica's `count` data."""
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
