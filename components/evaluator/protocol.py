"""How a generator is measured: what is sampled, from which seed, through which extractor."""

import importlib.metadata
import platform
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from components.data import examples
from components.data.columns import Column
from components.evaluator.metrics.settings import MetricSettings
from components.serving.generator import Generator

_LIBRARIES = ("tfx-gan", "tensorflow", "keras", "numpy")
# By the number of axes of one of them.
_FAKES = {
    3: "quantised to 8 bits, as the real images are",
    1: "in the units and categories of the real rows; whole numbers and dates rounded",
}


def sample(
    generator: Generator,
    count: int,
    seed: int,
    batch_size: int,
    shape: Sequence[int],
    label: int | None = None,
    columns: Sequence[Column] | None = None,
) -> examples.Split:
    """Fakes [count, *shape], the same for the same arguments: uint8 images or codes of rows.

    Args:
      generator: of `images` or `vectors`.
      count: how many.
      seed: of the latents.
      batch_size: fakes a call.
      shape: of one fake, as in the data.
      label: class of all fakes; None for the classes that the generator draws itself.
      columns: of the real rows; None for images, and for numbers.

    Raises:
      ValueError: where the generator has no such signature, or makes data of another shape or type,
        or of other columns.
    """
    if columns is not None and generator.table is not None:
        _check_columns(generator.path, generator.table, columns)
    made = generator.draw(count, seed, label, batch_size)
    expected = "uint8" if len(shape) == 3 else "float32 or float64"
    if made.shape != (count, *shape) or made.dtype.name not in expected.split(" or "):
        raise ValueError(
            f"{generator.path}: samples are {made.dtype} {list(made.shape)}, "
            f"expected {expected} {[count, *shape]} as the data"
        )
    if len(shape) == 3:
        return examples.Split(made, None)
    codes = made.astype(np.float64)
    for place, column in enumerate(columns or ()):
        # As examples store them, or the last digits would tell fakes from real ones.
        feature = column.kind.feature
        if not column.kind.discrete:
            values = codes[:, place]
            codes[:, place] = np.rint(values) if feature.is_integer else values.astype(np.float32)
    return examples.Split(codes, None, {}, generator.categories)


def _check_columns(path: str, made: Sequence[Column], real: Sequence[Column]) -> None:
    for ours, theirs in zip(made, real, strict=False):
        if ours.name != theirs.name or ours.kind.discrete != theirs.kind.discrete:
            raise ValueError(
                f"{path}: makes {ours.name!r} ({ours.type}) where the data have {theirs.name!r} "
                f"({theirs.type}); give the data's columns the generator's names and types"
            )


def interpolations(generator: Generator, rows: int, columns: int, seed: int) -> np.ndarray:
    """Fake uint8 images [rows, columns, height, width, channels] between two latents a row.

    Along great circles, on which latents are as long as those that the generator was trained with
    (White, "Sampling Generative Networks", 2016, section 2.1). A conditional generator makes one
    class a row.

    Args:
      generator: signature `serving_default`, `latents` [n, d], and `labels` [n] where it is
        conditional, to `images` float32 in [-1, 1].
      rows, columns: of the result, 2 columns or more.
      seed: of the latents at both ends.
    """
    specs = generator.inputs("serving_default")
    size = specs["latents"].shape[-1]
    start, end = np.random.default_rng(seed).normal(size=(2, rows, 1, size))
    cosine = (start * end).sum(axis=-1, keepdims=True)
    cosine /= np.linalg.norm(start, axis=-1, keepdims=True)
    cosine /= np.linalg.norm(end, axis=-1, keepdims=True)
    angle = np.arccos(cosine.clip(-1, 1))
    share = np.linspace(0, 1, columns)[:, np.newaxis]
    latents = np.sin((1 - share) * angle) * start + np.sin(share * angle) * end
    latents /= np.sin(angle)
    inputs = {"latents": tf.constant(latents.reshape(-1, size), tf.float32)}
    if "labels" in specs:
        inputs["labels"] = tf.constant(np.repeat(np.arange(rows), columns), tf.int64)
    images = examples.to_uint8(generator("serving_default", **inputs)["images"]).numpy()
    return images.reshape(rows, columns, *images.shape[1:])


def noise(
    count: int, seed: int, data: np.ndarray, columns: Sequence[Column] | None = None
) -> np.ndarray:
    """`count` of nothing: uniform uint8 images, or rows of independent columns.

    The score of knowing nothing. Columns with an order are normal, with the data's mean and spread
    and as often missing; the categories of a discrete one are equally frequent, and so is a missing
    value where there is one.

    Args:
      count: how many.
      seed: of the choices.
      data: uint8 images, or codes of rows, which may be NaN in columns with missing values only.
      columns: of the rows; numbers if left out.
    """
    rng = np.random.default_rng(seed)
    if data.dtype == np.uint8:
        return rng.integers(0, 256, (count, *data.shape[1:]), dtype=np.uint8)
    there = ~np.isnan(data)
    # A column without any value has neither.
    known = np.where(there.any(axis=0), data, 0)
    made = rng.normal(np.nanmean(known, axis=0), np.nanstd(known, axis=0), (count, data.shape[1]))
    for place, column in enumerate(columns or ()):
        if column.kind.discrete:
            made[:, place] = rng.choice(np.unique(data[:, place]), count)
            continue
        if column.kind.feature.is_integer:
            made[:, place] = np.rint(made[:, place])
        made[rng.random(count) > there[:, place].mean(), place] = np.nan
    return made.astype(data.dtype)


def choose(images: np.ndarray, count: int, seed: int) -> np.ndarray:
    """`count` of the images, or all of them if there are fewer, in random order."""
    order = np.random.default_rng(seed).permutation(len(images))
    return images[order[:count]]


def describe(
    extractor: Mapping[str, Any],
    real_id: str,
    counts: Mapping[str, int],
    shape: Sequence[int],
    settings: MetricSettings,
) -> dict[str, Any]:
    """What has to be equal for two scores to be comparable, as it is stored beside them.

    Args:
      extractor: what is known about it, its id above all.
      real_id: `features.data_id` of the real images.
      counts: samples by source.
      shape: of one of them.
      settings: of the metrics, with the seed.
    """
    return {
        "extractor": dict(extractor),
        "real": real_id,
        "split": examples.EVAL_SPLIT,
        "counts": dict(counts),
        "fakes": _FAKES[len(shape)],
        "settings": settings.model_dump(include=set(MetricSettings.model_fields)),
        "versions": versions(),
    }


def versions() -> dict[str, str]:
    """Of Python and of the packages that scores are computed with."""
    found = {name: importlib.metadata.version(name) for name in _LIBRARIES}
    return {"python": platform.python_version(), **found}
