"""The tf.Example contract of numeric columns: one example is one row.

Every column is a separate feature, so that a schema can constrain it.
"""

import dataclasses
import hashlib
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from components.data.examples import NO_LABEL, Split, class_names, example_of, labels_of

# Prefix of the name of a column.
COLUMN = "column/"
LABEL = "row/class/label"
CLASS_NAME = "row/class/text"
SOURCE = "row/source"
HASH = "row/hash"

_HASH_DIGITS = 16
_BATCH = 4096


@dataclasses.dataclass(frozen=True)
class VectorRecord:
    """One row before it becomes a tf.Example.

    Attributes:
      values: by column, finite, in the units of the data.
      source: origin, e.g. `weather.csv#17`.
      label: the class, from 0, or None.
      class_name: name of the class, or None if it has only a number.
    """

    values: dict[str, float]
    source: str
    label: int | None = None
    class_name: str | None = None

    @property
    def digest(self) -> str:
        """16 hexadecimal digits of a SHA-256; equal for equal values in equal columns."""
        # As stored, in 32 bits; adding 0.0 turns -0.0 into 0.0.
        content = "\n".join(
            f"{name}={float(np.float32(value)) + 0.0!r}"
            for name, value in sorted(self.values.items())
        )
        return hashlib.sha256(content.encode()).hexdigest()[:_HASH_DIGITS]


def to_example(record: VectorRecord) -> tf.train.Example:
    """The tf.Example of a record, without the attributes that are None."""
    columns = {COLUMN + name: float(value) for name, value in record.values.items()}
    return example_of(
        {
            **columns,
            SOURCE: record.source,
            HASH: record.digest,
            CLASS_NAME: record.class_name,
            LABEL: record.label,
        }
    )


def read_vectors(files: Sequence[str], columns: Sequence[str]) -> Split:
    """The rows of `files`, in order: float32 [n, columns] in the units of the data, and labels.

    Args:
      files: gzipped TFRecord files.
      columns: names, in the order of the result.

    Raises:
      ValueError: for no examples; and, naming the source of the first offender, for a column that
        is missing or not finite, and labels on only some examples.
    """
    features = {COLUMN + name: tf.io.FixedLenFeature([], tf.float32, np.nan) for name in columns}
    features[LABEL] = tf.io.FixedLenFeature([], tf.int64, NO_LABEL)
    features[CLASS_NAME] = tf.io.FixedLenFeature([], tf.string, "")
    features[SOURCE] = tf.io.FixedLenFeature([], tf.string)
    records = tf.data.TFRecordDataset(list(files), compression_type="GZIP").batch(_BATCH)
    batches = list(
        records.map(lambda batch: tf.io.parse_example(batch, features)).as_numpy_iterator()
    )
    if not batches:
        raise ValueError(f"no examples in {', '.join(files) or 'an empty list of files'}")
    whole = {name: np.concatenate([batch[name] for batch in batches]) for name in features}
    values = np.stack([whole[COLUMN + name] for name in columns], axis=1)
    wrong = np.argwhere(~np.isfinite(values))
    if len(wrong):
        row, column = wrong[0]
        raise ValueError(
            f"{whole[SOURCE][row].decode()}: the column {columns[column]!r} is missing or not a "
            "finite number"
        )
    names = class_names(whole[LABEL], whole[CLASS_NAME])
    return Split(values, labels_of(whole[LABEL], whole[SOURCE], LABEL), names)
