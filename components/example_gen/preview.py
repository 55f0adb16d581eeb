"""What data are like about which nothing is known yet, from a sample of their records."""

import dataclasses
import io
import itertools
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from PIL import ExifTags, Image

from components.data.columns import Column, Value
from components.example_gen.formats.reader import Reader
from components.example_gen.prepare import (
    BadRecordError,
    Preparation,
    RawImage,
    RawRow,
    prepare,
    prepare_row,
)

# Records up to which all are looked at, and how many at the least of more.
_ALL, _SAMPLE = 5_000, 512
_GRAY = ("1", "L", "LA", "I", "I;16")
# EXIF orientations that swap height and width.
_TURNED = (5, 6, 7, 8)


@dataclasses.dataclass(frozen=True)
class ColumnPreview:
    """The values of a column in the sample.

    Attributes:
      column: its name and type.
      missing: the number of rows without one.
      least, largest: of numbers and datetimes, as text; None if there is no value.
      counts: rows by name, the most frequent first; empty for numbers and datetimes.
    """

    column: Column
    missing: int
    least: str | None = None
    largest: str | None = None
    counts: Mapping[str, int] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Preview:
    """What a sample of the records is like.

    Attributes:
      records: their number by split, exact.
      looked_at: the number of those in the sample.
      sizes: images by (height, width).
      modes: images by Pillow's mode, or by what an array of them holds.
      channels: 1 if all images are gray, else 3.
      classes: records by label, or by label and name.
      columns: of rows.
      repeated: the share of the rows that equal an earlier one.
      bad: the records that cannot be read.
      first_bad: the first of them and what is wrong with it; None if there is none.
    """

    records: Mapping[str, int]
    looked_at: int
    sizes: Mapping[tuple[int, int], int]
    modes: Mapping[str, int]
    channels: int
    classes: Mapping[str, int]
    columns: Sequence[ColumnPreview]
    repeated: float
    bad: int
    first_bad: str | None

    @property
    def short_side(self) -> int:
        """The median of the images' shorter sides."""
        sides = [min(size) for size, count in self.sizes.items() for _ in range(count)]
        return int(np.median(sides))


def preview(reader: Reader, shards: Mapping[str, Sequence], where: str) -> Preview:
    """Looks at the records, or at the first of each part of many, and decodes no image.

    Args:
      reader: the reader of the data's format.
      shards: of the data, by split.
      where: the data, for messages.

    Raises:
      ValueError: if there are no records, or none of them can be read.
    """
    records = {split: reader.count(listed) for split, listed in shards.items()}
    every = [shard for listed in shards.values() for shard in listed]
    total = sum(records.values())
    wanted = total if total <= _ALL else _SAMPLE
    chosen = every[:: max(1, len(every) // max(1, wanted))]
    each = total if wanted == total else -(-wanted // max(1, len(chosen)))
    sample = [raw for shard in chosen for raw in itertools.islice(reader.records(shard), each)]
    if not sample:
        raise ValueError(f"{where}: the files hold no records")
    images: list[_Shape] = []
    rows: list[Mapping[str, Value | None]] = []
    bad: list[RawImage | RawRow] = []
    for raw in sample:
        if isinstance(raw, RawRow):
            try:
                rows.append(prepare_row(raw, reader.columns).record.values)
            except BadRecordError:
                bad.append(raw)
        elif shape := _shape(raw):
            images.append(shape)
        else:
            bad.append(raw)
    reason = next(filter(None, (_reason(raw, reader) for raw in bad)), None)
    if not images and not rows:
        kind = "a row of these columns" if reader.columns else "an image"
        said = f": {reason}" if reason else ""
        raise ValueError(f"{where}: none of {len(sample)} records is {kind}{said}")
    return Preview(
        records=records,
        looked_at=len(sample),
        sizes=Counter(shape.size for shape in images),
        modes=Counter(shape.mode for shape in images),
        channels=max((shape.channels for shape in images), default=1),
        classes=Counter(filter(None, map(_class, sample))),
        columns=[_column(each, [row[each.name] for row in rows]) for each in reader.columns],
        repeated=1 - len({tuple(row.values()) for row in rows}) / len(rows) if rows else 0.0,
        bad=len(bad),
        first_bad=reason,
    )


class _Shape(NamedTuple):
    size: tuple[int, int]
    channels: int
    mode: str


def _class(raw: RawImage | RawRow) -> str | None:
    if raw.label is None:
        return None
    return str(raw.label) if raw.class_name is None else f"{raw.label} {raw.class_name}"


def _column(column: Column, values: Sequence[Value | None]) -> ColumnPreview:
    there = [value for value in values if value is not None]
    missing = len(values) - len(there)
    if column.kind.discrete:
        return ColumnPreview(column, missing, counts=dict(Counter(map(str, there)).most_common()))
    if not there:
        return ColumnPreview(column, missing)
    # All of one type.
    least, largest = min(there), max(there)  # type: ignore[type-var]
    return ColumnPreview(
        column, missing, column.kind.text(column, least), column.kind.text(column, largest)
    )


def _reason(raw: RawImage | RawRow, reader: Reader) -> str:
    """What is wrong with a record; empty if nothing is."""
    try:
        if isinstance(raw, RawImage):
            prepare(raw, Preparation())
        else:
            prepare_row(raw, reader.columns)
    except BadRecordError as error:
        return f"{raw.source}: {error}"
    return ""


def _has_gray_palette(image: Image.Image) -> bool:
    """Whether all colours of a palette are gray; optimizers store gray images so."""
    palette = image.getpalette() if image.mode == "P" else None
    return palette is not None and palette[::3] == palette[1::3] == palette[2::3]


def _shape(raw: RawImage) -> _Shape | None:
    """Channels are 1 or 3; None for a record that is not an image."""
    if isinstance(raw.content, np.ndarray):
        height, width, *channels = raw.content.shape
        count = math.prod(channels)
        words = "1 channel" if count == 1 else f"{count} channels"
        return _Shape((height, width), 1 if count == 1 else 3, f"{raw.content.dtype}, {words}")
    try:
        # Reads only the header.
        with Image.open(io.BytesIO(raw.content)) as image:
            width, height = image.size
            if image.getexif().get(ExifTags.Base.Orientation) in _TURNED:
                width, height = height, width
            gray = image.mode in _GRAY or _has_gray_palette(image)
            return _Shape((height, width), 1 if gray else 3, image.mode)
    except Exception:  # noqa: BLE001
        # Pillow raises many types of errors; ExampleGen reports them.
        return None
