"""The draws of `numpy_draws` as graphs of TensorFlow, of operations that ONNX Runtime has too."""

import numpy as np
import tensorflow as tf

from components.serving import numpy_draws
from components.serving.numpy_draws import CLASSES_STREAM, LATENTS_STREAM, PARALLEL, QUARTER


def latents(seeds: tf.Tensor, size: int) -> tf.Tensor:
    """N(0, I) latents, float32 [n, size].

    Args:
      seeds: int64 [n]; every value is a good one.
      size: of one latent vector.
    """
    pairs = (size + 1) // 2
    radius, angle = (_uniform(each) for each in _words(seeds, pairs, LATENTS_STREAM))
    radius = tf.sqrt(-2.0 * tf.math.log(radius))
    turn = 2.0 * np.pi * angle
    normal = tf.stack([radius * tf.sin(turn + QUARTER), radius * tf.sin(turn)], -1)
    return tf.cast(tf.reshape(normal, [-1, 2 * pairs])[:, :size], tf.float32)


def classes(seeds: tf.Tensor, shares: np.ndarray) -> tf.Tensor:
    """Classes, int64 [n]; see `numpy_draws.classes`."""
    drawn = _uniform(_words(seeds, 1, CLASSES_STREAM)[0][:, 0])
    ends = tf.constant(numpy_draws.class_ends(shares), tf.float64)
    # A search for the place would have no operation in ONNX.
    return tf.reduce_sum(tf.cast(drawn[:, tf.newaxis] >= ends, tf.int64), axis=1)


def between(start: tf.Tensor, end: tf.Tensor, positions: tf.Tensor) -> tf.Tensor:
    """Latents on great circles, float32 [n, size]; see `numpy_draws.between`."""
    cosine = tf.reduce_sum(
        tf.linalg.l2_normalize(start, -1) * tf.linalg.l2_normalize(end, -1), -1, keepdims=True
    )
    angle = tf.acos(tf.clip_by_value(cosine, -1.0, 1.0))
    share = positions[:, tf.newaxis]
    scale = tf.sin(angle)
    on_circle = (tf.sin((1.0 - share) * angle) * start + tf.sin(share * angle) * end) / scale
    on_line = (1.0 - share) * start + share * end
    return tf.where(scale < PARALLEL, on_line, on_circle)


def _words(seeds: tf.Tensor, count: int, stream: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Random words, int32 [n, count] each."""
    # ONNX has neither bit casts nor shifts of int64; this division leaves nothing.
    low = tf.cast(seeds, tf.int32)
    high = tf.truncatediv(seeds - tf.cast(low, tf.int64), tf.constant(2**32, tf.int64))
    high = tf.cast(high, tf.int32) - tf.cast(low < 0, tf.int32)
    key = (low[:, tf.newaxis], high[:, tf.newaxis])
    counter = (tf.range(count)[tf.newaxis], tf.fill([1, count], stream))
    return numpy_draws.threefry(key, counter, tf.bitwise.right_shift)


def _uniform(words: tf.Tensor) -> tf.Tensor:
    """Words as numbers in (0, 1), float64."""
    signed = tf.cast(words, tf.float64)
    return (tf.where(signed < 0.0, signed + 2.0**32, signed) + 0.5) / 2.0**32
