"""Sample grids as PNG files."""

import io
import math

import numpy as np
from PIL import Image

from components.common import files

# Pixels between images.
_GAP = 1


def grid(images: np.ndarray, columns: int | None = None) -> Image.Image:
    """Tiles uint8 images [n, height, width, 1 or 3], row by row, into one picture.

    Args:
      images: the images; gaps, and the rest of an incomplete last row, are white.
      columns: images per row; by default the grid is about square.

    Raises:
      ValueError: for another dtype or shape, or no images.
    """
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[-1] not in (1, 3):
        raise ValueError(
            f"images: {images.dtype} {list(images.shape)}, "
            "expected uint8 [n, height, width, 1 or 3]"
        )
    count, height, width, channels = images.shape
    if not count:
        raise ValueError("images: none, expected at least one")
    columns = columns or math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    cell = (height + _GAP, width + _GAP)
    padded = np.full((rows * columns, *cell, channels), 255, np.uint8)
    padded[:count, :height, :width] = images
    tiled = padded.reshape(rows, columns, *cell, channels).swapaxes(1, 2)
    tiled = tiled.reshape(rows * cell[0], columns * cell[1], channels)[:-_GAP, :-_GAP]
    return picture(tiled)


def picture(image: np.ndarray) -> Image.Image:
    """A uint8 array [height, width, channels]; in Pillow, gray images have no axis of channels."""
    return Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)


def png(image: Image.Image) -> bytes:
    """The picture as the bytes of a PNG file."""
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()


def save_png(image: Image.Image, path: str) -> None:
    """Writes the picture to a path or URI, atomically."""
    files.write(path, png(image))
