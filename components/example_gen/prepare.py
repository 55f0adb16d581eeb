"""From raw records to the images or rows that the recipe asks for, stored without loss."""

import dataclasses
import io
import math
import posixpath
from collections.abc import Mapping, Sequence
from typing import Generic, Literal, TypeVar, get_args

import numpy as np
from PIL import Image, ImageOps

from components.data import examples
from components.data.columns import Cell, Column
from components.data.notes import ANIMATED, MISNAMED
from components.data.vectors import VectorRecord

# Pillow refuses to decode larger images.
LARGEST_MAX_PIXELS = 2 * 89_478_485
Fit = Literal["exact", "crop", "pad", "stretch"]
Filter = Literal["lanczos", "bicubic", "hamming", "bilinear", "box"]
FILTERS: dict[Filter, Image.Resampling] = {
    name: Image.Resampling[name.upper()] for name in get_args(Filter)
}
_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
_FORMAT_OF = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".jpe": "JPEG",
    ".jfif": "JPEG",
    ".webp": "WEBP",
    ".gif": "GIF",
    ".bmp": "BMP",
}
_ALPHA_MODES = ("RGBA", "LA", "PA")
_BITS = 16
_CHANNELS = (1, 3)
# Place of the number of bits of a sample in a PNG file.
_PNG_DEPTH = 24
# What files that are not images begin with, and where.
_SIGNATURES = (
    ("TIFF, which is not read; convert it to PNG", b"II*\0", 0),
    ("TIFF, which is not read; convert it to PNG", b"MM\0*", 0),
    ("HEIC or AVIF, which are not read; convert it to PNG", b"ftyp", 4),
    ("JPEG 2000, which is not read; convert it to PNG", b"\0\0\0\x0cjP  ", 0),
    ("a NumPy file; name it .npy", b"\x93NUMPY", 0),
    ("a serialized tensor; encode the image as PNG", b"\x08\x04\x12", 0),
    ("a zip file", b"PK\3\4", 0),
    ("a gzip file", b"\x1f\x8b", 0),
    ("a PDF file", b"%PDF", 0),
    ("PNG in base64; decode it first", b"iVBORw0KGgo", 0),
    ("JPEG in base64; decode it first", b"/9j/", 0),
)
_SHOWN = 24

RecordT = TypeVar("RecordT", bound=examples.ImageRecord | VectorRecord)


class BadRecordError(ValueError):
    """A bad record; the message is the reason, without the source."""


@dataclasses.dataclass(frozen=True)
class RawImage:
    """An unprocessed image.

    Attributes:
      content: bytes of an image file, or an array [height, width] or [height, width, channels].
      source: origin, e.g. `coats/17.png` or `train-images-idx3-ubyte.gz#17`.
      label: the class, from 0, or None.
      error: why the record cannot be read, or None.
      class_name: name of the class, or None.
    """

    content: bytes | np.ndarray
    source: str
    label: int | None = None
    error: str | None = None
    class_name: str | None = None


@dataclasses.dataclass(frozen=True)
class RawRow:
    """An unprocessed row.

    Attributes:
      values: by column; text, values of a typed column, or None for an empty cell.
      source, label, error, class_name: as of `RawImage`.
    """

    values: Mapping[str, Cell]
    source: str
    label: int | None = None
    error: str | None = None
    class_name: str | None = None


@dataclasses.dataclass(frozen=True)
class Preparation:
    """How images are prepared.

    Attributes:
      image_shape: [height, width, channels], or None for the image's own.
      fit: how an image of another size is brought to the height and width.
      filter: a name of FILTERS; each is widened when an image shrinks (antialiasing).
      background: colour behind transparent pixels and around padded images.
      max_pixels: largest number of pixels of a file, checked before it is decoded.
      bits: how many bits of a value of more than 8 bits are in use; None for all 16.
    """

    image_shape: tuple[int, int, int] | None = None
    fit: Fit = "exact"
    filter: Filter = "lanczos"
    background: str = "white"
    max_pixels: int = 64_000_000
    bits: int | None = None


@dataclasses.dataclass(frozen=True)
class Prepared(Generic[RecordT]):
    """A prepared record.

    Attributes:
      record: for the examples.
      notes: warnings: ANIMATED, MISNAMED.
      bits: how many bits the largest value of a 16-bit image needs; None for other records.
    """

    record: RecordT
    notes: tuple[str, ...] = ()
    bits: int | None = None


def prepare(raw: RawImage, how: Preparation) -> Prepared[examples.ImageRecord]:
    """Decodes a record and brings it to the wanted shape.

    EXIF orientation is applied, the first frame of an animation is taken, alpha is composited on
    the background, and 16-bit gray is scaled to 8 bits. Depending on `image_shape`, gray becomes
    RGB by repetition, or RGB becomes gray by ITU-R 601-2 luma.

    Raises:
      BadRecordError: with the reason, for a record that cannot be read, does not decode, is too
        large, or differs in size from `image_shape` if `fit` is `exact`.
    """
    if raw.error is not None:
        raise BadRecordError(raw.error)
    if isinstance(raw.content, np.ndarray) and _is_ready(raw.content, how):
        return Prepared(examples.from_array(raw.content, raw.source, raw.label, raw.class_name))
    notes: list[str] = []
    if isinstance(raw.content, bytes):
        image, bits = _decoded(raw.content, raw.source, how, notes)
    else:
        image, bits = _picture(raw.content, how)
    if how.image_shape is not None:
        height, width, channels = how.image_shape
        image = image.convert("L" if channels == 1 else "RGB")
        image = _fitted(image, (width, height), how)
    record = examples.from_array(np.asarray(image), raw.source, raw.label, raw.class_name)
    return Prepared(record, tuple(notes), bits)


def _is_ready(array: np.ndarray, how: Preparation) -> bool:
    """Whether an array has the wanted values and shape already, and `prepare` would return it."""
    if how.image_shape is None or array.dtype != np.uint8 or how.image_shape[2] not in _CHANNELS:
        return False
    return array.shape == how.image_shape or (*array.shape, 1) == how.image_shape


def prepare_row(raw: RawRow, columns: Sequence[Column]) -> Prepared[VectorRecord]:
    """The values of a row.

    Raises:
      BadRecordError: with the reason, for a row that cannot be read, and a cell that is missing or
        not of its column's type.
    """
    if raw.error is not None:
        raise BadRecordError(raw.error)
    try:
        values = {column.name: column.value(raw.values[column.name]) for column in columns}
    except ValueError as error:
        raise BadRecordError(str(error)) from error
    return Prepared(VectorRecord(values, raw.source, raw.label, raw.class_name))


def _decoded(
    content: bytes, source: str, how: Preparation, notes: list[str]
) -> tuple[Image.Image, int | None]:
    """The picture of an image file, and the `bits` of `Prepared`."""
    if not content:
        raise BadRecordError("the file is empty")
    try:
        with Image.open(io.BytesIO(content), formats=_FORMATS) as image:
            pixels = image.width * image.height
            if pixels > how.max_pixels:
                raise BadRecordError(
                    f"{image.width}x{image.height} pixels are more than data.max_pixels, "
                    f"{how.max_pixels:,}"
                )
            # JPEG files of cameras may hold several pictures (MPO).
            kind = "JPEG" if image.format == "MPO" else image.format
            if image.format != "MPO" and getattr(image, "is_animated", False):
                notes.append(ANIMATED)
                image.seek(0)
            image.load()
            named = _FORMAT_OF.get(posixpath.splitext(source)[1].lower(), kind)
            if named != kind:
                notes.append(MISNAMED)
            picture = ImageOps.exif_transpose(image)
            bits = None
            if picture.mode.startswith("I"):
                values, bits = _from_16_bit(np.asarray(picture), how.bits)
                picture = Image.fromarray(values)
            picture = _flat(picture, how.background)
            if image.format == "PNG" and content[_PNG_DEPTH] == _BITS and bits is None:
                # Pillow reads the upper 8 bits of 16-bit colours.
                brightest = int(np.asarray(picture).max())
                bits = brightest.bit_length() + 8 if brightest else 0
                if how.bits not in (None, _BITS):
                    raise BadRecordError(
                        f"a PNG of 16-bit colours, of which the upper 8 bits are read; data.bits: "
                        f"{how.bits} needs gray images or arrays"
                    )
            return picture, bits
    except BadRecordError:
        raise
    except Image.DecompressionBombError as error:
        raise BadRecordError(
            f"more than {LARGEST_MAX_PIXELS:,} pixels, data.max_pixels is {how.max_pixels:,}"
        ) from error
    except Image.UnidentifiedImageError as error:
        hint = _resembles(content)
        raise BadRecordError(f"not an image file ({', '.join(_FORMATS)}){hint}") from error
    # Depending on the damage, Pillow raises OSError, SyntaxError, ValueError, struct.error, …
    except Exception as error:  # noqa: BLE001
        reason = " ".join(str(error).split()) or type(error).__name__
        raise BadRecordError(f"the image does not decode ({reason})") from error


def _resembles(content: bytes) -> str:
    """What bytes that are no image file look like, for an error message."""
    for name, signature, start in _SIGNATURES:
        if content[start : start + len(signature)] == signature:
            return f": it looks like {name}"
    text = content[:_SHOWN].strip()
    if content.lstrip()[:1] == b"<":
        return f": it looks like a web page or XML, {text.decode('ascii', 'replace')!r}"
    for channels in (3, 1, 4):
        side = math.isqrt(len(content) // channels)
        if side > 1 and side * side * channels == len(content):
            return (
                f": {len(content)} bytes, as many as {side}x{side}x{channels} raw pixels have; "
                "encode them as PNG"
            )
    if text.isascii() and text.decode().isprintable():
        return f": it looks like text, {text.decode()!r}"
    return ""


def _picture(array: np.ndarray, how: Preparation) -> tuple[Image.Image, int | None]:
    """An array as a picture, and the `bits` of `Prepared`.

    Raises BadRecordError for other elements or shapes.
    """
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)):
        raise BadRecordError(f"an array {list(array.shape)}, expected [height, width, 1, 3 or 4]")
    if 0 in array.shape:
        raise BadRecordError(f"an array {list(array.shape)} has no pixels")
    kind, size = array.dtype.kind, array.dtype.itemsize
    bits = None
    if kind == "b":
        array = array.astype(np.uint8) * 255
    elif kind == "f":
        if np.isnan(array).any():
            raise BadRecordError(
                f"{array.dtype} values with NaN among them; floats must lie in [0, 1]"
            )
        if array.min() < 0 or array.max() > 1:
            raise BadRecordError(
                f"{array.dtype} values from {array.min():g} to {array.max():g}; floats must lie "
                "in [0, 1]; scale them first"
            )
        array = np.rint(array * 255).astype(np.uint8)
    elif kind in "iu" and size > 1 and (how.bits is not None or (kind, size) == ("u", 2)):
        array, bits = _from_16_bit(array, how.bits)
    elif kind in "iu":
        if array.min() < 0 or array.max() > 255:
            hint = "; data.bits scales those of up to 16 bits" if size > 1 else ""
            raise BadRecordError(
                f"{array.dtype} values from {array.min()} to {array.max()}, expected 0 to 255{hint}"
            )
        array = array.astype(np.uint8)
    else:
        raise BadRecordError(f"elements of type {array.dtype}, expected numbers")
    return _flat(Image.fromarray(np.ascontiguousarray(array)), how.background), bits


def _from_16_bit(values: np.ndarray, bits: int | None) -> tuple[np.ndarray, int]:
    """Values of `bits` bits, by default 16, scaled to 8 bits; and how many bits the largest needs.

    Raises BadRecordError for others.
    """
    low, high = int(values.min()), int(values.max())
    largest = 2 ** (bits or _BITS) - 1
    if low < 0 or high > largest:
        raise BadRecordError(
            f"values from {low} to {high}, more than {bits or _BITS} bits"
            f"{' (data.bits)' if bits else ''}"
        )
    return np.rint(values / (largest / 255)).astype(np.uint8), high.bit_length()


def _flat(image: Image.Image, background: str) -> Image.Image:
    """The picture in mode L or RGB, without transparency."""
    if image.mode in _ALPHA_MODES or "transparency" in image.info:
        below = Image.new("RGBA", image.size, background)
        return Image.alpha_composite(below, image.convert("RGBA")).convert("RGB")
    return image.convert("L" if image.mode in ("1", "L") else "RGB")


def _fitted(image: Image.Image, size: tuple[int, int], how: Preparation) -> Image.Image:
    """The picture in `size`, (width, height); raises BadRecordError where `fit` refuses it."""
    resample = FILTERS[how.filter]
    if how.fit == "crop":
        return ImageOps.fit(image, size, resample)
    if how.fit == "stretch":
        return image.resize(size, resample)
    if how.fit == "pad":
        # At least one pixel a side.
        scale = min(size[0] / image.width, size[1] / image.height)
        inner = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        padded = Image.new(image.mode, size, how.background)
        left, top = ((outer - side) // 2 for outer, side in zip(size, inner, strict=True))
        padded.paste(image.resize(inner, resample), (left, top))
        return padded
    if image.size != size:
        raise BadRecordError(
            f"the image is {image.height}x{image.width} (height x width), data.image_shape is "
            f"{size[1]}x{size[0]}; data.fit: crop, pad or stretch would resize it"
        )
    return image
