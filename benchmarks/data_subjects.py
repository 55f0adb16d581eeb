"""The data that `data.py` measures: all of each, a tenth of it, and a few to warm up on."""

import csv
import io
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
SAMPLE = ROOT / "data/fashion_mnist"
# Parts of each, as names of folders.
ALL, TENTH, FEW = "all", "tenth", "few"
CLOTHES, PHOTOGRAPHS = "28×28 from IDX", "64×64 from JPEG"
FILES, ROWS = "28×28 from PNG files", "rows from CSV"
_COLUMNS = ("a", "b", "c", "d", "e")
# How each is read.
READING: Mapping[str, Mapping[str, Any]] = {
    CLOTHES: {"image_shape": (28, 28, 1)},
    PHOTOGRAPHS: {"image_shape": (64, 64, 3), "fit": "crop"},
    FILES: {"image_shape": (28, 28, 1)},
    ROWS: {"columns": _COLUMNS},
}
_PHOTOGRAPHS, _FILES, _ROWS = 5_000, 100_000, 1_000_000
_CLASSES = 10
_WARM_UP = 200


def write(name: str, folder: Path, source: str | None, scale: int) -> None:
    """Writes the data of a name to the folders `ALL`, `TENTH` and `FEW`, divided by the scale.

    Args:
      name: a key of READING.
      folder: the new folder around them.
      source: folder of the full Fashion-MNIST's IDX files; by default the sample is repeated.
      scale: of 1 for everything.
    """
    if name == CLOTHES:
        _write_clothes(folder, source, scale)
    elif name == PHOTOGRAPHS:
        _write_photographs(folder, _PHOTOGRAPHS // scale)
    elif name == FILES:
        _write_files(folder, _FILES // scale)
    else:
        _write_rows(folder, _ROWS // scale)


def _write_clothes(folder: Path, source: str | None, scale: int) -> None:
    """Fashion-MNIST as IDX files.

    Without a source, repeats the sample, shifted by a different number of pixels each time.
    """
    for name, count in (("train", 60_000 // scale), ("t10k", 10_000 // scale)):
        for kind in ("images-idx3-ubyte", "labels-idx1-ubyte"):
            found = _read_idx(f"{source or SAMPLE}/{name}-{kind}.gz")
            if not source:
                shifts = range(-(-count // len(found)))
                axes = tuple(range(1, found.ndim)) or None
                found = np.concatenate(
                    [np.roll(found, shift, axes) if axes else found for shift in shifts]
                )
            for part, size in ((ALL, count), (TENTH, count // 10), (FEW, _WARM_UP)):
                (folder / part).mkdir(parents=True, exist_ok=True)
                _write_idx(str(folder / part / f"{name}-{kind}.gz"), found[:size])


def _read_idx(path: str) -> np.ndarray:
    from components.example_gen.formats.idx import read_idx

    return read_idx(path)


def _write_idx(path: str, array: np.ndarray) -> None:
    from components.example_gen.formats.idx import write_idx

    write_idx(path, array)


def _write_photographs(folder: Path, count: int) -> None:
    """JPEG files in two classes: crops of scikit-learn's photographs, from 100 to 400 pixels."""
    from sklearn.datasets import load_sample_images

    photographs = [Image.fromarray(image) for image in load_sample_images().images]
    rng = np.random.default_rng(0)
    for index in range(count):
        picture = photographs[index % 2]
        size = int(rng.integers(100, 400))
        left, top = (int(rng.integers(side - size)) for side in picture.size)
        part = picture.crop((left, top, left + size, top + size))
        buffer = io.BytesIO()
        part.save(buffer, "JPEG", quality=90)
        _put(folder, f"{index % 2}/{index}.jpg", buffer.getvalue(), index, count)


def _write_files(folder: Path, count: int) -> None:
    """One PNG file an image of the sample, shifted by a different number of pixels each time."""
    images = _read_idx(f"{SAMPLE}/train-images-idx3-ubyte.gz")
    for index in range(count):
        pixels = np.roll(images[index % len(images)], index // len(images), axis=(0, 1))
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "PNG")
        _put(folder, f"{index % _CLASSES}/{index:06d}.png", buffer.getvalue(), index, count)


def _put(folder: Path, name: str, content: bytes, index: int, count: int) -> None:
    first = folder / ALL / name
    first.parent.mkdir(parents=True, exist_ok=True)
    first.write_bytes(content)
    for part, size in ((TENTH, count // 10), (FEW, _WARM_UP)):
        if index < size:
            path = folder / part / name
            path.parent.mkdir(parents=True, exist_ok=True)
            os.link(first, path)


def _write_rows(folder: Path, count: int) -> None:
    """A CSV file of five columns of numbers and a label."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(count, len(_COLUMNS)))
    for part, size in ((ALL, count), (TENTH, count // 10), (FEW, _WARM_UP)):
        (folder / part).mkdir(parents=True)
        with open(folder / part / "rows.csv", "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow([*_COLUMNS, "label"])
            writer.writerows(
                [*(f"{value:.6f}" for value in row), index % _CLASSES]
                for index, row in enumerate(values[:size])
            )


sys.path.insert(0, str(ROOT))
