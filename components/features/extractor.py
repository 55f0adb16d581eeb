"""Feature extractors as artifacts.

An extractor is a folder:

  extractor.json          its description: `id`, `kind`, `name`, `feature_dim`, `num_classes` (null
                          if it has no classes), `classes_are_labels`, `categories` (of a table: by
                          column, what its codes mean), `pretrained` (the name of the published
                          weights, if a discriminator may have learnt with them too), and entries of
                          its kind
  Format-Serving/         a SavedModel; its signature `serving_default` maps `images` uint8
                          [n, height, width, channels], or `vectors` [n, d], codes of
                          `components.data.columns`, float64 or float32, to `features` float32
                          [n, d] and, if it has classes, `probabilities` float32 [n, classes]
  statistics/<split>.npz  precomputed features of a split of the data; optional

A bare SavedModel with that signature is an extractor too.
"""

import dataclasses
import hashlib
import io
import json
import os
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from components.common import files

DESCRIPTION_FILE = "extractor.json"
SAVED_MODEL_FOLDER = "Format-Serving"
SIGNATURE = "serving_default"
IMAGES, VECTORS = "images", "vectors"

_STATISTICS_FOLDER = "statistics"
_NEEDED = ("id", "kind", "name")
_INPUTS = (IMAGES, VECTORS)
# Of the sum of a row of probabilities: a float16 model has an epsilon of 1e-3.
_TOLERANCE = 1e-2
# NumPy may raise any of these for a damaged file.
DAMAGES = (
    ValueError,
    TypeError,
    AttributeError,
    KeyError,
    OSError,
    EOFError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
)


@dataclasses.dataclass(frozen=True)
class Features:
    """The extracted features of n data.

    Attributes:
      features: float32 [n, d].
      probabilities: float32 [n, classes], rows sum to 1; None if the extractor has no classes.
      labels: int64 [n], the labels of the data; None if they have none.
    """

    features: np.ndarray
    probabilities: np.ndarray | None
    labels: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.features)


class Extractor:
    """A loaded extractor.

    Args:
      folder: path or URI of an extractor or of a bare SavedModel.

    Attributes:
      folder: as given.
      description: content of extractor.json; for a bare SavedModel: the hash of its files as `id`,
        kind "saved_model", the folder's name, and what its signature tells.

    Raises:
      FileNotFoundError: if the folder holds neither.
      ValueError: for an extractor.json that is damaged or lacks a key, and for a SavedModel with
        another signature.
    """

    def __init__(self, folder: str | os.PathLike) -> None:
        self.folder = os.fspath(folder)
        described = tf.io.gfile.exists(os.path.join(self.folder, DESCRIPTION_FILE))
        if not described and not tf.io.gfile.exists(os.path.join(self.folder, "saved_model.pb")):
            raise FileNotFoundError(
                f"{self.folder}: holds neither {DESCRIPTION_FILE} nor saved_model.pb; "
                "expected the folder of an extractor or of a SavedModel"
            )
        path = os.path.join(self.folder, SAVED_MODEL_FOLDER) if described else self.folder
        # Kept, because a signature alone does not keep its variables alive.
        self._model = tf.saved_model.load(path)
        self._input, self._spec = _check_signature(path, self._model.signatures)
        self.description: Mapping[str, Any] = (
            _read_description(self.folder) if described else self._describe()
        )

    @property
    def id(self) -> str:
        """Equal ids mean equal features; scores under different ids are not comparable."""
        return self.description["id"]

    def __call__(self, data: np.ndarray, batch_size: int = 256) -> Features:
        """Extracts features, batch by batch.

        Args:
          data: uint8 images [n, height, width, channels], or codes of rows [n, d], floats, n of 1
            or more.
          batch_size: rows per call of the SavedModel, 1 or more.

        Raises:
          ValueError: for data of the wrong type or shape, no data, features that are not [n, d],
            and probabilities whose rows do not sum to 1.
        """
        data = self._checked(data)
        call = self._model.signatures[SIGNATURE]
        batches = [
            call(**{self._input: tf.constant(data[start : start + batch_size])})
            for start in range(0, len(data), batch_size)
        ]

        def joined(name: str) -> np.ndarray:
            return np.concatenate([batch[name].numpy().astype(np.float32) for batch in batches])

        features = joined("features")
        if features.ndim != 2:
            raise ValueError(
                f"{self.folder}: features of shape {list(features.shape)}, expected [n, d]"
            )
        probabilities = joined("probabilities") if "probabilities" in batches[0] else None
        if probabilities is not None:
            _check_probabilities(self.folder, probabilities)
        return Features(features, probabilities)

    def stored(self, split: str, data: np.ndarray) -> Features | None:
        """The stored features of a split if they are of exactly these data; else None.

        Raises:
          ValueError: for a damaged file.
        """
        found = load(self.folder, split)
        return found[0] if found and found[1] == data_id(data) else None

    def reference(self, split: str) -> Features | None:
        """The stored features of a split, whatever its data were; None if there are none.

        Raises:
          ValueError: for a damaged file.
        """
        found = load(self.folder, split)
        return found and found[0]

    def check_independent(self, pretrained: str | None, generator: str) -> None:
        """Raises ValueError if a generator was trained against this extractor's own features.

        It would have been shown how to please them, whatever else its data look like.

        Args:
          pretrained: the name of the published weights that its discriminator computed with; None
            for none.
          generator: what the error calls it.
        """
        if pretrained is not None and pretrained == self.description.get("pretrained"):
            raise ValueError(
                f"{generator} learns from a discriminator with the features of {pretrained}, so "
                f"{self.folder}, which has the same, cannot judge it; use an extractor of another "
                "kind, such as inception_v3 or self_supervised"
            )

    def _checked(self, data: np.ndarray) -> np.ndarray:
        data = np.asarray(data)
        if self._input == VECTORS and np.issubdtype(data.dtype, np.floating):
            data = data.astype(self._spec.dtype.as_numpy_dtype)
        fits = self._spec.shape.is_compatible_with((None, *data.shape[1:]))
        if data.dtype != self._spec.dtype.as_numpy_dtype or not fits:
            raise ValueError(
                f"{self.folder}: the extractor expects {self._input} {self._spec.dtype.name} "
                f"{self._spec.shape}, found {data.dtype} {list(data.shape)}"
            )
        if not len(data):
            raise ValueError(f"{self.folder}: no {self._input} to extract features from")
        return data

    def _describe(self) -> dict[str, Any]:
        outputs = self._model.signatures[SIGNATURE].structured_outputs
        classes = outputs["probabilities"].shape[-1] if "probabilities" in outputs else None
        return {
            "id": files.digest(self.folder, without=[_STATISTICS_FOLDER]),
            "kind": "saved_model",
            "name": os.path.basename(os.path.normpath(self.folder)),
            "feature_dim": outputs["features"].shape[-1],
            "num_classes": classes,
            "classes_are_labels": False,
        }


def data_id(data: np.ndarray) -> str:
    """A hash of the dtype, shape and content of an array, 16 hexadecimal digits."""
    data = np.ascontiguousarray(data)
    digest = hashlib.sha256(f"{data.dtype.str} {data.shape} ".encode())
    digest.update(data.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()[:16]


def store(folder: str, split: str, features: Features, data_id: str) -> None:
    """Writes the features of a split into an extractor's folder, replacing existing ones.

    Args:
      folder: path or URI of the extractor.
      split: name of the split.
      features: of the split's data, in their order.
      data_id: the `data_id` of these data.
    """
    arrays = {
        name: array
        for name, array in vars(features).items()
        if array is not None  # npz has no None.
    }
    buffer = io.BytesIO()
    np.savez(buffer, data_id=np.array(data_id), **arrays)
    files.write(_statistics_file(folder, split), buffer.getvalue())


def load(folder: str, split: str) -> tuple[Features, str] | None:
    """The features that `store` wrote, and the `data_id` of their data; None if there are none.

    Raises:
      ValueError: for a file that is damaged, or was not written by `store`.
    """
    path = _statistics_file(folder, split)
    if not tf.io.gfile.exists(path):
        return None
    try:
        with np.load(io.BytesIO(files.read(path)), allow_pickle=False) as arrays:
            found = {name: arrays[name] for name in arrays.files}
            of_data = str(found.pop("data_id"))
            features = Features(**{"probabilities": None, **found})
        lengths = {len(array) for array in found.values()}
        if features.features.ndim != 2 or len(lengths) != 1:
            raise ValueError("its arrays differ in length")
    except DAMAGES as error:
        reason = " ".join(str(error).split())
        raise ValueError(
            f"{path}: not a valid file of stored features ({reason}); "
            "delete it to extract them again"
        ) from error
    return features, of_data


def _statistics_file(folder: str, split: str) -> str:
    return os.path.join(folder, _STATISTICS_FOLDER, f"{split}.npz")


def _check_signature(path: str, signatures: Mapping[str, Any]) -> tuple[str, tf.TensorSpec]:
    """The name and the spec of the SavedModel's input."""
    if SIGNATURE not in signatures:
        found = ", ".join(signatures) or "none"
        raise ValueError(f"{path}: no signature {SIGNATURE!r}, found: {found}")
    outputs = signatures[SIGNATURE].structured_outputs
    if "features" not in outputs:
        raise ValueError(f"{path}: no output 'features', found: {', '.join(sorted(outputs))}")
    inputs = signatures[SIGNATURE].structured_input_signature[1]
    if len(inputs) != 1 or not set(inputs) <= set(_INPUTS):
        raise ValueError(
            f"{path}: {SIGNATURE} takes {', '.join(sorted(inputs)) or 'no inputs'}, "
            f"expected only {' or '.join(_INPUTS)}"
        )
    ((name, spec),) = inputs.items()
    return name, spec


def _check_probabilities(folder: str, probabilities: np.ndarray) -> None:
    if probabilities.ndim != 2:
        raise ValueError(
            f"{folder}: probabilities of shape {list(probabilities.shape)}, expected [n, classes]"
        )
    off = np.abs(probabilities.sum(axis=1) - 1)
    # Written so that NaN fails too.
    if not (off <= _TOLERANCE).all() or not (probabilities >= 0).all():
        worst = probabilities[np.argmax(np.nan_to_num(off, nan=np.inf))]
        raise ValueError(
            f"{folder}: a row of probabilities ranges from {worst.min():.3g} to {worst.max():.3g} "
            f"with sum {worst.sum():.3g}, expected none below 0 and sum 1; "
            "end the model with a softmax"
        )


def _read_description(folder: str) -> dict[str, Any]:
    path = os.path.join(folder, DESCRIPTION_FILE)
    with tf.io.gfile.GFile(path) as file:
        content = file.read()
    try:
        description = json.loads(content)
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}: not JSON: {error}") from error
    if not isinstance(description, dict):
        raise ValueError(f"{path}: a {type(description).__name__}, expected an object")
    missing = [name for name in _NEEDED if name not in description]
    if missing:
        raise ValueError(f"{path}: no {', '.join(missing)}; found {', '.join(description)}")
    return description
