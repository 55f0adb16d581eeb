"""Layers and optimizers of Keras in the form that TensorFlow runs as one op each.

Keras 3 writes batch normalisation and Adam as dozens of small ops; on a CPU they cost as much as
a convolution. The classes here compute the same values behind the same interfaces.
"""

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("tfx_gan")
class BatchNormalization(keras.layers.Layer):
    """Batch normalisation over all axes but the last (Ioffe & Szegedy 2015, arXiv:1502.03167).

    Statistics and parameters are float32 whatever the compute dtype. Under several replicas each
    normalises with its own statistics; the moving averages are the mean over the replicas.

    Args:
      momentum: of the moving averages, in [0, 1).
      epsilon: added to the variance.
    """

    def __init__(self, momentum: float = 0.9, epsilon: float = 1e-3, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.momentum = momentum
        self.epsilon = epsilon

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Makes gamma, beta and the moving averages, each [channels]."""
        shape = (input_shape[-1],)

        def weight(name: str, value: str, trainable: bool) -> keras.Variable:
            return self.add_weight(
                shape=shape,
                initializer=value,
                name=name,
                dtype="float32",
                trainable=trainable,
                autocast=False,
                aggregation="mean",
            )

        self.gamma = weight("gamma", "ones", trainable=True)
        self.beta = weight("beta", "zeros", trainable=True)
        self.moving_mean = weight("moving_mean", "zeros", trainable=False)
        self.moving_variance = weight("moving_variance", "ones", trainable=False)

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Normalises `inputs`, [n, channels] or [n, height, width, channels]."""
        # The op takes images; to it a vector is an image of one pixel.
        flat = inputs.shape.rank == 2
        images = inputs[:, tf.newaxis, tf.newaxis, :] if flat else inputs
        gamma, beta = tf.convert_to_tensor(self.gamma), tf.convert_to_tensor(self.beta)
        if training:
            outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
                x=images, scale=gamma, offset=beta, mean=[], variance=[], epsilon=self.epsilon
            )
            for moving, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
                moving.assign(moving * self.momentum + batch * (1.0 - self.momentum))
        else:
            outputs, *_ = tf.raw_ops.FusedBatchNormV3(
                x=images,
                scale=gamma,
                offset=beta,
                mean=tf.convert_to_tensor(self.moving_mean),
                variance=tf.convert_to_tensor(self.moving_variance),
                epsilon=self.epsilon,
                is_training=False,
            )
        return outputs[:, 0, 0, :] if flat else outputs

    def get_config(self) -> dict[str, object]:
        """The constructor's arguments."""
        return {**super().get_config(), "momentum": self.momentum, "epsilon": self.epsilon}


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
