"""The numbers of the contract between exported generators and those who call them."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

# Of the signatures as a whole. 1 had `sample(count, seed)`, whose scalars no server can batch.
CONTRACT = 2
# Of one call: bounds the memory that a request can take.
MAX_ROWS = 1024

# What every value of an input has to be.
FINITE, IN_UNIT_INTERVAL = "expected finite numbers", "expected numbers in [0, 1]"
VALUES = {
    "latents": FINITE,
    "truncation": IN_UNIT_INTERVAL,
    "positions": IN_UNIT_INTERVAL,
    "shares": IN_UNIT_INTERVAL,
}
# Inputs that are classes.
LABELS = ("labels", "other_labels")

# False for NaN.
_IS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    FINITE: np.isfinite,
    IN_UNIT_INTERVAL: lambda values: (values >= 0.0) & (values <= 1.0),
}

_SEEDS_PER_RUN = 2**32
# Labels in an error.
_NAMED = 10


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


def check(
    inputs: Mapping[str, np.ndarray], max_rows: int, class_shares: np.ndarray | None = None
) -> None:
    """Refuses what the graphs of a SavedModel refuse, for runtimes without such checks.

    Args:
      inputs: of a signature, by name, with dimension 0 for the rows.
      max_rows: of a call.
      class_shares: as often as the classes are in the data, [classes]; for `labels`.

    Raises:
      ValueError: for too many rows, unequal numbers of them, and values out of range.
    """
    (first, rows), *others = ((name, len(values)) for name, values in inputs.items())
    if rows > max_rows:
        raise ValueError(f"{first}: {too_many(max_rows)} {rows}")
    for name, count in others:
        if count != rows:
            raise ValueError(f"{name}: {rows_needed(first)} {rows}, found {count}")
    for name, expected in VALUES.items():
        if name in inputs and not _IS[expected](inputs[name]).all():
            raise ValueError(f"{name}: {expected}")
    if "labels" in inputs and class_shares is not None:
        unknown = ~np.isin(inputs["labels"], np.flatnonzero(class_shares))
        if unknown.any():
            asked = np.unique(inputs["labels"][unknown])[:_NAMED].tolist()
            raise ValueError(f"labels: {no_such_class(class_shares)} {asked}")


def too_many(max_rows: int) -> str:
    """Words before a number of rows."""
    return f"a call may have {max_rows} rows, not"


def rows_needed(first: str) -> str:
    """Words before the number of rows of the first input."""
    return f"as many rows as {first} needed,"


def no_such_class(class_shares: np.ndarray) -> str:
    """Words before labels."""
    return f"no such class; {classes_in_words(class_shares)}; asked for"


def classes_in_words(class_shares: np.ndarray) -> str:
    """The classes that a generator can make, and those that had no examples.

    >>> classes_in_words(np.array([0.5, 0.25, 0.0, 0.25]))
    'the generator has classes 0-1, 3; the data had no examples of 2'
    """
    there = class_shares > 0
    words = f"the generator has classes {_ranges(np.flatnonzero(there))}"
    if not there.all():
        words += f"; the data had no examples of {_ranges(np.flatnonzero(~there))}"
    return words


def _ranges(numbers: np.ndarray) -> str:
    runs = np.split(numbers, np.flatnonzero(np.diff(numbers) > 1) + 1)
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def whole(name: str, values: Any) -> np.ndarray:  # noqa: ANN401
    """The values of an input as int64 [n]; raises ValueError for what that would change."""
    found = np.asarray(values)
    if found.ndim != 1 or (found.size and found.dtype.kind not in "iuO"):
        raise ValueError(
            f"{name}: {found.dtype} {list(found.shape)}, expected whole numbers, a list of them"
        )
    try:
        exact = found.astype(np.int64)
    except (OverflowError, TypeError, ValueError):
        exact = None
    if exact is None or (found.size and (exact != found).any()):
        raise ValueError(f"{name}: expected whole numbers in [-2^63, 2^63)")
    return exact


def floats(name: str, values: Any, count: int) -> np.ndarray:  # noqa: ANN401
    """Those of one of floats as float32 [n], from [n] or from one number for `count` rows.

    Raises:
      ValueError: for what are no numbers, or not in one dimension.
    """
    try:
        found = np.asarray(values, np.float32)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: expected numbers: {error}") from error
    if found.ndim > 1:
        raise ValueError(f"{name}: of shape {list(found.shape)}, expected one number or a list")
    return found if found.ndim else np.full(count, found)
