"""How a generator is measured: what is sampled, from which seed, through which extractor."""

import importlib.metadata
import platform
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from components.evaluator.config import EvaluatorConfig
from components.evaluator.scores import Features, MetricSettings, Score, score_all

_LIBRARIES = ("tfx-gan", "tensorflow", "keras", "numpy")


class SavedModel:
    """One signature of a SavedModel.

    Args:
      path: folder of the SavedModel, a path or a URI.
      signature: its name.

    Raises:
      ValueError: where the SavedModel has no such signature.
    """

    def __init__(self, path: str, signature: str) -> None:
        # Kept, for a signature alone does not keep its variables alive.
        self._model = tf.saved_model.load(path)
        if signature not in self._model.signatures:
            found = ", ".join(self._model.signatures) or "none"
            raise ValueError(f"{path}: no signature {signature!r}, found: {found}")
        self._call = self._model.signatures[signature]
        self.path = path

    def __call__(self, **inputs: tf.Tensor) -> dict[str, np.ndarray]:
        """The outputs by name."""
        return {name: tensor.numpy() for name, tensor in self._call(**inputs).items()}


def extract(extractor: SavedModel, images: np.ndarray, batch_size: int) -> Features:
    """Features of uint8 images [n, height, width, channels], a batch at a time."""
    batches = [
        extractor(images=tf.constant(images[start : start + batch_size]))
        for start in range(0, len(images), batch_size)
    ]
    return Features(
        features=np.concatenate([batch["features"] for batch in batches]),
        probabilities=np.concatenate([batch["probabilities"] for batch in batches]),
    )


def sample(
    generator: SavedModel, count: int, seed: int, batch_size: int, image_shape: Sequence[int]
) -> np.ndarray:
    """Fake uint8 images [count, *image_shape], the same for the same arguments.

    Each batch has a seed of its own that follows from `seed`.

    Raises:
      ValueError: where the generator makes images of another shape or type.
    """
    batches = []
    for start in range(0, count, batch_size):
        size = min(batch_size, count - start)
        outputs = generator(
            count=tf.constant(size, tf.int32), seed=tf.constant(_derived(seed, start), tf.int64)
        )
        batch = outputs["images"]
        if batch.shape != (size, *image_shape) or batch.dtype != np.uint8:
            raise ValueError(
                f"{generator.path}: samples are {batch.dtype} {list(batch.shape)}, "
                f"expected uint8 {[size, *image_shape]} as the data"
            )
        batches.append(batch)
    return np.concatenate(batches)


def noise(count: int, seed: int, image_shape: Sequence[int]) -> np.ndarray:
    """Uniform uint8 noise [count, *image_shape]: the score of knowing nothing."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, *image_shape), dtype=np.uint8)


def choose(images: np.ndarray, count: int, seed: int) -> np.ndarray:
    """`count` of the images, or all of them if there are fewer, in random order."""
    order = np.random.default_rng(seed).permutation(len(images))
    return images[order[:count]]


def measure(
    extractor: SavedModel,
    real: np.ndarray,
    subjects: Mapping[str, np.ndarray],
    config: EvaluatorConfig,
) -> dict[str, dict[str, Score]]:
    """The scores of every set of images, by subject and metric, against the real ones.

    Args:
      extractor: signature images to features and probabilities.
      real: uint8 [n, height, width, channels].
      subjects: uint8 images by name.
      config: settings of the metrics and batch size.

    Raises:
      ValueError: for images that a metric cannot be computed from, naming subject and metric.
    """
    reference = extract(extractor, real, config.batch_size)
    scores = {}
    for name, images in subjects.items():
        features = extract(extractor, images, config.batch_size)
        try:
            scores[name] = score_all(reference, features, config)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
    return scores


def describe(
    extractor: Mapping[str, Any], counts: Mapping[str, int], settings: MetricSettings
) -> dict[str, Any]:
    """What has to be equal for two scores to be comparable, as it is stored beside them.

    Args:
      extractor: the content of extractor.json.
      counts: images by source.
      settings: of the metrics, with the seed.
    """
    versions = {name: importlib.metadata.version(name) for name in _LIBRARIES}
    return {
        "extractor": dict(extractor),
        "counts": dict(counts),
        "settings": settings.model_dump(include=set(MetricSettings.model_fields)),
        "versions": {"python": platform.python_version(), **versions},
    }


def _derived(seed: int, start: int) -> int:
    """A seed in [0, 2^63) for the batch that begins at image `start`."""
    return int(np.random.SeedSequence([seed, start]).generate_state(1, np.uint64)[0]) >> 1
