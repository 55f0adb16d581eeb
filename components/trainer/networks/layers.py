"""Layers shared by several networks."""

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from components.compute import fused
from components.trainer.networks import spectral


class Stack(keras.layers.Layer):
    """A sequence of layers; those with `takes_labels` also get the labels."""

    takes_labels = True

    def __init__(self, stack: Sequence[keras.layers.Layer], **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.stack = list(stack)

    def build(self, input_shape: object = None) -> None:
        # The layers are built by the first call.
        pass

    def call(
        self, inputs: tf.Tensor, labels: tf.Tensor | None = None, training: bool = False
    ) -> tf.Tensor:
        """The output of the last layer; labels int [n], class weights [n, classes], or None."""
        outputs = inputs
        for layer in self.stack:
            given = {"labels": labels} if getattr(layer, "takes_labels", False) else {}
            outputs = layer(outputs, training=training, **given)
        return outputs


def labels_of(given: tf.Tensor) -> tf.Tensor:
    """Labels int32 [n], or class weights [n, classes] as they are."""
    # When saving a model, Keras traces it again with all inputs as floats.
    return given if given.shape.rank == 2 else tf.cast(given, tf.int32)


def class_weights(labels: tf.Tensor, num_classes: int) -> tf.Tensor:
    """float32 [n, num_classes]: one-hot for labels int [n]; class weights as they are."""
    weighted = labels.shape.rank == 2
    return tf.cast(labels, tf.float32) if weighted else tf.one_hot(labels, num_classes)


def packed(data: tf.Tensor, pac: int) -> tf.Tensor:
    """[n, ..., d] to [n / pac, ..., pac d]: each `pac` data in a row joined along the last axis."""
    if pac == 1:
        return data
    *inner, last = data.shape[1:]
    packs = tf.reshape(data, [-1, pac, *inner, last])
    axes = range(len(packs.shape))
    joined = tf.transpose(packs, [0, *axes[2:-1], 1, axes[-1]])
    return tf.reshape(joined, [-1, *inner, pac * last])


class RowOutput(keras.layers.Layer):
    """Numbers in [-1, 1], then groups of components of which one is 1 and the others are 0.

    The choice in each group follows its logits: the Gumbel-softmax of Jang et al. 2017,
    arXiv:1611.01144, whose straight-through estimator (section 2.2) has the gradient of the softmax
    at `temperature`. Noise comes with the latents, so that a latent vector determines the row.

    Args:
      groups: their sizes; they end the vector.
      given: by label, the component, among those of all groups, that is 1 if the label is asked
        for, whatever its group's logits are; empty if labels mean something else.
      temperature: of the softmax, above 0; 0.2 is that of Xu et al. 2019 (CTGAN),
        arXiv:1907.00503, section 4.4.
    """

    def __init__(
        self,
        groups: Sequence[int],
        given: Sequence[int] = (),
        temperature: float = 0.2,
        **kwargs: Any,
    ) -> None:
        super().__init__(dtype="float32", **kwargs)
        self.groups, self.given = tuple(groups), tuple(given)
        self.temperature = temperature

    def call(self, raw: tf.Tensor, noise: tf.Tensor, labels: tf.Tensor | None = None) -> tf.Tensor:
        """The vectors [n, d].

        Args:
          raw: [n, d], any numbers.
          noise: normal, [n, sum(groups)].
          labels: int [n], or None.
        """
        raw, noise = tf.cast(raw, tf.float32), tf.cast(noise, tf.float32)
        numbers = raw.shape[-1] - sum(self.groups)
        scores = (raw[:, numbers:] + _gumbel(noise)) / self.temperature
        parts = []
        for group in tf.split(scores, self.groups, axis=1):
            soft = tf.nn.softmax(group)
            hard = tf.one_hot(tf.argmax(group, axis=1), group.shape[-1])
            parts.append(soft + tf.stop_gradient(hard - soft))
        chosen = tf.concat(parts, axis=1)
        if self.given and labels is not None:
            of_group = np.repeat(np.arange(len(self.groups)), self.groups)
            given = tf.gather(self.given, labels)
            replaced = tf.gather(of_group, given)[:, tf.newaxis] == of_group
            chosen = tf.where(replaced, tf.one_hot(given, sum(self.groups)), chosen)
        return tf.concat([tf.tanh(raw[:, :numbers]), chosen], axis=1)


def _gumbel(normal: tf.Tensor) -> tf.Tensor:
    """Standard Gumbel numbers, as rare as the normal ones they come from.

    The normal distribution function by the tanh of Hendrycks and Gimpel 2016, arXiv:1606.08415,
    section 2, which all runtimes have; off by less than 5e-4.
    """
    share = 0.5 * (1.0 + tf.tanh(math.sqrt(2.0 / math.pi) * (normal + 0.044715 * normal**3)))
    share = tf.clip_by_value(share, 1e-6, 1.0 - 1e-6)
    return -tf.math.log(-tf.math.log(share))


class Residual(keras.layers.Layer):
    """The sum of two stacks on the same input; an empty shortcut is the identity."""

    takes_labels = True

    def __init__(
        self,
        main: Sequence[keras.layers.Layer],
        shortcut: Sequence[keras.layers.Layer] = (),
        **kwargs: object,
    ) -> None:
        super().__init__(**kwargs)
        self.main = Stack(main, dtype=self.dtype_policy)
        self.shortcut = Stack(shortcut, dtype=self.dtype_policy)

    def build(self, input_shape: object = None) -> None:
        # The layers are built by the first call.
        pass

    def call(
        self, inputs: tf.Tensor, labels: tf.Tensor | None = None, training: bool = False
    ) -> tf.Tensor:
        """main(inputs) + shortcut(inputs)."""
        main = self.main(inputs, labels=labels, training=training)
        return main + self.shortcut(inputs, labels=labels, training=training)


class ConditionalBatchNormalization(fused.BatchNormalization):
    """Batch normalisation with a gamma and a beta per class.

    Dumoulin et al. 2017, arXiv:1610.07629, section 2.2, as in the generator of Miyato & Koyama
    2018, arXiv:1802.05637, section 5.

    Args:
      num_classes: labels are in [0, num_classes).
    """

    takes_labels = True

    def __init__(self, num_classes: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_classes = num_classes

    def parameter_shape(self, channels: int) -> tuple[int, ...]:
        """[classes, channels]."""
        return (self.num_classes, channels)

    def call(self, inputs: tf.Tensor, labels: tf.Tensor, training: bool = False) -> tf.Tensor:  # type: ignore[override]
        """Normalises `inputs`, [n, channels] or [n, height, width, channels].

        Labels are int [n], or class weights [n, num_classes], by which gammas and betas are mixed.
        """
        channels = inputs.shape[-1]
        plain = self.normalise(inputs, tf.ones([channels]), tf.zeros([channels]), training)
        # A product, not a gather: its gradient is dense.
        weights = class_weights(labels, self.num_classes)
        places = [1] * (inputs.shape.rank - 2)

        def of_class(parameter: keras.Variable) -> tf.Tensor:
            rows = tf.matmul(weights, tf.convert_to_tensor(parameter))
            return tf.cast(tf.reshape(rows, [-1, *places, channels]), plain.dtype)

        return plain * of_class(self.gamma) + of_class(self.beta)

    def get_config(self) -> dict[str, object]:
        return {**super().get_config(), "num_classes": self.num_classes}


class GroupedConv2D(keras.layers.Conv2D):
    """`keras.layers.Conv2D` with groups that can be trained on a CPU; stride 1, channels last.

    On a CPU, TensorFlow's grouped convolution has no gradient in float16, nor in any dtype without
    oneDNN. There, one convolution per group is used, which takes 0.8 to 1.4 times as long
    (measured).
    """

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """[n, height, width, filters] of [n, height, width, channels]."""
        kernel, padding = tf.convert_to_tensor(self.kernel), self.padding.upper()
        if tf.config.list_physical_devices("GPU"):
            outputs = tf.nn.conv2d(inputs, kernel, 1, padding)
        else:
            pairs = zip(
                tf.split(inputs, self.groups, -1), tf.split(kernel, self.groups, -1), strict=True
            )
            outputs = tf.concat([tf.nn.conv2d(*pair, 1, padding) for pair in pairs], -1)
        if self.use_bias:
            outputs = outputs + tf.convert_to_tensor(self.bias)
        return self.activation(outputs)


class SumOverPlaces(keras.layers.Layer):
    """[n, height, width, channels] to float32 [n, channels]."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """The sum over height and width, in float32 because half precision would round it."""
        return tf.reduce_sum(tf.cast(inputs, tf.float32), [1, 2])


class BlurUpsample(keras.layers.Layer):
    """Doubles height and width by the filter [1, 3, 3, 1] / 4 along both axes, zeros outside.

    Output pixels 2i and 2i + 1 lie a quarter of a pixel before and after input pixel i, so that
    nothing is shifted and a mirrored map gives a mirrored output. The filter is [1, 2, 1] convolved
    with [1, 1], as in the authors' code of R3GAN (brownvc/R3GAN, R3GAN/Resamplers.py).
    """

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """[n, height, width, channels] to [n, 2 height, 2 width, channels]."""
        _, height, width, _ = inputs.shape
        return along_both(inputs, _doubling(height), _doubling(width))


class BlurDownsample(keras.layers.Layer):
    """Halves height and width (both even) by the filter [1, 3, 3, 1] / 8 along both axes.

    Zeros lie outside. It is the transpose of `BlurUpsample` over 4.
    """

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """[n, height, width, channels] to [n, height / 2, width / 2, channels]."""
        _, height, width, _ = inputs.shape
        return along_both(inputs, _doubling(height // 2).T / 2, _doubling(width // 2).T / 2)


class SelfAttention(keras.layers.Layer):
    """Self-attention over the positions of a map (Zhang et al. 2019, arXiv:1805.08318, section 3).

    Queries and keys have an eighth of the channels, values half of them. If both sides are even,
    keys and values are max-pooled by 2, as in the authors' code. The 1x1 convolutions have spectral
    normalisation. The output is added to the map times `gamma`, which starts at 0, so initially the
    block is the identity.

    Args:
      seeds: four seeds, of the initial kernels.
    """

    def __init__(self, seeds: Sequence[int], **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.seeds = list(seeds)

    def build(self, input_shape: Sequence[int]) -> None:
        channels = input_shape[-1]
        narrow, half = max(1, channels // 8), max(1, channels // 2)

        def conv(filters: int, seed: int) -> spectral.Conv2D:
            initializer = keras.initializers.GlorotUniform(seed=seed)
            return spectral.Conv2D(
                filters,
                1,
                use_bias=False,
                kernel_initializer=initializer,
                dtype=self.dtype_policy,
            )

        filters = (narrow, narrow, half, channels)
        made = [conv(count, seed) for count, seed in zip(filters, self.seeds, strict=True)]
        self.query, self.key, self.value, self.out = made
        self.gamma = self.add_weight(
            shape=(), initializer="zeros", name="gamma", dtype="float32", autocast=False
        )

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """[n, height, width, channels] to the same shape."""
        _, height, width, _ = inputs.shape
        even = height % 2 == width % 2 == 0

        def rows(layer: keras.layers.Layer, pooled: bool) -> tf.Tensor:
            values = layer(inputs, training=training)
            if pooled and even:
                # Not max_pool: XLA lacks its second derivative in half precision.
                squares = [-1, height // 2, 2, width // 2, 2, values.shape[-1]]
                values = tf.reduce_max(tf.reshape(values, squares), [2, 4])
            return tf.reshape(values, [-1, values.shape[1] * values.shape[2], values.shape[3]])

        query, key = rows(self.query, pooled=False), rows(self.key, pooled=True)
        # In half precision, a softmax over hundreds of positions loses its small terms.
        scores = tf.cast(tf.matmul(query, key, transpose_b=True), tf.float32)
        weights = tf.cast(tf.nn.softmax(scores), inputs.dtype)
        seen = tf.matmul(weights, rows(self.value, pooled=True))
        seen = self.out(tf.reshape(seen, [-1, height, width, seen.shape[-1]]), training=training)
        return inputs + tf.cast(tf.convert_to_tensor(self.gamma), inputs.dtype) * seen


def _doubling(size: int) -> np.ndarray:
    """The matrix [2 size, size] that doubles one axis by the filter [1, 3, 3, 1] / 4."""
    padded = np.zeros([2 * size + 2, size])
    for place in range(size):
        padded[2 * place : 2 * place + 4, place] = [0.25, 0.75, 0.75, 0.25]
    return padded[1:-1]


def along_both(values: tf.Tensor, rows: np.ndarray, columns: np.ndarray) -> tf.Tensor:
    """Maps [n, h, w, channels] times the matrices [h', h] and [w', w].

    On a CPU, sums of shifted maps take 5 times as long at 16x16, and twice as long at 128x128.
    """
    _, height, width, channels = values.shape
    tall = tf.matmul(
        tf.constant(rows, values.dtype), tf.reshape(values, [-1, height, width * channels])
    )
    tall = tf.reshape(tall, [-1, len(rows), width, channels])
    return tf.matmul(tf.constant(columns, values.dtype), tall)
