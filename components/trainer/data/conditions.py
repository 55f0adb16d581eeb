"""Rows chosen by the value of one of their discrete columns, to learn to be asked for it."""

import dataclasses

import numpy as np
import tensorflow as tf

from components.data import mapped
from components.trainer.data.encoding import Encoding
from components.trainer.data.sources import Source

# The random streams of conditions and rows; `sources`, `batches` and `gan.rng` use other ones.
_STREAM = 3


@dataclasses.dataclass(frozen=True, eq=False)
class ByColumn(Source):
    """Vectors of rows, each with a condition that it fulfils.

    Conditions are the values of all discrete columns, numbered in the order of their components. In
    a batch each comes from a column chosen uniformly and is chosen by the logarithm of its
    frequency, so that rare values are learnt, and the row uniformly among those that have the
    value: "training-by-sampling", Xu et al. 2019 (CTGAN), arXiv:1907.00503, section 4.3.

    Attributes:
      data: float32 [n, width].
      rows: int32, the indices of the rows that fulfil each condition, one condition after another.
      starts, counts: int64 [conditions], where those of a condition are in `rows`.
      chances: float64 [conditions], of a condition in a batch.
    """

    data: np.ndarray = dataclasses.field(kw_only=True, repr=False)
    rows: np.ndarray = dataclasses.field(kw_only=True, repr=False)
    starts: np.ndarray = dataclasses.field(kw_only=True, repr=False)
    counts: np.ndarray = dataclasses.field(kw_only=True, repr=False)
    chances: np.ndarray = dataclasses.field(kw_only=True, repr=False)

    def take(self, count: int, seed: int) -> tuple[np.ndarray, np.ndarray | None]:
        rng = np.random.default_rng(seed)
        assert self.class_shares is not None  # `by_column` sets it.
        labels = rng.choice(len(self.counts), min(count, len(self.data)), p=self.class_shares)
        places = self.starts[labels] + (rng.random(len(labels)) * self.counts[labels]).astype(int)
        return self.data[self.rows[places]], labels.astype(np.int32)

    def batches(self, size: int, first: int, seed: int, own: slice) -> tf.data.Dataset:
        # Outside the function, or they would be constants of its graph, which has to be small.
        with tf.device("CPU"):
            borders = tf.constant(np.cumsum(self.chances)[:-1])
            starts, counts = tf.constant(self.starts), tf.constant(self.counts, tf.float64)
            rows, data = tf.constant(self.rows), tf.constant(self.data)

        def draw(batch: tf.Tensor) -> dict[str, tf.Tensor]:
            stream = tf.random.experimental.stateless_fold_in([seed, _STREAM], batch)
            shares = tf.random.stateless_uniform([2, size], stream, dtype=tf.float64)[:, own]
            labels = tf.searchsorted(borders, shares[0], side="right")
            within = tf.cast(tf.gather(counts, labels) * shares[1], tf.int64)
            places = tf.gather(starts, labels) + within
            return {"real": tf.gather(data, tf.gather(rows, places)), "labels": labels}

        return mapped.uncopied_map(tf.data.Dataset.range(first, np.iinfo(np.int64).max), draw)


def by_column(vectors: np.ndarray, encoding: Encoding) -> ByColumn:
    """The source of encoded rows.

    Args:
      vectors: float32 [n, width] of `encoding`.
      encoding: of a table with discrete columns.

    Raises:
      ValueError: if there is no discrete column.
    """
    groups = encoding.conditions
    if not groups:
        raise ValueError(
            "conditioning.by: columns, but data.columns has no categorical or boolean column"
        )
    rows, counts, chances = [], [], []
    for group in groups:
        values = vectors[:, list(group)].argmax(axis=1)
        rows.append(np.argsort(values, kind="stable"))
        found = np.bincount(values, minlength=len(group))
        counts.append(found)
        logarithms = np.log1p(found)
        chances.append(logarithms / logarithms.sum() / len(groups))
    every = np.concatenate(counts)
    return ByColumn(
        vectors.shape[1:],
        vectors.dtype,
        len(vectors),
        True,
        len(every),
        every / every.sum(),
        data=vectors,
        rows=np.concatenate(rows).astype(np.int32),
        starts=np.cumsum(every) - every,
        counts=every,
        chances=np.concatenate(chances),
    )
