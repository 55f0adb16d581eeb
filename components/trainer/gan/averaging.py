"""After each step: the averaged generator, and a check that weights are finite."""

import keras
import tensorflow as tf


def update_average(
    strategy: tf.distribute.Strategy,
    average: keras.Model,
    network: keras.Model,
    decay: tf.Tensor | tf.Variable,
) -> None:
    """Exponential moving average of the weights; call it in a cross-replica context.

    average ← decay · average + (1 - decay) · network: Karras et al. 2018 (arXiv:1710.10196),
    section 6.1. Seed states and other counters are not averaged.
    """

    def towards(average: tf.Variable, value: tf.Tensor) -> None:
        # One op less than assign_sub of the product.
        tf.raw_ops.ResourceApplyGradientDescent(
            var=average.handle, alpha=1.0 - decay, delta=average - value
        )

    for averaged, weight in zip(average.weights, network.weights, strict=True):
        if weight.dtype == "float32":
            strategy.extended.update(averaged.value, towards, args=(weight.value,))


def weights_are_finite(network: keras.Model) -> tf.Tensor:
    """Whether all weights are finite, as a scalar."""
    sums = [tf.reduce_sum(w.value) for w in network.weights if w.dtype == "float32"]
    return tf.math.is_finite(tf.add_n(sums))
