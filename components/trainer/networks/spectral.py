"""Layers with spectral normalisation."""

from collections.abc import Sequence

import keras
import tensorflow as tf


class SpectralNorm(keras.layers.Layer):
    """Divides a layer's `kernel` [..., out] by its largest singular value as an [in, out] matrix.

    Miyato et al. 2018, arXiv:1802.05957, sections 2.1 to 2.3 and algorithm 1. Each training pass
    does one step of power iteration, starting from the `u` [out] of the previous pass. The gradient
    treats u and v as constants, and flows through the kernel and the singular value. Unlike
    `keras.layers.SpectralNormalization`, it does not modify the stored kernel. Inference does the
    step too, without storing u, so an untrained layer is close to its norm. As in the paper, it is
    the matrix that has a norm of 1; a convolution, whose patches overlap, can have more: up to 3
    for 5×5 with strides of 2.

    The kernel must not be initialised to 0.
    """

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Creates `u` after the weights of the layer."""
        super().build(input_shape)
        self.u = self.add_weight(
            shape=(self.kernel.shape[-1],),
            initializer=keras.initializers.RandomNormal(seed=0),
            name="u",
            dtype="float32",
            trainable=False,
            autocast=False,
            # All replicas have the same kernel, and thus compute the same u.
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
        """[n, columns] to [n, units]."""
        outputs = tf.matmul(inputs, self.normalised_kernel(training))
        if self.use_bias:
            outputs = outputs + tf.convert_to_tensor(self.bias)
        return self.activation(outputs)


@keras.saving.register_keras_serializable("tfx_gan", name="SpectralConv2D")
class Conv2D(SpectralNorm, keras.layers.Conv2D):
    """`keras.layers.Conv2D` with a kernel of spectral norm 1; channels last, one group."""

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """[n, height, width, channels] to [n, height, width, filters]."""
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
