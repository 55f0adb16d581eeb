"""Codes of rows as the values of their columns, without TensorFlow; see `data.columns`."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from components.data import datetimes

# A column of a generator's description: name, type, format, missing, categories.
Description = Mapping[str, Any]


def values(codes: np.ndarray, table: Sequence[Description]) -> dict[str, np.ndarray]:
    """The columns of rows by name, each of its own type.

    Args:
      codes: [n, columns], NaN for a missing value.
      table: the columns.

    Returns:
      float32 for numbers, NaN where missing; int64 for whole numbers, bool for booleans, and text
      for categories and, in their format, datetimes; all of these as objects, None where missing,
      if there can be missing values.
    """
    return {each["name"]: _column(codes[:, place], each) for place, each in enumerate(table)}


def _column(codes: np.ndarray, of: Description) -> np.ndarray:
    if of["type"] == "number":
        return codes.astype(np.float32)
    missing = np.isnan(codes)
    whole = np.where(missing, 0, codes).round().astype(np.int64)
    if of["type"] == "integer":
        found = whole
    elif of["type"] == "datetime":
        found = np.array([datetimes.text(each, of["format"]) for each in whole.tolist()], object)
    else:
        names = of["categories"]
        truth = of["type"] == "boolean"
        known = [name.lower() == "true" for name in names] if truth else names
        # One more, for rows that are missing where no value has been seen.
        found = np.array([*known, *known[:1]], bool if truth else object)[whole]
    if not of["missing"]:
        return found
    found = found.astype(object)
    found[missing] = None
    return found
