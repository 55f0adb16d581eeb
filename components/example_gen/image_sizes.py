"""The sizes of images about which nothing is known yet."""

import dataclasses
import io
import itertools
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import ExifTags, Image

from components.example_gen.formats.reader import Reader
from components.example_gen.prepare import BadRecordError, Preparation, RawImage, RawRow, prepare

_SAMPLE = 512
_GRAY = ("1", "L", "LA", "I", "I;16")
# EXIF orientations that swap height and width.
_TURNED = (5, 6, 7, 8)


@dataclasses.dataclass(frozen=True)
class ImageSizes:
    """What a sample of the images is like.

    Attributes:
      sizes: number of images by (height, width).
      channels: 1 if all are gray, else 3.
    """

    sizes: Mapping[tuple[int, int], int]
    channels: int

    @property
    def short_side(self) -> int:
        """The median of the images' shorter sides."""
        sides = [min(size) for size, count in self.sizes.items() for _ in range(count)]
        return int(np.median(sides))


def inspect(reader: Reader, shards: Sequence, where: str) -> ImageSizes:
    """The sizes of some hundred images from all over the data, without decoding them.

    Args:
      reader: the reader of the data's format.
      shards: shards of the data.
      where: the data, for messages.

    Raises:
      ValueError: if there are no records, or none of them is an image.
    """
    step = max(1, len(shards) // _SAMPLE)
    chosen = shards[::step]
    each = -(-_SAMPLE // max(1, len(chosen)))
    records = [raw for shard in chosen for raw in itertools.islice(reader.records(shard), each)]
    if not records:
        raise ValueError(f"{where}: the files hold no records")
    shapes = [shape for raw in records if (shape := _shape(raw)) is not None]
    if not shapes:
        raise ValueError(f"{where}: none of {len(records)} records is an image{_reason(records)}")
    return ImageSizes(
        Counter(shape[:2] for shape in shapes), max(channels for _, _, channels in shapes)
    )


def _reason(records: Sequence[RawImage | RawRow]) -> str:
    """What is wrong with the first record that is not an image."""
    for raw in records:
        assert isinstance(raw, RawImage)  # The reader reads images.
        try:
            prepare(raw, Preparation())
        except BadRecordError as error:
            return f": {raw.source}: {error}"
    return ""


def _shape(raw: RawImage | RawRow) -> tuple[int, int, int] | None:
    """(height, width, 1 or 3); None for a record that is not an image."""
    assert isinstance(raw, RawImage)  # The reader reads images.
    if isinstance(raw.content, np.ndarray):
        height, width, *channels = raw.content.shape
        return height, width, 1 if channels in ([], [1]) else 3
    try:
        # Reads only the header.
        with Image.open(io.BytesIO(raw.content)) as image:
            width, height = image.size
            if image.getexif().get(ExifTags.Base.Orientation) in _TURNED:
                width, height = height, width
            return height, width, 1 if image.mode in _GRAY else 3
    except Exception:  # noqa: BLE001
        # Pillow raises many types of errors; ExampleGen reports them.
        return None
