"""Samples of a generator as a file: a picture or a table."""

import os
from collections.abc import Mapping

from components.common import grids
from components.common.registry import nearest
from components.data import table_files
from components.data.columns import Column
from components.serving.generator import Generator

# By the output of the model: the extensions of files of its samples.
_EXTENSIONS = {"images": (".png",), "vectors": table_files.EXTENSIONS}


def write(folder: str, count: int, seed: int, label: str | None, out: str) -> None:
    """Writes samples of a generator to the file `out`, atomically.

    Args:
      folder: a SavedModel with the signatures of `components.trainer.export`, a TFX Model artifact
        or a serving folder, whose newest version is used.
      count: number of samples.
      seed: the same seed gives the same samples.
      label: the class of all samples, its number or its name; None for classes that the model draws
        itself.
      out: a path or URI: .png for a grid of images; .csv or .parquet for vectors, one a row.

    Raises:
      FileNotFoundError: for a folder without a SavedModel.
      ValueError: for a model without the signature or with other outputs, for a class of an unknown
        name, and for a file of another kind than the model makes.
    """
    generator = Generator.load(folder)
    path, kind = generator.path, generator.kind
    number = None if label is None else class_number(label, generator.class_names)
    if kind not in _EXTENSIONS:
        expected = " or ".join(_EXTENSIONS)
        raise ValueError(f"{path}: the model makes {kind}, expected {expected}")
    extensions = _EXTENSIONS[kind]
    if os.path.splitext(out)[1].lower() not in extensions:
        raise ValueError(
            f"--out {out}: the model makes {kind}; name a {' or '.join(extensions)} file"
        )
    samples = generator.draw(count, seed, number)
    if kind == "images":
        grids.save_png(grids.grid(samples), out)
    else:
        table_files.save(samples, columns_of(generator), generator.categories, out)


def columns_of(generator: Generator) -> tuple[Column, ...]:
    """The columns of a generator of vectors; numbered ones if they have no names."""
    return generator.table or tuple(Column(name=name) for name in generator.column_names)


def class_number(label: str, names: Mapping[int, str]) -> int:
    """The class that is meant: a whole number is one, whatever the classes are called.

    Raises:
      ValueError: for an unknown name.
    """
    if label.isdecimal():
        return int(label)
    numbers = {name: number for number, name in names.items()}
    if label not in numbers:
        known = nearest(label, numbers) if numbers else "the model's classes have numbers only"
        raise ValueError(f"--label {label}: no class of this name; {known}")
    return numbers[label]
