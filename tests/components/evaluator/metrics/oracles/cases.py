"""The features that the reference implementations and ours are given: the same bits everywhere.

Uniform numbers of RandomState, which NumPy keeps as they are, elementwise sums, and values that are
multiples of 1/4096: no library's logarithm, matrix product or float32 can change them.
"""

import hashlib

import numpy as np


def bell(seed, rows, columns):
    """Sums of uniform numbers, about normal: mean 0, variance 1/3."""
    a, b, c, d = np.random.RandomState(seed).random_sample((4, rows, columns))
    return np.round((a + b + c + d - 2) * 4096) / 4096


def chained(rows):
    """Each column is mostly its left neighbour."""
    for column in range(1, rows.shape[1]):
        rows[:, column] = np.round((0.9 * rows[:, column - 1] + rows[:, column]) * 4096) / 4096
    return rows


def with_constants(rows):
    return np.where(np.arange(rows.shape[1]) % 3 == 0, 0.5, rows)


def clustered(seed, clusters, rows, columns):
    """`rows` of each cluster, whose centres are as far apart as the seed 100 says."""
    centres = 4 * bell(100, 10, columns)[clusters]
    return np.repeat(centres, rows, axis=0) + bell(seed, rows * len(clusters), columns)


# Real and fake features by name.
CASES = {
    "random": lambda: (bell(1, 400, 16), 1.5 * bell(2, 300, 16) + 0.25),
    "equal counts": lambda: (bell(3, 500, 32), bell(4, 500, 32) + 0.125),
    "correlated": lambda: (chained(bell(5, 600, 48)), chained(bell(6, 500, 48))),
    "one feature": lambda: (bell(7, 100, 1), bell(8, 80, 1) + 1),
    "fewer rows than features": lambda: (bell(9, 40, 64), 1.5 * bell(10, 30, 64)),
    "constant features": lambda: (
        with_constants(bell(11, 300, 12)),
        with_constants(bell(12, 300, 12) + 0.5),
    ),
    "collapsed": lambda: (bell(13, 200, 8), np.tile(bell(14, 1, 8), (200, 1))),
    "missing modes": lambda: (
        clustered(15, list(range(10)), 60, 24),
        clustered(16, [0, 2, 3, 7], 150, 24),
    ),
    "shrunken": lambda: (bell(17, 500, 128), 0.25 * bell(18, 500, 128)),
    "2048 features": lambda: (bell(19, 2500, 2048), bell(20, 2500, 2048) + 0.0625),
    "copies": lambda: (bell(21, 200, 16), bell(21, 200, 16)[::-1].copy()),
    "grid": lambda: (np.round(4 * bell(22, 300, 3)), np.round(4 * bell(23, 250, 3))),
}

# Logits [n, classes] of a classifier, by name; n is a multiple of 10.
LOGITS = {
    "unsure": lambda: bell(31, 500, 10),
    "sure": lambda: 16 * bell(32, 1000, 100),
}


def checksum(*arrays):
    """Of shapes and float64 values."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(repr(array.shape).encode())
        digest.update(np.ascontiguousarray(array, "<f8").tobytes())
    return digest.hexdigest()[:16]
