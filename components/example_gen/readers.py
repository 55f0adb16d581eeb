"""The data formats a recipe can name."""

import itertools
import posixpath
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

from components.example_gen import archive, arrays, idx, parquet, tfrecord
from components.example_gen.base import Reader
from components.example_gen.folder import FolderReader
from components.example_gen.paths import described, is_image, visible_names, walk
from components.example_gen.prepare import RawImage
from components.registry import Registry

AUTO = "auto"
READERS: Registry[type[Reader]] = Registry("data format")
READERS.register("idx")(idx.IdxReader)
READERS.register("folder")(FolderReader)
READERS.register("archive")(archive.ArchiveReader)
READERS.register("numpy")(arrays.NumpyReader)
READERS.register("tfrecord")(tfrecord.TFRecordReader)
READERS.register("parquet")(parquet.ParquetReader)

_NAMES = {
    "idx": idx.NAMES,
    "archive": archive.NAMES,
    "numpy": arrays.NAMES,
    "parquet": parquet.NAMES,
    "tfrecord": tfrecord.NAMES,
}
# Of a large folder, enough to know what it is.
_LOOKED_AT = 10_000


def recognised(names: Iterable[str], where: str) -> str:
    """The format of data, from the names of files.

    Raises ValueError that says what was found, for none or several.
    """
    looked_at = list(itertools.islice(names, _LOOKED_AT))
    formats = Counter(filter(None, map(_format_of, looked_at)))
    if len(formats) == 1:
        return next(iter(formats))
    if not formats:
        raise ValueError(
            f"{where}: cannot tell the format of {described(looked_at)}; name it in data.format "
            f"({', '.join(READERS.names())})"
        )
    listed = ", ".join(f"{count} {name}" for name, count in formats.most_common())
    raise ValueError(
        f"{where}: files of several formats ({listed}); name one in data.format or move the others"
    )


def _format_of(path: str) -> str | None:
    name = posixpath.basename(path)
    if is_image(name):
        return "folder"
    return next((known for known, names in _NAMES.items() if names.fullmatch(name)), None)


@READERS.register(AUTO)
class AutoReader(Reader[tuple[str, Any]]):
    """Whatever lies there, by the names of the files."""

    options: ClassVar[frozenset[str]] = frozenset({"labels", "features"})

    def splits(self, base: str, names: Sequence[str] | None = None) -> dict[str, str]:
        """As the reader of the format that is found."""
        if names is None:
            visible_names(base)
        files = (file for name in names or [""] for file in walk(base, name))
        return self._reader(recognised(files, base)).splits(base, names)

    def shards(self, base: str, splits: Mapping[str, str]) -> dict[str, list[tuple[str, Any]]]:
        """The shards of the format's reader, and its name."""
        found = self.files(base, splits)
        name = recognised((file for files in found.values() for file in files), base)
        shards = self._reader(name).shards(base, splits)
        return {split: [(name, shard) for shard in listed] for split, listed in shards.items()}

    def records(self, shard: tuple[str, Any]) -> Iterator[RawImage]:
        """The records of the format's reader."""
        name, inner = shard
        return self._reader(name).records(inner)

    def count(self, shards: Sequence[tuple[str, Any]]) -> int:
        """The count of the format's reader."""
        return sum(self._reader(name).count([inner]) for name, inner in shards)

    def _reader(self, name: str) -> Reader:
        return READERS.get(name)(self.labels, self.features)
