"""The tf.Example contract of tables: one example is one row.

Every column is a separate feature, of the dtype of its `columns.ColumnType`, so that a schema can
constrain it. A missing value is a missing feature.
"""

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from components.data.columns import Column, Value
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
      values: by column; None for a missing one.
      source: origin, e.g. `weather.csv#17`.
      label: the class, from 0, or None.
      class_name: name of the class, or None if it has only a number.
    """

    values: Mapping[str, Value | None]
    source: str
    label: int | None = None
    class_name: str | None = None

    @property
    def digest(self) -> str:
        """16 hexadecimal digits of a SHA-256; equal for equal values in equal columns."""
        content = "\n".join(
            f"{name}={_stored(value)!r}" for name, value in sorted(self.values.items())
        )
        return hashlib.sha256(content.encode()).hexdigest()[:_HASH_DIGITS]


def to_example(record: VectorRecord) -> tf.train.Example:
    """The tf.Example of a record, without the attributes and values that are None."""
    return example_of(
        {
            **{COLUMN + name: value for name, value in record.values.items()},
            SOURCE: record.source,
            HASH: record.digest,
            CLASS_NAME: record.class_name,
            LABEL: record.label,
        }
    )


def read_vectors(files: Sequence[str], columns: Sequence[Column]) -> Split:
    """The rows of `files`, in order: codes float64 [n, columns], and labels.

    Args:
      files: gzipped TFRecord files.
      columns: in the order of the result.

    Raises:
      ValueError: for no examples; and, naming the source of the first offender, for a value that is
        missing or not finite in a column that has no missing values, and labels on only some
        examples.
    """
    features: dict[str, object] = {
        # Only this tells a missing value from any that could be there.
        COLUMN + column.name: tf.io.VarLenFeature(column.kind.feature)
        for column in columns
    }
    features[LABEL] = tf.io.FixedLenFeature([], tf.int64, NO_LABEL)
    features[CLASS_NAME] = tf.io.FixedLenFeature([], tf.string, "")
    features[SOURCE] = tf.io.FixedLenFeature([], tf.string)
    records = tf.data.TFRecordDataset(list(files), compression_type="GZIP").batch(_BATCH)
    parsed = records.map(lambda batch: tf.io.parse_example(batch, features))
    # Its NumPy iterator would make dense arrays of what is sparse.
    batches = list(parsed)
    if not batches:
        raise ValueError(f"no examples in {', '.join(files) or 'an empty list of files'}")
    whole = {
        name: np.concatenate([batch[name].numpy() for batch in batches])
        for name in (LABEL, CLASS_NAME, SOURCE)
    }
    codes = np.full((len(whole[SOURCE]), len(columns)), np.nan)
    categories: dict[str, tuple[str, ...]] = {}
    for place, column in enumerate(columns):
        present, values = _present(column, batches)
        if column.kind.discrete:
            names, values = np.unique(values, return_inverse=True)
            categories[column.name] = tuple(name.decode() for name in names)
        codes[present, place] = values
        wrong = np.isinf(codes[:, place]) if column.missing else ~np.isfinite(codes[:, place])
        if wrong.any():
            source = whole[SOURCE][wrong.argmax()].decode()
            raise ValueError(f"{source}: the column {column.name!r} is missing or not finite")
    class_by_label = class_names(whole[LABEL], whole[CLASS_NAME])
    labels = labels_of(whole[LABEL], whole[SOURCE], LABEL)
    return Split(codes, labels, class_by_label, categories)


def stacked(rows: Sequence[Mapping[str, Value | None]], columns: Sequence[Column]) -> Split:
    """The codes of rows of values, by column, without labels."""
    codes = np.full((len(rows), len(columns)), np.nan)
    categories: dict[str, tuple[str, ...]] = {}
    for place, column in enumerate(columns):
        values = [row[column.name] for row in rows]
        if column.kind.discrete:
            names = sorted({str(value) for value in values if value is not None})
            of_name: Mapping[object, float] = {name: code for code, name in enumerate(names)}
            categories[column.name] = tuple(names)
            codes[:, place] = [of_name.get(value, np.nan) for value in values]
        else:
            dtype = column.kind.feature.as_numpy_dtype
            present = [value is not None for value in values]
            codes[present, place] = np.array([each for each in values if each is not None], dtype)
    return Split(codes, None, {}, categories)


def joined(splits: Mapping[str, Split], columns: Sequence[Column]) -> dict[str, Split]:
    """The splits with one set of categories, those of all of them, sorted."""
    every: dict[str, tuple[str, ...]] = {
        column.name: tuple(
            sorted({name for split in splits.values() for name in split.categories[column.name]})
        )
        for column in columns
        if column.kind.discrete
    }
    return {name: recoded(split, columns, every) for name, split in splits.items()}


def recoded(
    split: Split, columns: Sequence[Column], categories: Mapping[str, Sequence[str]]
) -> Split:
    """The split with the codes of other categories.

    A category that is not among them gets the code that follows the last of them.
    """
    codes = split.data.copy()
    for place, column in enumerate(columns):
        if column.kind.discrete:
            of_name = {name: code for code, name in enumerate(categories[column.name])}
            new = [of_name.get(name, len(of_name)) for name in split.categories[column.name]]
            present = ~np.isnan(codes[:, place])
            codes[present, place] = np.array([*new, 0])[codes[present, place].astype(np.int64)]
    return dataclasses.replace(
        split, data=codes, categories={name: tuple(each) for name, each in categories.items()}
    )


def _present(column: Column, batches: Sequence[Mapping]) -> tuple[np.ndarray, np.ndarray]:
    """The indices of the rows that have a value, and these values."""
    rows, values, first = [], [], 0
    for batch in batches:
        found = batch[COLUMN + column.name]
        rows.append(first + found.indices[:, 0].numpy())
        values.append(found.values.numpy())
        first += len(batch[SOURCE])
    return np.concatenate(rows), np.concatenate(values)


def _stored(value: Value | None) -> object:
    """A value as it is read again."""
    # Adding 0.0 turns -0.0 into 0.0.
    return float(np.float32(value)) + 0.0 if isinstance(value, float) else value
