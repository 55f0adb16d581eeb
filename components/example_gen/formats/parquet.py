"""Parquet files with a column of encoded images."""

import contextlib
import dataclasses
import itertools
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

import pyarrow as pa
import pyarrow.parquet as pq

from components.example_gen.files import partitions
from components.example_gen.formats.classes import (
    Class,
    as_class,
    as_classes,
    check_all_labelled,
    names_of_numbers,
)
from components.example_gen.formats.reader import LABEL_COLUMNS, Reader
from components.example_gen.paths import INSIDE, open_file
from components.example_gen.prepare import BadRecordError, RawImage

_IMAGE_COLUMNS = ("image", "img", "image_bytes", "image/encoded")
# The field with the bytes in a struct column, as in image data sets of the Hugging Face hub.
_BYTES = "bytes"
_BATCH_ROWS = 256
# Values of a column of bytes that tell whether they are images.
_SAMPLE = 16
# What image files begin with; those that are not read are refused by name.
_SIGNATURES = (b"\x89PNG", b"\xff\xd8\xff", b"RIFF", b"GIF8", b"BM", b"II*\0", b"MM\0*")


@dataclasses.dataclass(frozen=True)
class RowGroup:
    """A row group of a file.

    Attributes:
      path: of the file.
      source: its path relative to the data's folder.
      group: its index in the file.
      first: index of its first row in the file.
      count: number of rows.
      image: the column of images.
      label: the column of labels, or None.
      folder: the label that a folder `label=…` gives all rows, or None.
      classes: by name, if there are labels.
    """

    path: str
    source: str
    group: int
    first: int
    count: int
    image: str
    label: str | None
    folder: str | None = None
    classes: Mapping[str, Class] | None = None


class ParquetReader(Reader[RowGroup]):
    """A column of image bytes, or of structs with a field `bytes`, and optionally one of labels.

    Labels are whole numbers or names; `as_classes` numbers them over all splits.
    `features` names the columns; by default they are `image` and `label`, or the only column of
    bytes. Folders `label=…`, as Hive partitions a table, are labels too.
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
        check_all_labelled((each.path, _holder(each)) for each in groups)
        names = {each.folder for each in groups if each.folder}
        for each in groups:
            names.update(class_names(each.path, each.group, each.label))
        if all(_holder(each) is None for each in groups):
            return found
        classes = as_classes(names)
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
                folder = None if label else self._folder(source)
                groups.append(RowGroup(path, source, index, first, count, image, label, folder))
                first += count
            return groups

    def _columns(self, path: str, schema: pa.Schema) -> tuple[str, str | None]:
        for key, name in self.features.items():
            partition = key == "label" and partitions.value_of(path, [name]) is not None
            if name not in schema.names and not partition:
                raise ValueError(
                    f"{path}: no column {name!r} (data.features), only {', '.join(schema.names)}"
                )
        images = [field.name for field in schema if _holds_images(field.type)]
        image = self.features.get("image")
        if image is None:
            image = self._chosen(path, schema, images)
        elif image not in images:
            raise ValueError(
                f"{path}: the column {image!r} is {schema.field(image).type}, expected bytes or a "
                "struct with the field bytes"
            )
        wanted = self.features.get("label")
        names = [wanted] if wanted else LABEL_COLUMNS
        label = next((name for name in names if name in schema.names), None)
        others = [field.name for field in schema if is_label(field.type)]
        if label is not None:
            check_label(path, schema, label)
        elif others and partitions.value_of(path, names) is None:
            self.remark(
                f"no column of labels ({', '.join(LABEL_COLUMNS)}); data.features.label "
                f"could name {', '.join(others)}"
            )
        if left_out := [name for name in images if name != image]:
            self.remark(f"left out: columns of bytes {', '.join(left_out)}; {image} is the image")
        return image, label

    def _chosen(self, path: str, schema: pa.Schema, images: Sequence[str]) -> str:
        """The column of images: the usual name, or the only one with image files."""
        usual = [name for name in _IMAGE_COLUMNS if name in images]
        if usual:
            return usual[0]
        found = [name for name in images if _looks_like_images(path, name)]
        found = found if len(images) > 1 and found else list(images)
        if len(found) == 1:
            return found[0]
        lists = [f"{field.name!r} is {field.type}" for field in schema if _lists_images(field.type)]
        if lists:
            raise ValueError(f"{path}: {lists[0]}, expected one image in each row")
        raise ValueError(
            f"{path}: {len(found)} columns of image bytes among {', '.join(schema.names)};"
            " name one in data.features"
        )

    def _folder(self, source: str) -> str | None:
        """The label in a path such as label=cat/0.parquet."""
        names = [self.features["label"]] if "label" in self.features else LABEL_COLUMNS
        return partitions.value_of(source, names)

    def classes(self, shard: RowGroup) -> Iterator[Class]:
        if shard.classes is None:
            return
        if shard.label is None:
            of = shard.classes[shard.folder] if shard.folder else Class()
            yield from itertools.repeat(of, shard.count)
            return
        with opened(shard.path) as file:
            cells = file.read_row_group(shard.group, columns=[shard.label], use_threads=False)
            for cell in cells.column(0).to_pylist():
                try:
                    yield as_class(cell, shard.label, shard.classes)
                except BadRecordError:
                    yield Class()

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


def _holder(group: RowGroup) -> str | None:
    """What holds the labels of a row group; None if there are none."""
    return group.folder if group.label is None else group.label


def _raw(
    image: bytes | dict | None, label: int | str | None, source: str, shard: RowGroup
) -> RawImage:
    content = image.get(_BYTES) if isinstance(image, dict) else image
    if content is None:
        return RawImage(b"", source, error=f"the column {shard.image!r} holds no bytes")
    if shard.classes is None:
        return RawImage(content, source)
    if shard.folder is not None:
        if not shard.folder:
            return RawImage(content, source, error="its folder gives no class")
        found = shard.classes[shard.folder]
        return RawImage(content, source, found.label, class_name=found.name)
    assert shard.label is not None  # Of folders and columns of labels, there is one.
    try:
        found = as_class(label, shard.label, shard.classes)
    except BadRecordError as error:
        return RawImage(content, source, error=str(error))
    return RawImage(content, source, found.label, class_name=found.name)


def class_names(path: str, group: int, label: str | None) -> list[str]:
    """The different labels of a row group, as text; none without a column of labels."""
    if label is None:
        return []
    with opened(path) as file:
        kind = file.schema_arrow.field(label).type
        found = file.read_row_group(group, columns=[label], use_threads=False).column(0)
        if _is_text(kind):
            return [
                name for name in found.cast(pa.string()).unique().to_pylist() if name is not None
            ]
        numbers = found.unique().to_pylist()
        return sorted(names_of_numbers(number for number in numbers if number is not None))


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
    """Whether a file has a column of images: by its type, and of bytes by what they begin with.

    Files of Impala and others that do not mark strings as text have columns of bytes too.
    """
    with opened(path) as file:
        schema = file.schema_arrow
    for field in schema:
        if pa.types.is_struct(field.type) and _holds_images(field.type):
            return True
        if _lists_images(field.type):
            return True
        if _is_bytes(field.type) and _looks_like_images(path, field.name):
            return True
    return False


def _looks_like_images(path: str, column: str) -> bool:
    """Whether the first values of a column begin as image files do, or have an image's name."""
    with opened(path) as file:
        # A large file is not read for it.
        batch = next(file.iter_batches(_SAMPLE, columns=[column], use_threads=False), None)
    values = [] if batch is None else batch.column(0).to_pylist()
    bytes_of = (value.get(_BYTES) if isinstance(value, dict) else value for value in values)
    found: list[bytes] = [value for value in bytes_of if value]
    if any(value.startswith(_SIGNATURES) or value[4:8] == b"ftyp" for value in found):
        return True
    return column in _IMAGE_COLUMNS and not (found and all(map(_is_readable, found)))


def _is_readable(content: bytes) -> bool:
    try:
        return content.decode().isprintable()
    except UnicodeDecodeError:
        return False


def _holds_images(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        return any(field.name == _BYTES and _is_bytes(field.type) for field in kind)
    return _is_bytes(kind)


def _lists_images(kind: pa.DataType) -> bool:
    lists = pa.types.is_list(kind) or pa.types.is_large_list(kind)
    return lists and _holds_images(kind.value_type)


def _is_bytes(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    tests = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary)
    return any(test(kind) for test in tests) and not pa.types.is_decimal(kind)


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
            if isinstance(error, pa.ArrowNotImplementedError) or "LogicalType" in reason:
                raise ValueError(
                    f"{path}: pyarrow {pa.__version__} does not read this kind of Parquet file "
                    f"({reason}); a newer one may, or write it with other types"
                ) from error
            raise ValueError(f"{path}: not a whole Parquet file ({reason})") from error
