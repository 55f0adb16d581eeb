"""Samples of a pushed generator as a file: pictures or tables."""

import os
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from components.common import grids, tables


def write(model_dir: str, count: int, seed: int, label: int | None, out: str) -> None:
    """Samples the SavedModel in `model_dir` into the file `out`, atomically.

    Args:
      model_dir: a SavedModel with the signatures of `components.trainer.export`.
      count: how many.
      seed: the same one gives the same samples.
      label: the class to make; None for those that the model draws itself.
      out: a path or URI: .png, a grid, of images; .csv or .parquet of vectors, a row each.

    Raises:
      ValueError: for a model without the signature, or of other outputs, and for a file of another
        kind than the model makes.
    """
    model = tf.saved_model.load(model_dir)
    arguments = {"count": tf.constant(count), "seed": tf.constant(seed, tf.int64)}
    signature = "sample"
    if label is not None:
        signature = "sample_class"
        arguments["label"] = tf.constant(label, tf.int64)
    if signature not in model.signatures:
        raise ValueError(f"{model_dir}: the SavedModel has no signature {signature!r}")
    sample = model.signatures[signature]
    kind = ", ".join(sample.structured_outputs)
    if kind not in _KINDS:
        raise ValueError(f"{model_dir}: the model makes {kind}, expected {' or '.join(_KINDS)}")
    extensions, save = _KINDS[kind]
    if os.path.splitext(out)[1].lower() not in extensions:
        raise ValueError(
            f"--out {out}: the model makes {kind}; name a {' or '.join(extensions)} file"
        )
    save(model, sample(**arguments)[kind].numpy(), out)


def _save_grid(model: tf.Module, samples: np.ndarray, out: str) -> None:
    del model
    grids.save_png(grids.grid(samples), out)


def _save_table(model: tf.Module, samples: np.ndarray, out: str) -> None:
    names = [f"column {number}" for number in range(samples.shape[1])]
    if "columns" in model.signatures:
        names = [name.decode() for name in model.signatures["columns"]()["names"].numpy()]
    tables.save(samples, names, out)


# By the output of the model: how files of its samples end, and what writes them.
_KINDS: dict[str, tuple[tuple[str, ...], Callable[[tf.Module, np.ndarray, str], None]]] = {
    "images": ((".png",), _save_grid),
    "vectors": (tables.EXTENSIONS, _save_table),
}
