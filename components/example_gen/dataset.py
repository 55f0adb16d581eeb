"""The one way to find data: first their files and splits, and on demand their content."""

import dataclasses
import functools
import posixpath
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from components.common.registry import nearest
from components.data import vectors
from components.data.columns import Column
from components.data.examples import SPLIT_FOLDER, ImageRecord, Split, by
from components.data.vectors import VectorRecord
from components.example_gen import sources
from components.example_gen.formats import table
from components.example_gen.formats.reader import UNSPLIT, LeftOut, Reader
from components.example_gen.formats.registry import AUTO, READERS, table_files
from components.example_gen.formats.tables import inspection
from components.example_gen.formats.tfrecord import ExamplesReader, TFRecordReader
from components.example_gen.paths import list_names
from components.example_gen.preview import Preview, preview

# The tf.Examples that ExampleGen writes.
EXAMPLES = "examples"
FORMATS = (*READERS.names(), EXAMPLES)

_CHANNELS = (1, 3)
# Examples that tell the columns, and the types of what they hold.
_SAMPLE = 1000
_TYPES = {"float_list": "number", "int64_list": "integer", "bytes_list": "categorical"}


@dataclasses.dataclass(frozen=True)
class Dataset:
    """Images or rows at a path.

    Attributes:
      path: as it was given.
      reader: the reader of their format.
      base: the folder that patterns are relative to.
      patterns: by split, as ImageExampleGen takes them: `{SPAN}` and its kin stand for the latest.
      splits: by split, the patterns of the latest span and version.
      columns: of rows; None for images.
      label: the column of labels of an inspected table.
      others: the names of its columns that are left out.
      names: the files and folders that the path names, relative to `base`; None for all of them.
    """

    path: sources.Paths
    reader: Reader
    base: str
    patterns: Mapping[str, str]
    splits: Mapping[str, str]
    columns: Sequence[Column] | None = None
    label: str | None = None
    others: Sequence[str] = ()
    names: Sequence[str] | None = None

    @property
    def remarks(self) -> Sequence[str]:
        """What was left out so far, or may not be as intended, a line each."""
        return tuple(self.reader.remarks)

    @functools.cached_property
    def shards(self) -> dict[str, list]:
        """The reader's shards by split.

        Raises:
          FileNotFoundError, ValueError: as `Reader.shards`.
        """
        return self.reader.shards(self.base, self.splits)

    @functools.cached_property
    def preview(self) -> Preview:
        """What a sample of the records is like; raises as `shards` and `preview.preview`."""
        return preview(self.reader, self.shards, self.base)

    @functools.cached_property
    def left_out(self) -> list[LeftOut]:
        """What is there but not read, by reason; raises what `shards` raises."""
        return self.reader.left_out(self.base, self.splits, self.names)

    def shards_of(self, split: str) -> list:
        """The shards of a split, or of the only split, whatever its name."""
        return self.shards[self._split(split)]

    def read(self, wanted: str = UNSPLIT) -> Split:
        """The wanted split, or the only split, in memory.

        Raises:
          ValueError: for several splits without the wanted one; naming the file, for images that do
            not decode or differ in shape, and for bad rows.
        """
        split = self._split(wanted)
        if self.columns and isinstance(self.reader, TFRecordReader):
            files = self.reader.files(self.base, self.splits)[split]
            return vectors.read_vectors(files, self.columns)
        records = (record for shard in self.shards[split] for record in self.reader.read(shard))
        if self.columns:
            return _stacked(self.base, records, self.columns)
        return _decoded(self.base, records)

    def _split(self, wanted: str) -> str:
        if wanted not in self.splits and len(self.splits) > 1:
            raise ValueError(
                f"{self.path}: holds the splits {', '.join(sorted(self.splits))}; name the files "
                "of one of them"
            )
        return wanted if wanted in self.splits else next(iter(self.splits))


def find(path: sources.Paths, reader: Reader, splits: Mapping[str, str] | None = None) -> Dataset:
    """Finds the data of a recipe.

    Args:
      path: a folder, a file, a glob, or a list of these; `{SPAN}` and `{VERSION}` as TFX has them.
      reader: of their format.
      splits: glob patterns by split, relative to `sources.base_of(path)`; by default the reader
        finds them.

    Raises:
      FileNotFoundError: for data that do not exist.
      ValueError: as the reader's `splits`, and as `sources.latest`.
    """
    # Patterns say all that a single path would.
    alone = splits and isinstance(path, str)
    where = sources.Location(sources.base_of(path), None) if alone else sources.locate(path)
    return _find(path, reader, where, reader.columns or None, splits=splits)


def inspect(
    path: sources.Paths,
    data_format: str = AUTO,
    columns: Sequence[str | Column] | None = None,
    *,
    splits: Mapping[str, str] | None = None,
    **reading: Any,  # noqa: ANN401
) -> Dataset:
    """Finds data without a recipe: images or rows, inferred from the files.

    Args:
      path: as of `find`.
      data_format: one of FORMATS.
      columns: of a table, with their types, or names of columns whose types are to be recognised;
        by default all that can be learnt.
      splits: as of `find`.
      **reading: other arguments of the reader, such as `labels`.

    Raises:
      FileNotFoundError: for data that do not exist, and an empty folder.
      ValueError: for an unknown format, data of no known format or of several, damaged files, and
        rows without one of the columns.
    """
    if data_format not in FORMATS:
        raise ValueError(f"--format {data_format}: {nearest(data_format, FORMATS)}")
    where = sources.locate(path)
    if where.names is None and not tf.io.gfile.isdir(where.base):
        if not tf.io.gfile.exists(where.base):
            raise FileNotFoundError(f"{where.base}: no such file or folder")
        # A file whose name is not that of any format.
        folder, name = posixpath.split(where.base)
        where = sources.Location(folder or ".", [name])
    names = where.names
    if names is None:
        names = list_names(where.base)
        if not names:
            raise FileNotFoundError(f"{where.base}: no data, the folder is empty")
        if data_format == AUTO and any(name.startswith(SPLIT_FOLDER) for name in names):
            data_format = EXAMPLES
    if data_format == EXAMPLES:
        found = _find(path, ExamplesReader(), where)
        files = found.reader.files(found.base, found.splits)
        known = _columns_of(next(iter(files.values()))[0])
        return dataclasses.replace(found, columns=_chosen(known, columns) if known else None)
    tables = table_files(where.base, names) if data_format in (AUTO, table.FORMAT) else []
    if not tables:
        return _find(path, READERS.get(data_format)(**reading), where, splits=splits)
    seen = inspection.inspect(tables, columns, **reading)
    reader = table.TableReader(columns=seen.columns, **reading)
    for line in seen.remarks:
        reader.remark(line)
    found = _find(path, reader, where, seen.columns, seen.label, splits=splits)
    return dataclasses.replace(found, others=seen.others)


def _find(
    path: sources.Paths,
    reader: Reader,
    where: sources.Location,
    columns: Sequence[Column] | None = None,
    label: str | None = None,
    *,
    splits: Mapping[str, str] | None = None,
) -> Dataset:
    if splits:
        patterns, found = dict(splits), sources.latest(where.base, splits)
    else:
        found = reader.splits(where.base, where.names)
        patterns = where.patterns(found)
    return Dataset(path, reader, where.base, patterns, found, columns, label, names=where.names)


def _columns_of(file: str) -> dict[str, Column]:
    """The columns of the first examples, by name; empty for images.

    What is a datetime or a boolean, only a schema or a recipe tells.
    """
    types: dict[str, str] = {}
    counts: Counter[str] = Counter()
    total = 0
    try:
        for record in tf.data.TFRecordDataset(file, compression_type="GZIP").take(_SAMPLE):
            total += 1
            for name, feature in tf.train.Example.FromString(
                record.numpy()
            ).features.feature.items():
                if name.startswith(vectors.COLUMN):
                    column = name.removeprefix(vectors.COLUMN)
                    types[column] = _TYPES[feature.WhichOneof("kind")]
                    counts[column] += 1
            if not types:
                return {}
    except tf.errors.DataLossError as error:
        raise ValueError(f"{file}: not a gzipped TFRecord file") from error
    # Without a value in one column, others may miss one later.
    complete = all(count == total for count in counts.values())
    return {
        name: Column(name=name, type=types[name], missing=not complete) for name in sorted(types)
    }


def _chosen(
    known: Mapping[str, Column], columns: Sequence[str | Column] | None
) -> Sequence[Column]:
    """The wanted columns of examples, by default all."""
    if not columns:
        return list(known.values())
    return [
        known.get(each, Column(name=each)) if isinstance(each, str) else each for each in columns
    ]


def _stacked(
    base: str, records: Iterable[ImageRecord | VectorRecord], columns: Sequence[Column]
) -> Split:
    names: dict[int, str] = {}
    rows, labels = [], []
    for record in records:
        assert isinstance(record, VectorRecord)  # Readers with columns read rows.
        rows.append(record.values)
        labels.append(record.label)
        _note_name(names, record)
    if not rows:
        raise ValueError(f"{base}: no rows")
    return dataclasses.replace(
        vectors.stacked(rows, columns), labels=_labels(labels), class_names=names
    )


def _decoded(base: str, records: Iterable[ImageRecord | VectorRecord]) -> Split:
    names: dict[int, str] = {}
    images, labels = [], []
    first = None
    for record in records:
        assert isinstance(record, ImageRecord)  # Readers without columns read images.
        source = posixpath.join(base, record.source)
        if not record.decode_ok:
            raise ValueError(f"{source}: the image does not decode")
        shape = (record.height, record.width, record.channels)
        if record.channels not in _CHANNELS:
            raise ValueError(
                f"{source}: the image has {record.channels} channels; only gray (1) and RGB (3) "
                "images can be compared"
            )
        first = first or (shape, source)
        if shape != first[0]:
            raise ValueError(
                f"{source}: the image is {by(shape)} (height x width x channels), "
                f"{first[1]} is {by(first[0])}; all images of a set must have one shape"
            )
        decoded = tf.io.decode_image(record.encoded, record.channels, expand_animations=False)
        images.append(decoded.numpy())
        labels.append(record.label)
        _note_name(names, record)
    if not images:
        raise ValueError(f"{base}: no images")
    return Split(np.stack(images), _labels(labels), names)


def _note_name(names: dict[int, str], record: ImageRecord | VectorRecord) -> None:
    if record.label is not None and record.class_name:
        names.setdefault(record.label, record.class_name)


def _labels(labels: Sequence[int | None]) -> np.ndarray | None:
    return None if None in labels else np.array(labels, np.int64)
