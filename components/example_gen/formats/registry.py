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
from components.example_gen.formats.classes import Class
from components.example_gen.formats.folder import FolderReader
from components.example_gen.formats.reader import LeftOut, Reader
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

# What to do with files of other programs, by their extensions.
_UNREAD = {
    "convert them to PNG": (
        ".tif", ".tiff", ".heic", ".heif", ".avif", ".jxl", ".jp2", ".svg", ".psd", ".raw", ".dng",
        ".cr2", ".nef", ".arw", ".ppm", ".pgm", ".pbm", ".tga", ".ico", ".exr", ".dcm", ".nii",
    ),
    "pack them as .zip, .tar or .tar.gz": (
        ".7z", ".rar", ".xz", ".txz", ".bz2", ".tbz2", ".tbz", ".zst", ".lz4",
    ),
    "save them as CSV or Parquet": (
        ".xlsx", ".xls", ".xlsm", ".ods", ".numbers", ".txt", ".dat", ".json", ".jsonl", ".xml",
        ".arff", ".feather", ".arrow", ".sas7bdat", ".sav", ".dta", ".rds", ".rdata", ".sqlite",
        ".db",
    ),
    "save them as NPZ": (".mat", ".h5", ".hdf5", ".pkl", ".pickle", ".pt", ".pth"),
}  # fmt: skip

# Names of a large folder that suffice to recognise its format.
_SAMPLE = 10_000


def recognised(names: Iterable[str], where: str) -> str:
    """The format of images, from the names of files; a CSV file beside them is ignored.

    Raises ValueError, saying what was found, for no format or several.
    """
    sample = list(itertools.islice(names, _SAMPLE))
    formats = Counter(filter(None, map(_format_of, sample)))
    if len(formats) == 1:
        return next(iter(formats))
    if not formats:
        if tables := list(filter(table.TableReader.matches, sample)):
            raise ValueError(
                f"{where}: {described(tables)}: a table holds no images; give data.columns in "
                "place of data.image_shape"
            )
        raise ValueError(f"{where}: {_unknown(sample)}")
    listed = ", ".join(f"{count} {name}" for name, count in formats.most_common())
    raise ValueError(
        f"{where}: files of several formats ({listed}); name one in data.format or move the others"
    )


def _unknown(sample: Sequence[str]) -> str:
    """What to do about files of no format."""
    names = described(sample)
    extensions = {posixpath.splitext(name)[1].lower() for name in sample}
    for advice, known in _UNREAD.items():
        if extensions & set(known):
            return f"{names}: not read; {advice}"
    if extensions == {""}:
        return (
            f"cannot tell the format of {names}, which have no extension; rename them, for images "
            "to .png or .jpg, or name the format in data.format (--format)"
        )
    return (
        f"cannot tell the format of {names}; name it in data.format ({', '.join(READERS.names())})"
    )


def table_files(base: str, names: Sequence[str] | None = None) -> list[str]:
    """The paths of the files of a table of numbers; empty if there are images.

    A CSV file beside images holds their labels; a Parquet file may hold images itself.

    Args:
      base: the folder.
      names: the files and folders to consider, relative to `base`; by default all.

    Raises:
      ValueError: for a damaged Parquet file.
    """
    files = [file for name in names or [""] for file in walk(base, name)]
    if any(_format_of(file) not in (None, "parquet") for file in files):
        return []
    paths = [posixpath.join(base, file) for file in filter(table.TableReader.matches, files)]
    images = any(_format_of(path) and parquet.holds_images(path) for path in paths)
    return [] if images else paths


def _format_of(path: str) -> str | None:
    """The format that a file's name suggests; tables need `table_files`."""
    # Names are sorted, so the wide pattern of TFRecord files is tried last.
    formats = (known for known in READERS.names() if known != table.FORMAT)
    return next((known for known in formats if READERS.get(known).matches(path)), None)


def is_data_file(name: str) -> bool:
    """Whether a name is that of a file of any format."""
    return any(READERS.get(known).matches(name) for known in READERS.names())


@READERS.register(AUTO)
class AutoReader(Reader[tuple[str, Any]]):
    """The reader of the format that the names of the files suggest; with `columns`, of a table."""

    options: ClassVar[frozenset[str]] = frozenset(
        {"labels", "features", "columns", "arrays", "encoding", "header"}
    )
    needs_text_names: ClassVar[bool] = False

    def check_options(self) -> None:
        if self.columns:
            # Raises for other arguments that a table does not use.
            self._reader(table.FORMAT)

    def splits(self, base: str, names: Sequence[str] | None = None) -> dict[str, str]:
        if names is None:
            visible_names(base)
        files = (file for name in names or [""] for file in walk(base, name))
        return self._reader(self._recognised(files, base)).splits(base, names)

    def shards(self, base: str, splits: Mapping[str, str]) -> dict[str, list[tuple[str, Any]]]:
        """The shards of the format's reader, each with the name of the format."""
        name = self._format_of_splits(base, splits)
        shards = self._reader(name).shards(base, splits)
        return {split: [(name, shard) for shard in listed] for split, listed in shards.items()}

    def _format_of_splits(self, base: str, splits: Mapping[str, str]) -> str:
        found = self.files(base, splits)
        return self._recognised((file for files in found.values() for file in files), base)

    def left_out(
        self, base: str, splits: Mapping[str, str], names: Sequence[str] | None = None
    ) -> list[LeftOut]:
        reader = self._reader(self._format_of_splits(base, splits))
        return reader.left_out(base, splits, names)

    def records(self, shard: tuple[str, Any]) -> Iterator[RawImage | RawRow]:
        name, inner = shard
        return self._reader(name).records(inner)

    def some(self, shard: tuple[str, Any], places: Sequence[int]) -> Iterator[RawImage | RawRow]:
        name, inner = shard
        return self._reader(name).some(inner, places)

    def classes(self, shard: tuple[str, Any]) -> Iterator[Class]:
        name, inner = shard
        return self._reader(name).classes(inner)

    def read(self, shard: tuple[str, Any]) -> Iterator[ImageRecord | VectorRecord]:
        name, inner = shard
        return self._reader(name).read(inner)

    def count(self, shards: Sequence[tuple[str, Any]]) -> int:
        return sum(self._reader(name).count([inner]) for name, inner in shards)

    def _recognised(self, files: Iterable[str], where: str) -> str:
        return table.FORMAT if self.columns else recognised(files, where)

    def _reader(self, name: str) -> Reader:
        reader = READERS.get(name)(**self.given)
        reader.remarks = self.remarks
        return reader
