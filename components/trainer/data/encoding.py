"""Rows of a table as vectors that networks learn, and back; it is exported with the generator.

Codes are those of `components.data.columns`. A vector has one component in [-1, 1] for each column
of numbers, then a group of components for each column of categories, one of which is 1, and a group
of two, (there, missing), for each column of numbers some of which are missing.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from components.data.columns import Column
from components.trainer.data import datetime_graphs
from components.trainer.data.quantiles import Numbers, Quantiles


@dataclasses.dataclass(frozen=True)
class Encoded:
    """How one column is encoded.

    Attributes:
      column: it.
      quantiles: of a column of numbers; None for one of categories.
      categories: of a column of categories, those that its codes stand for.
      missing: whether some of its values are missing.
    """

    column: Column
    quantiles: Quantiles | None
    categories: tuple[str, ...]
    missing: bool

    @property
    def group(self) -> int:
        """The size of its group; 0 for none."""
        if self.quantiles:
            return 2 if self.missing else 0
        return len(self.categories) + self.missing


@dataclasses.dataclass(frozen=True)
class Encoding:
    """Encodes rows of a table, and decodes vectors.

    For example `encoding = Encoding.learn(codes, columns)`, `vectors = encoding.encode(codes)`.

    Attributes:
      encoded: the columns in the order of the codes.
    """

    encoded: tuple[Encoded, ...]

    @classmethod
    def learn(
        cls,
        codes: np.ndarray,
        columns: Sequence[Column | str],
        categories: Mapping[str, Sequence[str]] | None = None,
        numbers: Numbers = "ranks",
    ) -> "Encoding":
        """The encoding of rows.

        Args:
          codes: [n, columns], NaN where a value is missing.
          columns: of the rows; a name alone stands for a column of numbers.
          categories: of the discrete columns, by name.
          numbers: "ranks", or "min_max".

        Raises:
          ValueError: if there are no rows, their width differs from `columns`, a value is infinite,
            a column is empty, or a value is missing in a column that has no missing values.
        """
        if codes.ndim != 2 or not len(codes) or codes.shape[1] != len(columns):
            raise ValueError(
                f"rows: of shape {list(codes.shape)}, expected [n, {len(columns)}], n of 1 or more"
            )
        encoded = []
        for given, each in zip(columns, codes.T.astype(np.float64), strict=True):
            column = Column(name=given) if isinstance(given, str) else given
            missing = np.isnan(each)
            if np.isinf(each).any() or (missing.any() and not column.missing):
                raise ValueError(
                    f"{column.name}: contains a value that is not finite; remove its row"
                )
            if missing.all():
                raise ValueError(f"{column.name}: all values are missing; leave the column out")
            discrete = column.kind.discrete
            encoded.append(
                Encoded(
                    column,
                    None if discrete else Quantiles.learn(column, each[~missing], numbers),
                    tuple((categories or {})[column.name]) if discrete else (),
                    bool(missing.any()),
                )
            )
        return cls(tuple(encoded))

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple(each.column.name for each in self.encoded)

    @property
    def decimals(self) -> tuple[int | None, ...]:
        """The decimals of the columns of numbers; 0 for other columns."""
        return tuple(each.quantiles.decimals if each.quantiles else 0 for each in self.encoded)

    @property
    def units(self) -> tuple[float, ...]:
        """What the values of the columns are multiples of, before decimals."""
        return tuple(each.quantiles.unit if each.quantiles else 1.0 for each in self.encoded)

    @property
    def categories(self) -> dict[str, tuple[str, ...]]:
        """What the codes of the discrete columns stand for, by name."""
        return {e.column.name: e.categories for e in self.encoded if not e.quantiles}

    @property
    def groups(self) -> tuple[int, ...]:
        """The sizes of the groups, which end the vector."""
        return tuple(each.group for each in self.encoded if each.group)

    @property
    def conditions(self) -> list[range]:
        """The components of the group of each discrete column."""
        start, found = self.width - sum(self.groups), []
        for each in self.encoded:
            if not each.quantiles:
                found.append(range(start, start + each.group))
            start += each.group
        return found

    @property
    def condition_names(self) -> dict[int, str]:
        """What the conditions of `conditions.ByColumn` ask for, by number: "sex=female"."""
        names = [
            f"{each.column.name}={name}"
            for each in self.encoded
            if not each.quantiles
            for name in [*each.categories, *([""] if each.missing else [])]
        ]
        return dict(enumerate(names))

    @property
    def width(self) -> int:
        """The number of components of a vector."""
        return sum(each.quantiles is not None for each in self.encoded) + sum(self.groups)

    def check_shape(self, data_shape: Sequence[int]) -> None:
        """Raises ValueError if data of this shape are not vectors that it makes."""
        if tuple(data_shape) != (self.width,):
            raise ValueError(
                f"encoding: makes vectors [{self.width}], "
                f"but the data have shape {list(data_shape)}"
            )

    def describe_columns(self) -> list[dict[str, Any]]:
        """Each column as a recipe names it, with the categories of its codes; JSON."""
        return [
            {**each.column.in_full(), "missing": each.missing, "categories": list(each.categories)}
            for each in self.encoded
        ]

    def describe(self) -> list[dict[str, Any]]:
        """All that it has learnt, as JSON."""
        return [
            {**column, **(dataclasses.asdict(each.quantiles) if each.quantiles else {})}
            for column, each in zip(self.describe_columns(), self.encoded, strict=True)
        ]

    def encode(self, codes: np.ndarray, seed: int = 0) -> np.ndarray:
        """Vectors float32 [n, width] of rows of these columns, with these categories' codes.

        A number that is missing gets any rank.
        """
        rng = np.random.default_rng(seed)
        numbers, groups = [], []
        for each, given in zip(self.encoded, codes.T.astype(np.float64), strict=True):
            missing = np.isnan(given)
            if each.quantiles:
                ranks = rng.random(len(given))
                ranks[~missing] = each.quantiles.ranks(given[~missing], rng)
                numbers.append(2 * ranks - 1)
                chosen = missing.astype(np.int64)
            else:
                chosen = np.where(missing, len(each.categories), given).astype(np.int64)
            if each.group:
                groups.append(np.eye(each.group)[chosen])
        parts = [np.stack(numbers, axis=1)] if numbers else []
        return np.concatenate([*parts, *groups], axis=1).astype(np.float32)

    def decode(self, vectors: tf.Tensor) -> tf.Tensor:
        """Codes float64 [n, columns] of vectors [n, width], not rounded."""
        vectors = tf.cast(vectors, tf.float64)
        ranks = (tf.clip_by_value(vectors, -1.0, 1.0) + 1.0) / 2.0
        numbers = iter(range(self.width))
        start = self.width - sum(self.groups)
        found = []
        for each in self.encoded:
            chosen = tf.argmax(vectors[:, start : start + each.group], axis=1) if each.group else 0
            start += each.group
            if each.quantiles:
                code, last = each.quantiles.numbers(ranks[:, next(numbers)]), 1
            else:
                code, last = tf.cast(chosen, tf.float64), len(each.categories)
            if each.missing:
                code = tf.where(chosen == last, tf.constant(np.nan, tf.float64), code)
            found.append(code)
        return tf.stack(found, axis=1)

    def rounded(self, codes: tf.Tensor) -> tf.Tensor:
        """Codes, rounded to the decimals or the units of the columns."""
        known = [places is not None for places in self.decimals]
        factors = tf.constant([10.0 ** (places or 0) for places in self.decimals], tf.float64)
        exact = tf.cast(codes, tf.float64)
        rounded = tf.round(exact / self.units * factors) / factors * self.units
        return tf.cast(tf.where(known, rounded, exact), self.dtype)

    @property
    def dtype(self) -> tf.DType:
        """Of codes that leave the generator: float64 where float32 would lose digits."""
        plain = all(each.column.type == "number" for each in self.encoded)
        return tf.float32 if plain else tf.float64

    def values(self, codes: tf.Tensor) -> dict[str, tf.Tensor]:
        """The values of rounded codes [n, columns], by column.

        Numbers are float32, whole numbers int64, or float64 where some are missing (NaN), booleans
        bool; categories, datetimes in their format and booleans of which some are missing are text,
        "" where missing.
        """
        exact = tf.cast(codes, tf.float64)
        return {
            each.column.name: _values(each, exact[:, place])
            for place, each in enumerate(self.encoded)
        }


def _values(encoded: Encoded, codes: tf.Tensor) -> tf.Tensor:
    column = encoded.column
    there = ~tf.math.is_nan(codes)
    if not encoded.quantiles:
        place = tf.cast(
            tf.where(there, codes, tf.cast(len(encoded.categories), codes.dtype)), tf.int32
        )
        if column.type == "boolean" and not encoded.missing:
            return tf.gather([column.kind.typed(name) for name in encoded.categories], place)
        return tf.gather([*encoded.categories, ""], place)
    if column.type == "number":
        return tf.cast(codes, tf.float32)
    if column.type == "integer" and encoded.missing:
        return codes
    whole = tf.cast(tf.where(there, codes, 0.0), tf.int64)
    if column.type == "integer":
        return whole
    assert column.format is not None  # Datetimes have one.
    return tf.where(there, datetime_graphs.text(whole, column.format), "")
