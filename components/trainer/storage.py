"""Networks whose weights take half the space."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

# Of vectors, what halving would save is nothing, and what it would cost is a whole channel: they
# are biases and the parameters and statistics of normalisation.
_HALVED_RANK = 2


class HalfStored(tf.Module):
    """A network for inference: kernels and matrices in 16 bits, everything computed in float32.

    It has variables of its own, and leaves those of the network alone.

    Args:
      network: built, in float32.
      dtype: "float16" or "bfloat16".

    Raises:
      ValueError: for a weight that the type cannot hold.
    """

    def __init__(self, network: keras.Model, dtype: str) -> None:
        super().__init__()
        parts = (network.trainable_variables, network.non_trainable_variables)
        self._stored = [[_stored(each, tf.as_dtype(dtype)) for each in part] for part in parts]

        # In a closure, because an attribute would be saved with all of its weights.
        def call(weights: Sequence[list[tf.Tensor]], inputs: Any) -> tf.Tensor:  # noqa: ANN401
            return network.stateless_call(*weights, inputs, training=False)[0]

        self._call = call

    def __call__(self, inputs: Any, training: bool = False) -> tf.Tensor:  # noqa: ANN401
        """What the network makes of the inputs; raises ValueError for training."""
        if training:
            raise ValueError("training: is not possible with weights in 16 bits")
        weights = [
            [tf.cast(each, tf.float32) if each.dtype.is_floating else each for each in part]
            for part in self._stored
        ]
        return self._call(weights, inputs)


def _stored(weight: keras.Variable, dtype: tf.DType) -> tf.Variable:
    value = tf.convert_to_tensor(weight)
    if value.dtype != tf.float32 or value.shape.rank < _HALVED_RANK:
        return tf.Variable(value, trainable=False)
    stored = tf.cast(value, dtype)
    if not tf.reduce_all(tf.math.is_finite(stored)):
        largest = float(tf.reduce_max(tf.abs(value)))
        other = "bfloat16" if dtype == tf.float16 else "float32"
        raise ValueError(
            f"export_weights: {dtype.name} holds numbers up to {float(dtype.max):.5g}, "
            f"{weight.path} has {largest:.5g}; use {other}"
        )
    return tf.Variable(stored, trainable=False)
