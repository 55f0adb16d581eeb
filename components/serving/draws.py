"""Latents and classes as functions of a seed, the same in TensorFlow, NumPy and JavaScript.

TensorFlow's own generator exists in no other runtime. This one is Threefry-2x32 with 20 rounds
(Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011, section 3), which needs
32-bit additions, rotations and exclusive ors only, followed by the transform of Box and Muller.
That is computed in float64: logarithms and cosines differ between runtimes in their last bits,
which rounding to float32 removes but for about one number in 10^8.

Row i is a function of seed i alone: its two halves are the key, the counter is (number, stream).
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

_LATENTS_STREAM, _CLASSES_STREAM = 0, 1

# Of Threefry-2x32 (table 2); they repeat.
_ROTATIONS = (13, 15, 26, 6, 17, 29, 16, 24)
_ROUNDS, _ROUNDS_PER_KEY = 20, 4
# Of the key's third word: keeps three equal words from being a fixed point.
_PARITY = 0x1BD11BDA

# Of a turn: a cosine is a sine there, as ONNX Runtime has no cosine in float64.
_QUARTER = np.pi / 2
# A sine below which two latents count as parallel.
_PARALLEL = 1e-4

# int32 arrays or tensors, whose operators are the same; sums and products wrap around.
_Words = Any


def threefry(
    key: tuple[_Words, _Words],
    counter: tuple[_Words, _Words],
    right_shift: Callable[[_Words, int], _Words],
) -> tuple[_Words, _Words]:
    """Two random words for each pair of a key and a counter.

    Args:
      key, counter: int32, of shapes that broadcast; their bits are the paper's uint32.
      right_shift: of the library that they are of; whether it extends the sign does not matter.
    """
    keys = (*key, key[0] ^ key[1] ^ _PARITY)
    first, second = counter[0] + keys[0], counter[1] + keys[1]
    for round_ in range(_ROUNDS):
        places = _ROTATIONS[round_ % len(_ROTATIONS)]
        carried = right_shift(second, 32 - places) & (2**places - 1)
        first = first + second
        second = (second * 2**places | carried) ^ first
        injection, left = divmod(round_ + 1, _ROUNDS_PER_KEY)
        if not left:
            first = first + keys[injection % 3]
            second = second + keys[(injection + 1) % 3] + injection
    return first, second


def latents(seeds: tf.Tensor, size: int) -> tf.Tensor:
    """N(0, I) latents, float32 [n, size].

    Args:
      seeds: int64 [n]; every value is a good one.
      size: of one latent vector.
    """
    pairs = (size + 1) // 2
    radius, angle = (_uniform(each) for each in _words(seeds, pairs, _LATENTS_STREAM))
    radius = tf.sqrt(-2.0 * tf.math.log(radius))
    turn = 2.0 * np.pi * angle
    normal = tf.stack([radius * tf.sin(turn + _QUARTER), radius * tf.sin(turn)], -1)
    return tf.cast(tf.reshape(normal, [-1, 2 * pairs])[:, :size], tf.float32)


def classes(seeds: tf.Tensor, shares: np.ndarray) -> tf.Tensor:
    """Classes, int64 [n], as often as their shares say; independent of the seeds' latents.

    Args:
      seeds: int64 [n].
      shares: of the classes, [classes], with sum 1; classes of share 0 are never drawn.
    """
    drawn = _uniform(_words(seeds, 1, _CLASSES_STREAM)[0][:, 0])
    ends = np.cumsum(shares) / np.sum(shares)
    # What is left to rounding goes to no class without a share.
    ends[np.flatnonzero(shares)[-1] :] = 1.0
    return tf.searchsorted(tf.constant(ends, tf.float64), drawn, side="right", out_type=tf.int64)


def between(start: tf.Tensor, end: tf.Tensor, positions: tf.Tensor) -> tf.Tensor:
    """Latents on great circles, which are as long as those that generators are trained with.

    White, "Sampling Generative Networks", 2016, section 2.1.

    Args:
      start, end: float32 [n, size].
      positions: float32 [n] in [0, 1]; 0 is the start.

    Returns:
      float32 [n, size]; on a line where start and end are parallel.
    """
    cosine = tf.reduce_sum(
        tf.linalg.l2_normalize(start, -1) * tf.linalg.l2_normalize(end, -1), -1, keepdims=True
    )
    angle = tf.acos(tf.clip_by_value(cosine, -1.0, 1.0))
    share = positions[:, tf.newaxis]
    scale = tf.sin(angle)
    on_circle = (tf.sin((1.0 - share) * angle) * start + tf.sin(share * angle) * end) / scale
    on_line = (1.0 - share) * start + share * end
    return tf.where(scale < _PARALLEL, on_line, on_circle)


def numpy_latents(seeds: np.ndarray, size: int) -> np.ndarray:
    """As `latents`, without TensorFlow's graph: for clients of other runtimes.

    >>> [f"{value:.4f}" for value in numpy_latents(np.array([7]), 3)[0]]
    ['-0.0405', '-0.4363', '-0.3206']
    """
    seeds = np.asarray(seeds, np.int64)
    low, high = ((seeds >> shift).astype(np.int32)[:, np.newaxis] for shift in (0, 32))
    pairs = (size + 1) // 2
    numbers = np.arange(pairs, dtype=np.int32)[np.newaxis]
    counter = (numbers, np.zeros_like(numbers) + _LATENTS_STREAM)
    words = threefry((low, high), counter, np.right_shift)
    radius, angle = ((word.astype(np.uint32) + 0.5) / 2.0**32 for word in words)
    radius, turn = np.sqrt(-2.0 * np.log(radius)), 2.0 * np.pi * angle
    normal = np.stack([radius * np.sin(turn + _QUARTER), radius * np.sin(turn)], -1)
    return normal.reshape(-1, 2 * pairs)[:, :size].astype(np.float32)


def _words(seeds: tf.Tensor, count: int, stream: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Random words, int32 [n, count] each."""
    # ONNX has neither bit casts nor shifts of int64; this division leaves nothing.
    low = tf.cast(seeds, tf.int32)
    high = tf.truncatediv(seeds - tf.cast(low, tf.int64), tf.constant(2**32, tf.int64))
    high = tf.cast(high, tf.int32) - tf.cast(low < 0, tf.int32)
    key = (low[:, tf.newaxis], high[:, tf.newaxis])
    counter = (tf.range(count)[tf.newaxis], tf.fill([1, count], stream))
    return threefry(key, counter, tf.bitwise.right_shift)


def _uniform(words: tf.Tensor) -> tf.Tensor:
    """Words as numbers in (0, 1), float64."""
    signed = tf.cast(words, tf.float64)
    return (tf.where(signed < 0.0, signed + 2.0**32, signed) + 0.5) / 2.0**32
