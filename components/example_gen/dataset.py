"""Images or rows read whole, from wherever they lie, without a recipe."""

import dataclasses
import functools
import posixpath
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np
import tensorflow as tf

from components.common.registry import nearest
from components.data import vectors
from components.data.examples import SPLIT_FOLDER, ImageRecord, Split
from components.data.vectors import VectorRecord
from components.example_gen.formats import table
from components.example_gen.formats.reader import UNSPLIT, Reader
from components.example_gen.formats.registry import AUTO, READERS, table_files
from components.example_gen.paths import list_names

EXAMPLES = "examples"
FORMATS = (*READERS.names(), EXAMPLES)

_TFRECORD = "tfrecord"
_CHANNELS = (1, 3)


@dataclasses.dataclass(frozen=True)
class Dataset:
    """Images or rows that lie at a path.

    Attributes:
      path: where.
      columns: of rows; None for images.
      splits: by name; each is read when it is called.
    """

    path: str
    columns: Sequence[str] | None
    splits: Mapping[str, Callable[[], Split]]

    def read(self, wanted: str = UNSPLIT) -> Split:
        """The wanted split, or the only one.

        Raises:
          ValueError: for several splits without the wanted one; naming the file, for images that do
            not decode or differ in shape, and for rows with anything but numbers.
        """
        if wanted not in self.splits and len(self.splits) > 1:
            raise ValueError(
                f"{self.path}: holds the splits {', '.join(sorted(self.splits))}; name the files "
                "of one of them"
            )
        read = self.splits.get(wanted) or next(iter(self.splits.values()))
        return read()


def find(path: str, data_format: str = AUTO, columns: Sequence[str] | None = None) -> Dataset:
    """What lies at a path.

    Args:
      path: a folder or a file, a path or a URI.
      data_format: one of FORMATS; `examples` are the tf.Examples that ExampleGen writes.
      columns: of rows, where they are known; otherwise all that hold numbers.

    Raises:
      FileNotFoundError: for nothing, and an empty folder.
      ValueError: for an unknown format, data that are of none or of several, damaged files, and
        rows without one of the columns.
    """
    if data_format not in FORMATS:
        raise ValueError(f"--format {data_format}: {nearest(data_format, FORMATS)}")
    if not tf.io.gfile.exists(path):
        raise FileNotFoundError(f"{path}: no such file or folder")
    base, names = path, None
    if not tf.io.gfile.isdir(path):
        base, names = posixpath.dirname(path) or ".", [posixpath.basename(path)]
    elif not list_names(path):
        raise FileNotFoundError(f"{path}: no data, the folder is empty")

    laid_out = names is None and any(name.startswith(SPLIT_FOLDER) for name in list_names(path))
    if data_format == EXAMPLES or (data_format == AUTO and laid_out):
        return _examples(path, base, names, columns)
    files = table_files(base, names) if data_format in (AUTO, table.FORMAT) else []
    if not files:
        return _of_reader(path, READERS.get(data_format)(), base, names, None)
    columns = columns or table.describe(files).columns
    return _of_reader(path, READERS.get(table.FORMAT)(columns=columns), base, names, columns)


def _of_reader(
    path: str,
    reader: Reader,
    base: str,
    names: Sequence[str] | None,
    columns: Sequence[str] | None,
) -> Dataset:
    found = reader.shards(base, reader.splits(base, names))
    return Dataset(
        path,
        columns,
        {split: functools.partial(_read, reader, base, found[split], columns) for split in found},
    )


def _examples(
    path: str, base: str, names: Sequence[str] | None, columns: Sequence[str] | None
) -> Dataset:
    reader = READERS.get(_TFRECORD)()
    files = reader.files(base, reader.splits(base, names))
    known = _columns_of(next(iter(files.values()))[0])
    if not known:
        return _of_reader(path, reader, base, names, None)
    columns = columns or known
    return Dataset(
        path,
        columns,
        {split: functools.partial(vectors.read_vectors, files[split], columns) for split in files},
    )


def _columns_of(file: str) -> list[str]:
    """The columns of the first example; none of an image."""
    try:
        for record in tf.data.TFRecordDataset(file, compression_type="GZIP").take(1):
            features = tf.train.Example.FromString(record.numpy()).features.feature
            columns = (name for name in sorted(features) if name.startswith(vectors.COLUMN))
            return [name.removeprefix(vectors.COLUMN) for name in columns]
    except tf.errors.DataLossError as error:
        raise ValueError(f"{file}: not a gzipped TFRecord file") from error
    return []


def _read(reader: Reader, base: str, shards: Iterable, columns: Sequence[str] | None) -> Split:
    records = (record for shard in shards for record in reader.read(shard))
    return _stacked(base, records, columns) if columns else _decoded(base, records)


def _stacked(
    base: str, records: Iterable[ImageRecord | VectorRecord], columns: Sequence[str]
) -> Split:
    labels = []

    def values() -> Iterator[float]:
        for record in records:
            assert isinstance(record, VectorRecord)  # A reader with columns reads rows.
            labels.append(record.label)
            yield from (record.values[name] for name in columns)

    rows = np.fromiter(values(), np.float32).reshape(-1, len(columns))
    if not len(rows):
        raise ValueError(f"{base}: no rows")
    return Split(rows, _labels(labels))


def _decoded(base: str, records: Iterable[ImageRecord | VectorRecord]) -> Split:
    images, labels = [], []
    first = None
    for record in records:
        assert isinstance(record, ImageRecord)  # A reader without columns reads images.
        source = posixpath.join(base, record.source)
        if not record.decode_ok:
            raise ValueError(f"{source}: the image does not decode")
        shape = (record.height, record.width, record.channels)
        if record.channels not in _CHANNELS:
            raise ValueError(
                f"{source}: the image has {record.channels} channels; only gray (1) and RGB (3) "
                "images are compared"
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
    if not images:
        raise ValueError(f"{base}: no images")
    return Split(np.stack(images), _labels(labels))


def _labels(labels: Sequence[int | None]) -> np.ndarray | None:
    return None if None in labels else np.array(labels, np.int64)


def by(sizes: Iterable[int]) -> str:
    """Sizes as they are written: 28x28x1."""
    return "x".join(str(int(size)) for size in sizes)
