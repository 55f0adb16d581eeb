"""Every kind of image, to the shape of the recipe; expected values by hand or from Pillow alone."""

import io
import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from components.example_gen.prepare import (
    ANIMATED,
    FILTERS,
    MISNAMED,
    BadRecordError,
    Preparation,
    RawImage,
    prepare,
)

RED, GREEN, BLUE, GRAY = (255, 0, 0), (0, 255, 0), (0, 0, 255), (128, 128, 128)


def file(image, file_format="PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=file_format, **options)
    return buffer.getvalue()


def pixels(content, source="a.png", **how) -> np.ndarray:
    record = prepare(RawImage(content, source), Preparation(**how)).record
    decoded = tf.io.decode_png(record.encoded).numpy()
    assert decoded.shape == (record.height, record.width, record.channels)
    return decoded


def noise(*shape) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def exif_turned(image) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6  # Rotate 90 degrees clockwise to see it upright.
    return file(image, "PNG", exif=exif)


RAMP_16 = np.array([[0, 257, 32896], [65535, 128, 60000]], np.uint16)
PALETTE = Image.new("P", (1, 2))
PALETTE.putpalette([*RED, *BLUE])
PALETTE.putpixel((0, 1), 1)
RGB = noise(5, 7, 3)

KINDS = {
    "gray": (file(Image.fromarray(noise(5, 7))), noise(5, 7)[..., None]),
    "rgb": (file(Image.fromarray(RGB)), RGB),
    "bilevel": (file(Image.fromarray(noise(2, 3) > 99)), (noise(2, 3)[..., None] > 99) * 255),
    "palette": (file(PALETTE), [[RED], [BLUE]]),
    "palette with a transparent entry": (
        file(PALETTE, transparency=1),
        [[RED], [(255, 255, 255)]],
    ),
    "transparent gif": (file(PALETTE, "GIF", transparency=0), [[(255, 255, 255)], [BLUE]]),
    # Half of 200 over white: 0.5 * 200 + 0.5 * 255, with an alpha of 128 of 255.
    "alpha": (
        file(Image.fromarray(np.array([[[200, 0, 0, 128], [*GREEN, 0]]], np.uint8))),
        [[(227, 127, 127), (255, 255, 255)]],
    ),
    "gray with alpha": (
        file(Image.fromarray(np.array([[[0, 255], [0, 0]]], np.uint8), "LA")),
        [[(0, 0, 0), (255, 255, 255)]],
    ),
    "rgb with a transparent colour": (
        file(Image.fromarray(np.array([[RED, GREEN]], np.uint8)), transparency=GREEN),
        [[RED, (255, 255, 255)]],
    ),
    "16-bit gray": (
        file(Image.fromarray(RAMP_16)),
        [[[0], [1], [128]], [[255], [0], [233]]],
    ),
    "cmyk": (file(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG", quality=100), None),
    "webp": (file(Image.fromarray(RGB), "WEBP", lossless=True), RGB),
    "bmp": (file(Image.fromarray(RGB), "BMP"), RGB),
    "exif orientation": (exif_turned(Image.fromarray(RGB)), np.rot90(RGB, -1)),
    "array": (RGB, RGB),
    "16-bit array": (RAMP_16, [[[0], [1], [128]], [[255], [0], [233]]]),
    "float array": (np.array([[0.0, 0.5, 1.0]]), [[[0], [128], [255]]]),
    "integer array": (np.array([[0, 7, 255]], np.int64), [[[0], [7], [255]]]),
}


@pytest.mark.parametrize(("content", "expected"), KINDS.values(), ids=KINDS)
def test_kinds_of_images(content, expected):
    found = pixels(content)
    if expected is None:
        # Magenta and yellow ink make red; JPEG is off by a little.
        np.testing.assert_allclose(found, np.broadcast_to(RED, (8, 8, 3)), atol=3)
    else:
        # Pillow rounds half of an alpha either way.
        np.testing.assert_allclose(found, np.asarray(expected), atol=1 if found.size == 6 else 0)


def test_what_is_transparent_shows_the_background():
    clear = file(Image.new("RGBA", (4, 4), (9, 9, 9, 0)))
    assert (pixels(clear, background="#102030") == (16, 32, 48)).all()


@pytest.mark.parametrize(
    ("image", "channels", "expected"),
    [
        (Image.new("L", (4, 4), 77), 3, (77, 77, 77)),
        # ITU-R BT.601: 0.299 R + 0.587 G + 0.114 B.
        (Image.new("RGB", (4, 4), (100, 200, 50)), 1, (153,)),
        (Image.new("RGB", (4, 4), GRAY), 1, (128,)),
    ],
)
@pytest.mark.parametrize("fit", ["exact", "crop"])
def test_channels_are_those_of_the_shape(image, channels, expected, fit):
    found = pixels(file(image), image_shape=(4, 4, channels), fit=fit)
    assert (found == expected).all()


# Red, green, blue: a third each, side by side.
STRIPES = Image.fromarray(
    np.repeat(np.array([[RED, GREEN, BLUE]], np.uint8), 8, axis=1).repeat(8, axis=0)
)


def test_cropping_keeps_the_middle():
    found = pixels(file(STRIPES), image_shape=(8, 8, 3), fit="crop")
    np.testing.assert_array_equal(found, np.broadcast_to(GREEN, (8, 8, 3)))


def test_stretching_keeps_everything():
    found = pixels(file(STRIPES), image_shape=(8, 3, 3), fit="stretch", filter="box")
    np.testing.assert_array_equal(found, np.broadcast_to([RED, GREEN, BLUE], (8, 3, 3)))


def test_padding_shows_everything_on_the_background():
    found = pixels(file(STRIPES), image_shape=(24, 24, 3), fit="pad", background="black")
    np.testing.assert_array_equal(found[8:16], np.asarray(STRIPES))
    assert (found[:8] == 0).all()
    assert (found[16:] == 0).all()


@pytest.mark.parametrize("size", [(1000, 1), (1, 1000)])
@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
def test_extreme_proportions(size, fit):
    assert pixels(file(Image.new("L", size)), image_shape=(8, 8, 1), fit=fit).shape == (8, 8, 1)


@pytest.mark.parametrize("name", FILTERS)
def test_filters_do_not_alias(name):
    """A chessboard of single pixels is gray from afar, not black or white."""
    board = np.indices((64, 64)).sum(axis=0) % 2 * 255
    found = pixels(board, image_shape=(8, 8, 1), fit="stretch", filter=name)
    assert abs(found.astype(int) - 128).max() <= 2


def test_another_size_is_refused_under_exact():
    message = "the image is 8x24 .*data.image_shape.* 8x8; data.fit: crop, pad or stretch"
    with pytest.raises(BadRecordError, match=message):
        pixels(file(STRIPES), image_shape=(8, 8, 3))


@pytest.mark.parametrize(
    ("file_format", "options"), [("GIF", {}), ("WEBP", {"lossless": True}), ("PNG", {})]
)
def test_of_an_animation_the_first_frame_is_taken_and_it_is_said(file_format, options):
    first, *others = [Image.new("RGB", (4, 4), colour) for colour in (RED, GREEN, BLUE)]
    content = file(first, file_format, save_all=True, append_images=others, **options)
    prepared = prepare(RawImage(content, f"a.{file_format.lower()}"), Preparation())
    assert prepared.notes == (ANIMATED,)
    assert (tf.io.decode_png(prepared.record.encoded).numpy() == RED).all()


@pytest.mark.parametrize(
    ("name", "notes"),
    [
        ("a.png", (MISNAMED,)),
        ("a.JPG", ()),
        ("a.jpeg", ()),
        ("a", ()),
        ("a.zip#b.png", (MISNAMED,)),
        ("mnist.parquet#3", ()),
    ],
)
def test_a_jpeg_called_png_is_said(name, notes):
    content = file(Image.new("RGB", (4, 4)), "JPEG")
    assert prepare(RawImage(content, name), Preparation()).notes == notes


def png_header(width: int, height: int) -> bytes:
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    checked = struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))
    return b"\x89PNG\r\n\x1a\n" + checked + struct.pack(">I", 4) + b"IDAT" + bytes(8)


WHOLE = file(Image.fromarray(noise(64, 64, 3)))
BAD = {
    "empty": (b"", "the file is empty"),
    "text": (b"hello, I am no image", "not an image file"),
    "only the magic bytes": (WHOLE[:8], "does not decode|not an image file"),
    "cut": (WHOLE[: len(WHOLE) // 2], "does not decode .*truncated"),
    "cut jpeg": (file(Image.fromarray(RGB), "JPEG")[:-40], "does not decode .*truncated"),
    "cut webp": (file(Image.fromarray(noise(64, 64, 3)), "WEBP")[:-40], "does not decode"),
    "bytes changed": (WHOLE[:2000] + bytes(400) + WHOLE[2400:], "does not decode"),
    "larger than max_pixels": (png_header(9000, 9000), "9000x9000 pixels .*max_pixels, 64,000,000"),
    "a bomb": (png_header(60_000, 60_000), "more than 178,956,970 pixels"),
    "tiff": (file(Image.fromarray(RGB), "TIFF"), "not an image file .*looks like TIFF"),
    "an object array": (np.array([["a"]]), "elements of type <U1, expected numbers"),
    "two channels": (noise(4, 4, 2), r"an array \[4, 4, 2\]"),
    "no pixels": (noise(0, 4), "no pixels"),
    "negative": (np.array([[-1, 3]]), "values from -1 to 3, expected 0 to 255"),
    "large integers": (np.array([[0, 256]]), "expected 0 to 255"),
    "floats of 255": (np.array([[0.0, 255.0]]), r"floats must lie in \[0, 1\]"),
    "nan": (np.array([[0.0, np.nan]]), "floats must lie"),
}


@pytest.mark.parametrize(("content", "reason"), BAD.values(), ids=BAD)
def test_bad_records_have_a_reason_of_one_line(content, reason):
    with pytest.raises(BadRecordError, match=reason) as caught:
        prepare(RawImage(content, "a"), Preparation())
    assert "\n" not in str(caught.value)


HINTS = {
    "tiff": (file(Image.fromarray(RGB), "TIFF"), "looks like TIFF, which is not read; convert"),
    "heic": (b"\0\0\0\x18ftypheic" + bytes(9), "looks like HEIC or AVIF"),
    "a page": (b"\n<!DOCTYPE html><html>404", "looks like a web page or XML, '<!DOCTYPE html>"),
    "raw pixels": (bytes(16 * 16 * 3), "768 bytes, as many as 16x16x3 raw pixels have; encode"),
    "gray raw pixels": (bytes(28 * 28), "784 bytes, as many as 28x28x1 raw pixels have"),
    "base64": (b"iVBORw0KGgoAAAANS", "looks like PNG in base64; decode it first"),
    "numpy": (b"\x93NUMPY\1\0v\0{}", "looks like a NumPy file"),
    "text": (b"img/cat/001.png", "looks like text, 'img/cat/001.png'"),
}


@pytest.mark.parametrize(("content", "hint"), HINTS.values(), ids=HINTS)
def test_what_is_no_image_file_is_named(content, hint):
    with pytest.raises(BadRecordError, match="not an image file") as caught:
        prepare(RawImage(content, "a"), Preparation())
    assert hint in str(caught.value)


TWELVE = np.array([[0, 2048, 4095]], np.uint16)
SCALED = [[0, 128, 255]]
# Content, data.bits, the pixels, and the bits in use.
BITS = {
    "12 of 16": (TWELVE, None, [[0, 8, 16]], 12),
    "12": (TWELVE, 12, SCALED, 12),
    "big endian": (TWELVE.astype(">u2"), None, [[0, 8, 16]], 12),
    "12 of 32": (TWELVE.astype(np.int32), 12, SCALED, 12),
    "8 of 16": (np.array([[0, 255]], np.uint16), 8, [[0, 255]], 8),
    "8 of 16, big endian": (np.array([[0, 255]], ">u2"), None, [[0, 1]], 8),
    "16 of 64": (np.array([[0, 65535]], np.int64), 16, [[0, 255]], 16),
    "png": (file(Image.fromarray(TWELVE)), 12, SCALED, 12),
    "an 8-bit png": (file(Image.fromarray(np.uint8([[0, 9]]))), 12, [[0, 9]], None),
    "an 8-bit array": (np.uint8([[0, 9]]), 12, [[0, 9]], None),
    "black": (np.zeros((1, 2), np.uint16), None, [[0, 0]], 0),
}


@pytest.mark.parametrize(("content", "bits", "expected", "used"), BITS.values(), ids=BITS)
def test_bits_in_use(content, bits, expected, used):
    assert (pixels(content, bits=bits)[..., 0] == expected).all()
    assert prepare(RawImage(content, "a.png"), Preparation(bits=bits)).bits == used


@pytest.mark.parametrize(
    ("content", "bits", "reason"),
    [
        (np.array([[0, 4096]], np.uint16), 12, r"values from 0 to 4096, more than 12 bits \(data"),
        (np.array([[-1, 9]], np.int16), 12, "values from -1 to 9"),
        (np.array([[0, 4095]], np.int32), None, "expected 0 to 255; data.bits scales those"),
    ],
)
def test_values_of_more_bits_are_bad(content, bits, reason):
    with pytest.raises(BadRecordError, match=reason):
        prepare(RawImage(content, "a"), Preparation(bits=bits))


def colours_of_16_bits(value: int) -> bytes:
    rows = b"".join(b"\0" + struct.pack(">6H", *[value] * 6) for _ in range(2))
    found = b"\x89PNG\r\n\x1a\n"
    for kind, body in (
        (b"IHDR", struct.pack(">IIBBBBB", 2, 2, 16, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    ):
        found += struct.pack(">I", len(body)) + kind + body
        found += struct.pack(">I", zlib.crc32(kind + body))
    return found


def test_colours_of_16_bits_of_which_12_are_in_use():
    content = colours_of_16_bits(4095)
    assert prepare(RawImage(content, "a.png"), Preparation()).bits == 12
    with pytest.raises(BadRecordError, match=r"16-bit colours, .*data\.bits: 12 needs"):
        prepare(RawImage(content, "a.png"), Preparation(bits=12))
    assert prepare(RawImage(colours_of_16_bits(65535), "a.png"), Preparation()).bits == 16


def test_what_the_reader_says_is_the_reason():
    with pytest.raises(BadRecordError, match="no such row"):
        prepare(RawImage(b"", "a", error="no such row"), Preparation())


@given(st.binary(max_size=200), st.integers(0, 500))
def test_no_bytes_are_more_than_a_bad_record(garbage, at):
    """Anything is an image or a bad record, never another error."""
    for content in (garbage, WHOLE[:at] + garbage + WHOLE[at + len(garbage) :]):
        try:
            prepared = prepare(RawImage(content, "a"), Preparation())
        except BadRecordError:
            continue
        assert prepared.record.height > 0


def test_preparing_twice_changes_nothing():
    how = Preparation((16, 16, 3), fit="crop")
    once = prepare(RawImage(WHOLE, "a", 3), how).record
    assert prepare(RawImage(once.encoded, "a", 3), how).record == once
