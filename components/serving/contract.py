"""The numbers of the contract between exported generators and those who call them."""

import numpy as np

# Of the signatures as a whole. 1 had `sample(count, seed)`, whose scalars no server can batch.
CONTRACT = 2
# Of one call: bounds the memory that a request can take.
MAX_ROWS = 1024

_SEEDS_PER_RUN = 2**32


def row_seeds(seed: int, count: int, start: int = 0) -> np.ndarray:
    """The seeds of the rows of a run, int64 [count]: seed · 2³² + start, + start + 1, …

    >>> row_seeds(1, 3).tolist()
    [4294967296, 4294967297, 4294967298]

    Args:
      seed: of the run, in [-2³¹, 2³¹).
      count: number of rows, at most 2³² - start.
      start: number of the first row.

    Raises:
      ValueError: for a seed or a row out of range: rows of two runs would be the same.
    """
    if not -(2**31) <= seed < 2**31:
        raise ValueError(f"seed: {seed}, expected a whole number in [-2^31, 2^31)")
    if not 0 <= start <= start + count <= _SEEDS_PER_RUN:
        raise ValueError(f"count: {count} from row {start}, expected at most 2^32 rows of a seed")
    return seed * _SEEDS_PER_RUN + np.arange(start, start + count, dtype=np.int64)
