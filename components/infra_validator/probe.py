"""Loads a generator as a server would: in a separate process, with only TensorFlow.

    python -I probe.py MODEL_DIR

Prints one line of JSON and exits with 0 if the SavedModel is valid; otherwise writes one line with
the reason to stderr and exits with 1. Imports nothing from this project.
"""

import dataclasses
import json
import sys
from typing import Any

import numpy as np
import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class _Kind:
    """A kind of generated data.

    Attributes:
      name: of the output.
      axes: of a batch, for messages.
      rank: of a batch.
      sampled: dtype of samples.
      samples: number of samples for comparing seeds; rows of a few integers are often equal.
    """

    name: str
    axes: str
    rank: int
    sampled: tf.DType
    samples: int


_IMAGES = _Kind("images", "[n, height, width, channels]", 4, tf.uint8, 4)
_VECTORS = _Kind("vectors", "[n, columns]", 2, tf.float32, 256)
_LATENTS = 3


def probe(model_dir: str) -> dict[str, Any]:
    """Calls the signatures of the SavedModel in `model_dir`.

    Returns its `latent_size`, and its `image_shape` [height, width, channels] or its `columns`.

    Raises:
      ValueError: for a signature that is missing or has wrong names or types, a fixed batch size,
        floats that are not finite, float images outside [-1, 1], inconsistent sizes, column names
        that are not unique or do not match the columns, and samples that do not depend on their
        seed alone.
      Exception: whatever TensorFlow raises if the model does not load or run.
    """
    # The signatures alone do not keep the model's variables alive.
    model = tf.saved_model.load(model_dir)
    signatures = model.signatures
    kind = _VECTORS if _makes_vectors(signatures) else _IMAGES
    for name, contract in _contracts(kind, conditional="sample_class" in signatures).items():
        if name not in signatures:
            raise ValueError(f"no signature {name!r}, only {sorted(signatures)}")
        _check_types(name, signatures[name], *contract)

    shape = signatures["serving_default"].structured_input_signature[1]["latents"].shape.as_list()
    if len(shape) != 2 or shape[0] is not None or shape[1] is None:
        raise ValueError(f"serving_default: latents are {shape}, expected [None, latent size]")
    latent_size = shape[1]
    latents = np.random.default_rng(0).standard_normal((_LATENTS, latent_size))
    inputs = {"latents": tf.constant(latents, tf.float32)}
    if "sample_class" in signatures:
        inputs["labels"] = tf.zeros([_LATENTS], tf.int64)
    served = signatures["serving_default"](**inputs)[kind.name].numpy()
    if served.ndim != kind.rank or len(served) != _LATENTS:
        raise ValueError(
            f"serving_default: {kind.name} of {_LATENTS} latents have shape {served.shape}, "
            f"expected {kind.axes}"
        )
    if not np.isfinite(served).all():
        raise ValueError(f"serving_default: {kind.name} are not finite")
    if kind is _IMAGES and np.abs(served).max() > 1:
        raise ValueError(
            f"serving_default: images are in [{served.min():.3g}, {served.max():.3g}], "
            "expected [-1, 1]"
        )

    shape = served.shape[1:]
    first, again, other = (_sample(signatures["sample"], kind, seed) for seed in (1, 1, 2))
    if first.shape != (kind.samples, *shape):
        raise ValueError(
            f"sample: {kind.samples} {kind.name} have shape {first.shape}, "
            f"those of serving_default have {shape}"
        )
    if not np.isfinite(first).all():
        raise ValueError(f"sample: {kind.name} are not finite")
    if not np.array_equal(first, again):
        raise ValueError(f"sample: the same seed gives different {kind.name}")
    if np.array_equal(first, other):
        raise ValueError(f"sample: different seeds give the same {kind.name}")
    if kind is _IMAGES:
        return {"latent_size": latent_size, "image_shape": list(shape)}
    names = [name.decode() for name in signatures["columns"]()["names"].numpy()]
    if len(set(names)) != len(names) or len(names) != shape[0]:
        raise ValueError(
            f"columns: {', '.join(names)} are not {shape[0]} unique names, one per column"
        )
    return {"latent_size": latent_size, "columns": names}


def _makes_vectors(signatures: Any) -> bool:
    served = signatures.get("serving_default")
    return served is not None and _VECTORS.name in served.structured_outputs


def _contracts(kind: _Kind, *, conditional: bool) -> dict[str, tuple[dict, dict]]:
    """The expected inputs and outputs of each signature."""
    labels = {"labels": tf.int64} if conditional else {}
    samples, sampled = {"count": tf.int32, "seed": tf.int64}, {kind.name: kind.sampled}
    found = {
        "serving_default": ({"latents": tf.float32, **labels}, {kind.name: tf.float32}),
        "sample": (samples, sampled),
    }
    if conditional:
        found["sample_class"] = ({**samples, "label": tf.int64}, sampled)
    if kind is _VECTORS:
        found["columns"] = ({}, {"names": tf.string})
    return found


def _check_types(name: str, signature: Any, inputs: dict, outputs: dict) -> None:
    found = (signature.structured_input_signature[1], signature.structured_outputs)
    for kind, specs, expected in zip(("inputs", "outputs"), found, (inputs, outputs), strict=True):
        types = {key: spec.dtype for key, spec in specs.items()}
        if types != expected:
            raise ValueError(f"{name}: {kind} are {_in_words(types)}, not {_in_words(expected)}")


def _in_words(types: dict[str, tf.DType]) -> str:
    return ", ".join(f"{key} {dtype.name}" for key, dtype in sorted(types.items()))


def _sample(signature: Any, kind: _Kind, seed: int) -> np.ndarray:
    outputs = signature(count=tf.constant(kind.samples), seed=tf.constant(seed, tf.int64))
    return outputs[kind.name].numpy()


if __name__ == "__main__":
    # Makes importing them fail, as on a server that lacks them.
    for name in ("components", "pipeline"):
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        print(json.dumps(probe(sys.argv[1])))
    # Any failure means that the model cannot be served; this line says why.
    except Exception as error:  # noqa: BLE001
        sys.exit(f"{type(error).__name__}: {' '.join(str(error).split())}")
