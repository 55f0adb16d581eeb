"""Parquet files with a column of encoded images."""

import contextlib
import dataclasses
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

import pyarrow as pa
import pyarrow.parquet as pq

from components.example_gen.formats.reader import LABEL_COLUMNS, Class, Reader, as_class, as_classes
from components.example_gen.paths import INSIDE, open_file
from components.example_gen.prepare import BadRecordError, RawImage

_IMAGE_COLUMNS = ("image", "img", "image_bytes", "image/encoded")
# The field with the bytes in a struct column, as in image data sets of the Hugging Face hub.
_BYTES = "bytes"
_BATCH_ROWS = 256


@dataclasses.dataclass(frozen=True)
class RowGroup:
    """A row group of a file; `first` is the index of its first row in the file."""

    path: str
    source: str
    group: int
    first: int
    count: int
    image: str
    label: str | None
    classes: Mapping[str, Class] | None


class ParquetReader(Reader[RowGroup]):
    """A column of image bytes, or of structs with a field `bytes`, and optionally one of labels.

    Labels are whole numbers, or names, which are numbered in sorted order over all splits.
    `features` names the columns; by default they are `image` and `label`, or the only column of
    bytes.
    """

    options: ClassVar[frozenset[str]] = frozenset({"features"})
    pattern: ClassVar[re.Pattern[str]] = re.compile(r".*\.(parquet|pq)", re.IGNORECASE)
    kind: ClassVar[str] = "Parquet file"

    def count(self, shards: Sequence[RowGroup]) -> int:
        return sum(shard.count for shard in shards)

    def shards(self, base: str, splits: Mapping[str, str]) -> dict[str, list[RowGroup]]:
        found = {
            split: [group for file in files for group in self._groups(file, base)]
            for split, files in self.files(base, splits).items()
        }
        groups = [group for listed in found.values() for group in listed]
        classes = as_classes(
            name for each in groups for name in class_names(each.path, each.group, each.label)
        )
        if not classes:
            return found
        return {
            split: [dataclasses.replace(group, classes=classes) for group in listed]
            for split, listed in found.items()
        }

    def _groups(self, path: str, base: str) -> list[RowGroup]:
        with opened(path) as file:
            image, label = self._columns(path, file.schema_arrow)
            groups, first = [], 0
            for index in range(file.metadata.num_row_groups):
                count = file.metadata.row_group(index).num_rows
                source = posixpath.relpath(path, base)
                groups.append(RowGroup(path, source, index, first, count, image, label, None))
                first += count
            return groups

    def _columns(self, path: str, schema: pa.Schema) -> tuple[str, str | None]:
        for name in self.features.values():
            if name not in schema.names:
                raise ValueError(
                    f"{path}: no column {name!r} (data.features), only {', '.join(schema.names)}"
                )
        images = [field.name for field in schema if _holds_images(field.type)]
        usual = [name for name in _IMAGE_COLUMNS if name in images] or images
        image = self.features.get("image")
        if image is None:
            if not usual or (len(usual) > 1 and usual == images):
                raise ValueError(
                    f"{path}: {len(images)} columns of image bytes among {', '.join(schema.names)};"
                    " name one in data.features"
                )
            image = usual[0]
        elif image not in images:
            raise ValueError(
                f"{path}: the column {image!r} is {schema.field(image).type}, expected bytes or a "
                "struct with the field bytes"
            )
        label = self.features.get("label")
        label = label or next((name for name in LABEL_COLUMNS if name in schema.names), None)
        if label is not None:
            check_label(path, schema, label)
        return image, label

    def records(self, shard: RowGroup) -> Iterator[RawImage]:
        columns = [shard.image, *([shard.label] if shard.label else [])]
        index = shard.first
        with opened(shard.path) as file:
            for batch in file.iter_batches(
                _BATCH_ROWS, row_groups=[shard.group], columns=columns, use_threads=False
            ):
                table = pa.Table.from_batches([batch])
                images = table.column(shard.image).to_pylist()
                labels = [None] * len(images)
                if shard.label:
                    labels = table.column(shard.label).to_pylist()
                for image, label in zip(images, labels, strict=True):
                    yield _raw(image, label, f"{shard.source}{INSIDE}{index}", shard)
                    index += 1


def _raw(
    image: bytes | dict | None, label: int | str | None, source: str, shard: RowGroup
) -> RawImage:
    content = image.get(_BYTES) if isinstance(image, dict) else image
    if content is None:
        return RawImage(b"", source, error=f"the column {shard.image!r} holds no bytes")
    if shard.label is None:
        return RawImage(content, source)
    try:
        found = as_class(label, shard.label, shard.classes)
    except BadRecordError as error:
        return RawImage(content, source, error=str(error))
    return RawImage(content, source, found.label, class_name=found.name)


def class_names(path: str, group: int, label: str | None) -> list[str]:
    """The names in the label column of a row group; empty if labels are numbers."""
    if label is None:
        return []
    with opened(path) as file:
        if not _is_text(file.schema_arrow.field(label).type):
            return []
        column = file.read_row_group(group, columns=[label], use_threads=False)
        names = column.column(0).cast(pa.string()).unique().to_pylist()
        return [name for name in names if name is not None]


def check_label(path: str, schema: pa.Schema, name: str) -> None:
    """Raises ValueError for a column that cannot hold labels."""
    kind = schema.field(name).type
    if not is_label(kind):
        raise ValueError(
            f"{path}: the label column {name!r} is {kind}, expected whole numbers or names"
        )


def is_label(kind: pa.DataType) -> bool:
    """Whether a column holds whole numbers or names."""
    return pa.types.is_integer(kind) or _is_text(kind)


def holds_images(path: str) -> bool:
    """Whether a file has a column of image bytes."""
    with opened(path) as file:
        return any(_holds_images(field.type) for field in file.schema_arrow)


def _holds_images(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        return any(field.name == _BYTES and _is_bytes(field.type) for field in kind)
    return _is_bytes(kind)


def _is_bytes(kind: pa.DataType) -> bool:
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


@contextlib.contextmanager
def opened(path: str) -> Iterator[pq.ParquetFile]:
    """Opens a file, and adds its name to errors of pyarrow."""
    with open_file(path) as file:
        try:
            yield pq.ParquetFile(file)
        except (pa.ArrowException, OSError) as error:
            reason = " ".join(str(error).split())
            raise ValueError(f"{path}: not a whole Parquet file ({reason})") from error
