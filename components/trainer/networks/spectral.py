"""Layers whose kernels have a spectral norm of 1, and the self-attention that is made of them."""

from collections.abc import Sequence

import keras
import tensorflow as tf


class SpectralNorm:
    """Divides a layer's `kernel` [..., out] by its largest singular value as an [in, out] matrix.

    Miyato et al. 2018, arXiv:1802.05957, sections 2.1 to 2.3 and algorithm 1: one step of the
    power iteration a training pass, which `u` [out] carries on from pass to pass; u and v are
    constants to the gradient, which flows through the kernel and through the singular value. The
    stored kernel is not touched, unlike in `keras.layers.SpectralNormalization`. A pass
    that does not train makes the step too, without keeping it: a fresh layer is near its norm.

    The initial kernel must not be 0, which has no direction to normalise.
    """

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Makes `u` after the weights of the layer."""
        super().build(input_shape)
        self.u = self.add_weight(
            shape=(self.kernel.shape[-1],),
            initializer=keras.initializers.RandomNormal(seed=0),
            name="u",
            dtype="float32",
            trainable=False,
            autocast=False,
            # Replicas have the same kernel, and so the same step.
            aggregation="only_first_replica",
        )

    def normalised_kernel(self, training: bool = False) -> tf.Tensor:
        """The kernel over its largest singular value, in the compute dtype."""
        kernel = tf.cast(tf.convert_to_tensor(self.kernel), tf.float32)
        matrix = tf.reshape(kernel, [-1, kernel.shape[-1]])
        constant = tf.stop_gradient(matrix)
        v = tf.math.l2_normalize(tf.linalg.matvec(constant, tf.convert_to_tensor(self.u)))
        u = tf.math.l2_normalize(tf.linalg.matvec(constant, v, transpose_a=True))
        if training:
            self.u.assign(u)
        sigma = tf.tensordot(v, tf.linalg.matvec(matrix, u), 1)
        return tf.cast(kernel / sigma, self.compute_dtype)


@keras.saving.register_keras_serializable("tfx_gan", name="SpectralDense")
class Dense(SpectralNorm, keras.layers.Dense):
    """`keras.layers.Dense` with a kernel of spectral norm 1."""

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """[n, units] of [n, columns]."""
        outputs = tf.matmul(inputs, self.normalised_kernel(training))
        if self.use_bias:
            outputs = outputs + tf.convert_to_tensor(self.bias)
        return self.activation(outputs)


@keras.saving.register_keras_serializable("tfx_gan", name="SpectralConv2D")
class Conv2D(SpectralNorm, keras.layers.Conv2D):
    """`keras.layers.Conv2D` with a kernel of spectral norm 1; channels last, one group."""

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """[n, height, width, filters] of [n, height, width, channels]."""
        outputs = tf.nn.conv2d(
            inputs,
            self.normalised_kernel(training),
            strides=self.strides,
            padding=self.padding.upper(),
            dilations=self.dilation_rate,
        )
        if self.use_bias:
            outputs = outputs + tf.convert_to_tensor(self.bias)
        return self.activation(outputs)


class SelfAttention(keras.layers.Layer):
    """Every place of a map looks at all others (Zhang et al. 2019, arXiv:1805.08318, section 3).

    Queries and keys have an eighth of the channels, values half of them; keys and values are
    max-pooled by 2, as in the authors' code, where both sides are even. The 1x1 convolutions have
    a spectral norm of 1. What was seen is added to the map times `gamma`, which starts at 0: at
    first the block does nothing.

    Args:
      seeds: four, of the initial kernels.
    """

    def __init__(self, seeds: Sequence[int], **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.seeds = list(seeds)

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Makes the four convolutions and gamma."""
        channels = input_shape[-1]
        narrow, half = max(1, channels // 8), max(1, channels // 2)

        def conv(filters: int, seed: int) -> Conv2D:
            initializer = keras.initializers.GlorotUniform(seed=seed)
            return Conv2D(
                filters,
                1,
                use_bias=False,
                kernel_initializer=initializer,
                dtype=self.dtype_policy,
            )

        filters = (narrow, narrow, half, channels)
        made = [conv(*pair) for pair in zip(filters, self.seeds, strict=True)]
        self.query, self.key, self.value, self.out = made
        self.gamma = self.add_weight(
            shape=(), initializer="zeros", name="gamma", dtype="float32", autocast=False
        )

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """[n, height, width, channels] to the same."""
        _, height, width, _ = inputs.shape
        even = height % 2 == width % 2 == 0

        def rows(layer: keras.layers.Layer, pooled: bool) -> tf.Tensor:
            values = layer(inputs, training=training)
            if pooled and even:
                # XLA has no second derivative of the max-pooling op in half precision.
                squares = [-1, height // 2, 2, width // 2, 2, values.shape[-1]]
                values = tf.reduce_max(tf.reshape(values, squares), [2, 4])
            return tf.reshape(values, [-1, values.shape[1] * values.shape[2], values.shape[3]])

        query, key = rows(self.query, pooled=False), rows(self.key, pooled=True)
        # A softmax over hundreds of places loses its small terms in half precision.
        scores = tf.cast(tf.matmul(query, key, transpose_b=True), tf.float32)
        weights = tf.cast(tf.nn.softmax(scores), inputs.dtype)
        seen = tf.matmul(weights, rows(self.value, pooled=True))
        seen = self.out(tf.reshape(seen, [-1, height, width, seen.shape[-1]]), training=training)
        return inputs + tf.cast(tf.convert_to_tensor(self.gamma), inputs.dtype) * seen
