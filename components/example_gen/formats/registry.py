"""The data formats a recipe can name."""

import itertools
import posixpath
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

from components.common.registry import Registry
from components.data.examples import ImageRecord
from components.data.vectors import VectorRecord
from components.example_gen.formats import archive, idx, numpy_files, parquet, table, tfrecord
from components.example_gen.formats.folder import FolderReader
from components.example_gen.formats.reader import Reader
from components.example_gen.paths import described, visible_names, walk
from components.example_gen.prepare import RawImage, RawRow

AUTO = "auto"
READERS: Registry[type[Reader]] = Registry("data format")
READERS.register("idx")(idx.IdxReader)
READERS.register("folder")(FolderReader)
READERS.register("archive")(archive.ArchiveReader)
READERS.register("numpy")(numpy_files.NumpyReader)
READERS.register("tfrecord")(tfrecord.TFRecordReader)
READERS.register("parquet")(parquet.ParquetReader)
READERS.register(table.FORMAT)(table.TableReader)

# Of a large folder, enough to know what it is.
_LOOKED_AT = 10_000


def recognised(names: Iterable[str], where: str) -> str:
    """The format of images, from the names of files; a CSV file beside them is not looked at.

    Raises ValueError that says what was found, for none or several.
    """
    looked_at = list(itertools.islice(names, _LOOKED_AT))
    formats = Counter(filter(None, map(_format_of, looked_at)))
    if len(formats) == 1:
        return next(iter(formats))
    if not formats:
        tables = [
            name
            for name in looked_at
            if table.TableReader.pattern.fullmatch(posixpath.basename(name))
        ]
        if tables:
            raise ValueError(
                f"{where}: {described(tables)}: a table holds no images; give data.columns in "
                "place of data.image_shape"
            )
        raise ValueError(
            f"{where}: cannot tell the format of {described(looked_at)}; name it in data.format "
            f"({', '.join(READERS.names())})"
        )
    listed = ", ".join(f"{count} {name}" for name, count in formats.most_common())
    raise ValueError(
        f"{where}: files of several formats ({listed}); name one in data.format or move the others"
    )


def table_files(base: str, names: Sequence[str] | None = None) -> list[str]:
    """The paths of the files of a table of numbers; none where images lie there.

    A CSV file beside images is their labels, and a Parquet file with image bytes is images.

    Args:
      base: the folder.
      names: the files and folders to look at, relative to `base`; all if left out.

    Raises:
      ValueError: for a damaged Parquet file.
    """
    files = [file for name in names or [""] for file in walk(base, name)]
    if not {_format_of(file) for file in files} <= {None, "parquet"}:
        return []
    tables = [
        file for file in files if table.TableReader.pattern.fullmatch(posixpath.basename(file))
    ]
    paths = [posixpath.join(base, file) for file in tables]
    images = any(_format_of(path) and parquet.holds_images(path) for path in paths)
    return [] if images else paths


def _format_of(path: str) -> str | None:
    """The format whose files are called so; a table's are ambiguous: see `table_files`."""
    name = posixpath.basename(path)
    # In alphabetical order: the pattern of TFRecord files is wide, and theirs is the last name.
    formats = (known for known in READERS.names() if known != table.FORMAT)
    return next((known for known in formats if READERS.get(known).pattern.fullmatch(name)), None)


def is_data_file(name: str) -> bool:
    """Whether a file is called like one of any format."""
    return any(READERS.get(known).pattern.fullmatch(name) for known in READERS.names())


@READERS.register(AUTO)
class AutoReader(Reader[tuple[str, Any]]):
    """Whatever lies there, by the names of the files; with `columns`, a table."""

    options: ClassVar[frozenset[str]] = frozenset({"labels", "features", "columns"})

    def check_options(self) -> None:
        if self.columns:
            # Which raises for the other arguments that a table has no use for.
            self._reader(table.FORMAT)

    def splits(self, base: str, names: Sequence[str] | None = None) -> dict[str, str]:
        """As the reader of the format that is found."""
        if names is None:
            visible_names(base)
        files = (file for name in names or [""] for file in walk(base, name))
        return self._reader(self._recognised(files, base)).splits(base, names)

    def shards(self, base: str, splits: Mapping[str, str]) -> dict[str, list[tuple[str, Any]]]:
        """The shards of the format's reader, and its name."""
        found = self.files(base, splits)
        name = self._recognised((file for files in found.values() for file in files), base)
        shards = self._reader(name).shards(base, splits)
        return {split: [(name, shard) for shard in listed] for split, listed in shards.items()}

    def records(self, shard: tuple[str, Any]) -> Iterator[RawImage | RawRow]:
        """The records of the format's reader."""
        name, inner = shard
        return self._reader(name).records(inner)

    def read(self, shard: tuple[str, Any]) -> Iterator[ImageRecord | VectorRecord]:
        """As the format's reader."""
        name, inner = shard
        return self._reader(name).read(inner)

    def count(self, shards: Sequence[tuple[str, Any]]) -> int:
        """The count of the format's reader."""
        return sum(self._reader(name).count([inner]) for name, inner in shards)

    def _recognised(self, files: Iterable[str], where: str) -> str:
        return table.FORMAT if self.columns else recognised(files, where)

    def _reader(self, name: str) -> Reader:
        return READERS.get(name)(self.labels, self.features, self.columns)
