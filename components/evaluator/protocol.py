"""How a generator is measured: what is sampled, from which seed, through which extractor."""

import importlib.metadata
import platform
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from components.data import examples
from components.evaluator.metrics.comparison import MetricSettings
from components.serving.generator import Generator

_LIBRARIES = ("tfx-gan", "tensorflow", "keras", "numpy")
# By the number of axes of one of them.
_FAKES = {
    3: "quantised to 8 bits, as the real images are",
    1: "float32, in the units of the real rows",
}


def sample(
    generator: Generator,
    count: int,
    seed: int,
    batch_size: int,
    shape: Sequence[int],
    label: int | None = None,
) -> np.ndarray:
    """Fakes [count, *shape], the same for the same arguments: uint8 images or float32 vectors.

    Args:
      generator: of `images` or `vectors`.
      count: how many.
      seed: of the latents.
      batch_size: fakes a call.
      shape: of one fake, as in the data.
      label: class of all fakes; None for the classes that the generator draws itself.

    Raises:
      ValueError: where the generator has no such signature, or makes data of another shape or type.
    """
    made = generator.draw(count, seed, label, batch_size)
    dtype = np.uint8 if len(shape) == 3 else np.float32
    if made.shape != (count, *shape) or made.dtype != dtype:
        raise ValueError(
            f"{generator.path}: samples are {made.dtype} {list(made.shape)}, "
            f"expected {np.dtype(dtype)} {[count, *shape]} as the data"
        )
    return made


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


def noise(count: int, seed: int, data: np.ndarray) -> np.ndarray:
    """`count` of nothing: uniform uint8 images, or normal vectors with the data's mean and spread.

    The score of knowing nothing.
    """
    rng = np.random.default_rng(seed)
    if data.dtype == np.uint8:
        return rng.integers(0, 256, (count, *data.shape[1:]), dtype=np.uint8)
    made = rng.normal(data.mean(axis=0), data.std(axis=0), (count, *data.shape[1:]))
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
    versions = {name: importlib.metadata.version(name) for name in _LIBRARIES}
    return {
        "extractor": dict(extractor),
        "real": real_id,
        "split": examples.EVAL_SPLIT,
        "counts": dict(counts),
        "fakes": _FAKES[len(shape)],
        "settings": settings.model_dump(include=set(MetricSettings.model_fields)),
        "versions": {"python": platform.python_version(), **versions},
    }
