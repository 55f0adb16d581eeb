"""What judges the projected maps: one small discriminator per scale."""

import math
from collections.abc import Sequence

import keras
import tensorflow as tf

from components.trainer.networks import layers


class Scales(keras.layers.Layer):
    """Judges each map by a stack of its own, whose outputs are logits.

    Args:
      stacks: one per map.
    """

    takes_labels = True

    def __init__(self, stacks: Sequence[layers.Stack], **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.stacks = list(stacks)

    def build(self, input_shape: object = None) -> None:
        # The layers are built by the first call.
        pass

    def call(
        self, maps: Sequence[tf.Tensor], labels: tf.Tensor | None = None, training: bool = False
    ) -> tf.Tensor:
        """The logits of all maps [n, m]; labels int [n], or None."""
        pairs = zip(self.stacks, maps, strict=True)
        return tf.concat([s(found, labels=labels, training=training) for s, found in pairs], 1)


class ClassProduct(keras.layers.Layer):
    """The inner product of each place of a map with an embedding of the class, over √channels.

    The embedding is LeakyReLU(0.2) of a linear layer of a row of a table N(0, 1), as
    `SingleDiscCond` of the authors' code.

    Args:
      num_classes: number of classes.
      columns: of the table.
      initializer: of the linear layer's kernel and bias.
      seed: of the table.
    """

    takes_labels = True

    def __init__(
        self,
        num_classes: int,
        columns: int,
        initializers: Sequence[keras.initializers.Initializer],
        seed: int,
        **kwargs: object,
    ) -> None:
        super().__init__(**kwargs)
        self.num_classes, self.columns = num_classes, columns
        self.initializers, self.seed = tuple(initializers), seed

    def build(self, input_shape: Sequence[int | None]) -> None:
        self.table = self.add_weight(
            shape=(self.num_classes, self.columns),
            initializer=keras.initializers.RandomNormal(stddev=1.0, seed=self.seed),
            name="table",
        )
        kernel_initializer, bias_initializer = self.initializers
        self.linear = keras.layers.Dense(
            input_shape[-1],
            kernel_initializer=kernel_initializer,
            bias_initializer=bias_initializer,
            dtype=self.dtype_policy,
        )

    def call(self, maps: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:  # type: ignore[override]
        """[n, height, width, channels] to [n, height, width, 1]."""
        # A product, not a gather: its gradient is dense.
        rows = tf.matmul(tf.one_hot(labels, self.num_classes), tf.convert_to_tensor(self.table))
        embedded = tf.nn.leaky_relu(self.linear(rows), 0.2)[:, tf.newaxis, tf.newaxis]
        products = tf.reduce_sum(maps * embedded, axis=-1, keepdims=True)
        return products / math.sqrt(maps.shape[-1])
