"""Keras layers and optimizers that run as one fused TensorFlow op each.

Keras 3 implements batch normalisation and Adam with dozens of small ops, which on a CPU cost as
much as a convolution. The classes here compute the same values behind the same interfaces.
"""

import functools
from collections.abc import Callable

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("tfx_gan")
class BatchNormalization(keras.layers.Layer):
    """Batch normalisation over all axes but the last (Ioffe & Szegedy 2015, arXiv:1502.03167).

    Statistics and parameters are float32 whatever the compute dtype. In a replica context of a
    `tf.distribute` strategy the statistics are those of the global batch, so results do not depend
    on the number of devices; all replicas must have equal batch sizes.

    Args:
      momentum: of the moving averages, in [0, 1).
      epsilon: added to the variance.
    """

    def __init__(self, momentum: float = 0.9, epsilon: float = 1e-3, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.momentum = momentum
        self.epsilon = epsilon

    def build(self, input_shape: tuple[int, ...]) -> None:
        """Creates gamma and beta of `parameter_shape`, and the moving averages [channels]."""
        channels = input_shape[-1]

        def weight(
            name: str, value: str, shape: tuple[int, ...], trainable: bool
        ) -> keras.Variable:
            return self.add_weight(
                shape=shape,
                initializer=value,
                name=name,
                dtype="float32",
                trainable=trainable,
                autocast=False,
                aggregation="mean",
            )

        self.gamma = weight("gamma", "ones", self.parameter_shape(channels), trainable=True)
        self.beta = weight("beta", "zeros", self.parameter_shape(channels), trainable=True)
        self.moving_mean = weight("moving_mean", "zeros", (channels,), trainable=False)
        self.moving_variance = weight("moving_variance", "ones", (channels,), trainable=False)

    def parameter_shape(self, channels: int) -> tuple[int, ...]:
        """The shape of gamma and of beta."""
        return (channels,)

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Normalises `inputs`, [n, channels] or [n, height, width, channels]."""
        gamma, beta = tf.convert_to_tensor(self.gamma), tf.convert_to_tensor(self.beta)
        return self.normalise(inputs, gamma, beta, training)

    def normalise(
        self, inputs: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor, training: bool
    ) -> tf.Tensor:
        """Normalises `inputs`, multiplies by gamma and adds beta.

        Args:
          inputs: [n, channels] or [n, height, width, channels].
          gamma, beta: float32 [channels].
          training: use the statistics of the batch, and update the moving averages with them.

        Returns:
          A tensor with the shape and dtype of `inputs`.
        """
        context = tf.distribute.get_replica_context()
        if training and context is not None and context.num_replicas_in_sync > 1:
            outputs, mean, variance = self._across_replicas(inputs, gamma, beta, context)
        else:
            outputs, mean, variance = self._on_one_device(inputs, gamma, beta, training)
        if training:
            for moving, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
                moving.assign(moving * self.momentum + batch * (1.0 - self.momentum))
        return outputs

    def _on_one_device(
        self, inputs: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor, training: bool
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        # The op expects images, so pass a vector as an image of one pixel.
        flat, channels = inputs.shape.rank == 2, inputs.shape[-1]
        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=tf.reshape(inputs, [-1, 1, 1, channels]) if flat else inputs,
            scale=gamma,
            offset=beta,
            mean=[] if training else tf.convert_to_tensor(self.moving_mean),
            variance=[] if training else tf.convert_to_tensor(self.moving_variance),
            epsilon=self.epsilon,
            is_training=training,
        )
        return (tf.reshape(outputs, [-1, channels]) if flat else outputs), mean, variance

    def _across_replicas(
        self,
        inputs: tf.Tensor,
        gamma: tf.Tensor,
        beta: tf.Tensor,
        context: tf.distribute.ReplicaContext,
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        def global_mean(values: tf.Tensor) -> tf.Tensor:
            local = tf.reduce_mean(values, list(range(values.shape.rank - 1)))
            return context.all_reduce(tf.distribute.ReduceOp.MEAN, local)

        values = tf.cast(inputs, tf.float32)
        mean = global_mean(values)
        # Around the global mean, because E[x^2] - E[x]^2 would cancel in float32.
        variance = global_mean(tf.square(values - mean))
        outputs = tf.nn.batch_normalization(values, mean, variance, beta, gamma, self.epsilon)
        # The fused op returns the unbiased variance (Bessel's correction).
        data = tf.cast(tf.size(values) / values.shape[-1], tf.float32)
        count = data * context.num_replicas_in_sync
        return tf.cast(outputs, inputs.dtype), mean, variance * count / tf.maximum(count - 1.0, 1.0)

    def get_config(self) -> dict[str, object]:
        return {**super().get_config(), "momentum": self.momentum, "epsilon": self.epsilon}


@keras.saving.register_keras_serializable("tfx_gan")
class LeakyReLU(keras.layers.LeakyReLU):
    """max(x, negative_slope x), with a gradient that is fast in bfloat16 too."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """A tensor with the shape and dtype of `inputs`."""
        if not _SLOW_GRADIENT or inputs.dtype != tf.bfloat16:
            return tf.nn.leaky_relu(inputs, self.negative_slope)
        return _leaky_relu(self.negative_slope)(inputs)


# TensorFlow's own gradient in bfloat16 was a fifth of a DCGAN's step on a CPU before it was
# vectorised: 19 ms for 128×28×28×64 with 2.16, against 1.9 ms compiled by XLA and 3.1 ms with 2.21.
_SLOW_GRADIENT = tuple(int(part) for part in tf.__version__.split(".")[:2]) < (2, 17)


@functools.cache
def _leaky_relu(negative_slope: float) -> Callable[[tf.Tensor], tf.Tensor]:
    @tf.function(jit_compile=True, autograph=False)
    def gradient(inputs: tf.Tensor, slopes: tf.Tensor) -> tf.Tensor:
        return tf.where(inputs > 0, slopes, tf.cast(negative_slope, slopes.dtype) * slopes)

    @tf.custom_gradient
    def activate(inputs: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
        return tf.nn.leaky_relu(inputs, negative_slope), lambda slopes: gradient(inputs, slopes)

    return activate


@keras.saving.register_keras_serializable("tfx_gan")
class Adam(keras.optimizers.Adam):
    """Adam (Kingma & Ba 2015, arXiv:1412.6980, section 2, the efficient order of operations)."""

    def update_step(
        self, gradient: tf.Tensor, variable: tf.Variable, learning_rate: tf.Tensor
    ) -> None:
        """Updates `variable` and its two moments in one op."""
        index = self._get_variable_index(variable)
        step = tf.cast(self.iterations + 1, variable.dtype)
        beta_1, beta_2 = tf.cast(self.beta_1, variable.dtype), tf.cast(self.beta_2, variable.dtype)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            beta1_power=tf.pow(beta_1, step),
            beta2_power=tf.pow(beta_2, step),
            lr=tf.cast(learning_rate, variable.dtype),
            beta1=beta_1,
            beta2=beta_2,
            epsilon=tf.cast(self.epsilon, variable.dtype),
            grad=tf.cast(gradient, variable.dtype),
        )
