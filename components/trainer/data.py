"""The input of training: batches as a pure function of the seed and the step."""

import numpy as np
import tensorflow as tf

# Random streams are kept apart by what they are for.
_ORDER_STREAM = 0
_LATENTS_STREAM = 1


def latents(seed: int, index: tf.Tensor | int, shape: tuple[int, ...]) -> tf.Tensor:
    """N(0, I) latents, float32 `shape`; the same for the same (seed, index) on every device."""
    stream = tf.random.experimental.stateless_fold_in([seed, _LATENTS_STREAM], index)
    return tf.random.stateless_normal(shape, stream)


def training_batches(
    data: np.ndarray,
    *,
    batch_size: int,
    discriminator_steps: int,
    latent_dim: int,
    seed: int,
    first_step: int = 0,
) -> tf.data.Dataset:
    """Endless (real data, latents) of one training step each.

    Data are kept in memory as they are (images as uint8) and visited in epochs, each in an order
    of its own; batches run across the ends of epochs, so that nothing is left out. Because order
    and latents follow from (seed, step), training that starts at `first_step` sees what it would
    have seen without the interruption.

    Args:
      data: [n, ...].
      batch_size: data a discriminator update, over all devices together.
      discriminator_steps: discriminator updates a step.
      latent_dim: size of one latent vector.
      seed: of order and latents.
      first_step: step of the first element.

    Returns:
      Elements ([batch_size, discriminator_steps, ...] of the data's dtype,
      float32 [batch_size, discriminator_steps, latent_dim]); the batch comes first, so that
      tf.distribute can split it.
    """
    count = len(data)
    per_step = batch_size * discriminator_steps
    epoch, within = divmod(first_step * per_step, count)
    with tf.device("CPU"):
        cached = tf.constant(data)

    def order(epoch: tf.Tensor) -> tf.data.Dataset:
        stream = tf.random.experimental.stateless_fold_in([seed, _ORDER_STREAM], epoch)
        shuffled = tf.random.experimental.stateless_shuffle(tf.range(count), stream)
        return tf.data.Dataset.from_tensor_slices(shuffled)

    def step_of(step: tf.Tensor, indices: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        split = (batch_size, discriminator_steps)
        real = tf.reshape(tf.gather(cached, indices), (*split, *data.shape[1:]))
        return real, latents(seed, step, (*split, latent_dim))

    indices = tf.data.Dataset.range(epoch, np.iinfo(np.int64).max).flat_map(order).skip(within)
    steps = indices.batch(per_step, drop_remainder=True).enumerate(start=first_step)
    batches = steps.map(step_of, num_parallel_calls=tf.data.AUTOTUNE).prefetch(2)
    options = tf.data.Options()
    # One process feeds all of its devices: there are no files to shard.
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    return batches.with_options(options)
