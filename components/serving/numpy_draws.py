"""Latents and classes as functions of a seed, for clients without TensorFlow: NumPy alone.

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

# Of the counter: what a seed is asked for.
LATENTS_STREAM, CLASSES_STREAM, ACCEPTANCE_STREAM = 0, 1, 2
# Of a turn: a cosine is a sine there, as ONNX Runtime has no cosine in float64.
QUARTER = np.pi / 2
# A sine below which two latents count as parallel.
PARALLEL = 1e-4

# Of Threefry-2x32 (table 2); they repeat.
_ROTATIONS = (13, 15, 26, 6, 17, 29, 16, 24)
_ROUNDS, _ROUNDS_PER_KEY = 20, 4
# Of the key's third word: keeps three equal words from being a fixed point.
_PARITY = 0x1BD11BDA

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


def latents(seeds: np.ndarray, size: int) -> np.ndarray:
    """N(0, I) latents, float32 [n, size].

    >>> [f"{value:.4f}" for value in latents(np.array([7]), 3)[0]]
    ['-0.0405', '-0.4363', '-0.3206']

    Args:
      seeds: int64 [n]; every value is a good one.
      size: of one latent vector.
    """
    pairs = (size + 1) // 2
    radius, angle = (_uniform(each) for each in _words(seeds, pairs, LATENTS_STREAM))
    radius, turn = np.sqrt(-2.0 * np.log(radius)), 2.0 * np.pi * angle
    normal = np.stack([radius * np.sin(turn + QUARTER), radius * np.sin(turn)], -1)
    return normal.reshape(-1, 2 * pairs)[:, :size].astype(np.float32)


def classes(seeds: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Classes, int64 [n], as often as their shares say; independent of the seeds' latents.

    Args:
      seeds: int64 [n].
      shares: of the classes, [classes], with sum 1; classes of share 0 are never drawn.
    """
    drawn = _uniform(_words(seeds, 1, CLASSES_STREAM)[0][:, 0])
    return np.searchsorted(class_ends(shares), drawn, side="right").astype(np.int64)


def uniforms(seeds: np.ndarray) -> np.ndarray:
    """Numbers in (0, 1), float64 [n], independent of the seeds' latents and classes."""
    return _uniform(_words(seeds, 1, ACCEPTANCE_STREAM)[0][:, 0])


def class_ends(shares: np.ndarray) -> np.ndarray:
    """Where in [0, 1] the interval of each class ends, float64 [classes]."""
    ends = np.cumsum(shares) / np.sum(shares)
    # What is left to rounding goes to no class without a share.
    ends[np.flatnonzero(shares)[-1] :] = 1.0
    return ends


def between(start: np.ndarray, end: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Latents on great circles, which are as long as those that generators are trained with.

    White, "Sampling Generative Networks", 2016, section 2.1.

    Args:
      start, end: float32 [n, size].
      positions: float32 [n] in [0, 1]; 0 is the start.

    Returns:
      float32 [n, size]; on a line where start and end are parallel.
    """
    lengths = np.linalg.norm(start, axis=-1) * np.linalg.norm(end, axis=-1)
    cosine = np.sum(start * end, -1) / np.maximum(lengths, np.finfo(np.float32).tiny)
    angle = np.arccos(np.clip(cosine, -1.0, 1.0))[:, np.newaxis]
    share = positions[:, np.newaxis]
    scale = np.sin(angle)
    on_line = (1.0 - share) * start + share * end
    on_circle = np.sin((1.0 - share) * angle) * start + np.sin(share * angle) * end
    parallel = scale < PARALLEL
    return np.where(parallel, on_line, on_circle / np.where(parallel, 1.0, scale))


def _words(seeds: np.ndarray, count: int, stream: int) -> tuple[np.ndarray, np.ndarray]:
    """Random words, int32 [n, count] each."""
    seeds = np.asarray(seeds, np.int64)
    low, high = ((seeds >> shift).astype(np.int32)[:, np.newaxis] for shift in (0, 32))
    numbers = np.arange(count, dtype=np.int32)[np.newaxis]
    return threefry((low, high), (numbers, np.full_like(numbers, stream)), np.right_shift)


def _uniform(words: np.ndarray) -> np.ndarray:
    """Words as numbers in (0, 1), float64."""
    return (words.astype(np.uint32) + 0.5) / 2.0**32
