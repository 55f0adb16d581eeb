"""What replicas that share a batch tell each other."""

import tensorflow as tf


def alone() -> bool:
    """Whether this is the only replica."""
    context = tf.distribute.get_replica_context()
    return context is None or context.num_replicas_in_sync == 1


def mean(value: tf.Tensor) -> tf.Tensor:
    """The mean of `value` over all replicas, differentiable; `value` itself where there is one."""
    if alone():
        return value
    context = tf.distribute.get_replica_context()
    return context.all_reduce(tf.distribute.ReduceOp.MEAN, value)
