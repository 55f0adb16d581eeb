"""Min-max scaling of table columns to [-1, 1] and back; it is exported with the generator."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

_MOST_DECIMALS = 6


@dataclasses.dataclass(frozen=True)
class Scaling:
    """Scales vectors from the units of the data to [-1, 1], and back.

    Computed in float64, so float32 data are recovered to within one ulp of their column's largest
    value.

    Attributes:
      columns: column names.
      low, high: minimum and maximum of each column, which become -1 and 1. A constant column
        becomes 0.
      decimals: number of decimals of each column's values, 0 for integers; None if more than 6.
    """

    columns: tuple[str, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    decimals: tuple[int | None, ...]

    @classmethod
    def learn(cls, rows: np.ndarray, columns: Sequence[str]) -> "Scaling":
        """The scaling of rows [n, columns] in the units of the data.

        Raises:
          ValueError: if there are no rows, their width differs from `columns`, or a value is not
            finite.
        """
        if rows.ndim != 2 or not len(rows) or rows.shape[1] != len(columns):
            raise ValueError(
                f"rows: of shape {list(rows.shape)}, expected [n, {len(columns)}], n of 1 or more"
            )
        low, high = rows.min(axis=0), rows.max(axis=0)
        for name, ends in zip(columns, zip(low, high, strict=True), strict=True):
            if not np.isfinite(ends).all():
                raise ValueError(f"{name}: contains a value that is not finite; remove its row")
        return cls(
            columns=tuple(columns),
            low=tuple(low.tolist()),
            high=tuple(high.tolist()),
            decimals=tuple(_decimals(column) for column in rows.T),
        )

    def to_unit(self, rows: np.ndarray) -> np.ndarray:
        """Scales rows [n, columns] to float32, in [-1, 1] if within the columns' ranges."""
        low, high = np.array(self.low), np.array(self.high)
        span = np.where(high > low, high - low, np.inf)
        middle = np.where(high > low, 1.0, 0.0)
        return (2.0 * (rows - low) / span - middle).astype(np.float32)

    def from_unit(self, values: tf.Tensor) -> tf.Tensor:
        """Vectors [n, columns] as float32 in the units of the data, clipped to their ranges."""
        share = (tf.clip_by_value(tf.cast(values, tf.float64), -1.0, 1.0) + 1.0) / 2.0
        low, high = (tf.constant(ends, tf.float64) for ends in (self.low, self.high))
        return tf.cast(low * (1.0 - share) + high * share, tf.float32)

    def rounded(self, rows: tf.Tensor) -> tf.Tensor:
        """Rows in the units of the data, rounded to the decimals of each column."""
        known = [places is not None for places in self.decimals]
        factors = tf.constant([10.0 ** (places or 0) for places in self.decimals], tf.float64)
        rounded = tf.round(tf.cast(rows, tf.float64) * factors) / factors
        return tf.where(known, tf.cast(rounded, rows.dtype), rows)


def _decimals(column: np.ndarray) -> int | None:
    exact = column.astype(np.float64)
    for places in range(_MOST_DECIMALS + 1):
        if (exact.round(places).astype(column.dtype) == column).all():
            return places
    return None
