"""Loads a generator as a server would: in a process of its own, with plain TensorFlow.

    python -I probe.py MODEL_DIR

Prints one line of JSON and exits with 0 where the SavedModel keeps its contract; otherwise writes
one line with the reason to stderr and exits with 1. Imports nothing of this project.
"""

import json
import sys
from typing import Any

import numpy as np
import tensorflow as tf

_SIGNATURES = {
    "serving_default": ({"latents": tf.float32}, {"images": tf.float32}),
    "sample": ({"count": tf.int32, "seed": tf.int64}, {"images": tf.uint8}),
}
# Those of a generator with classes.
_CONDITIONAL_SIGNATURES = {
    **_SIGNATURES,
    "serving_default": (
        {"latents": tf.float32, "labels": tf.int64},
        {"images": tf.float32},
    ),
    "sample_class": (
        {"count": tf.int32, "seed": tf.int64, "label": tf.int64},
        {"images": tf.uint8},
    ),
}
_LATENTS = 3
_SAMPLES = 4


def probe(model_dir: str) -> dict[str, Any]:
    """Calls both signatures of the SavedModel in `model_dir`.

    Returns its `latent_size` and its `image_shape` [height, width, channels].

    Raises:
      ValueError: for a signature that is missing or has other names or types, a fixed batch size,
        float images that are not finite or outside [-1, 1], sizes that disagree, and samples that
        do not follow their seed.
      Exception: whatever TensorFlow raises where the model does not load or run.
    """
    # Kept to the end: signatures alone do not keep the model's variables alive.
    model = tf.saved_model.load(model_dir)
    signatures = model.signatures
    contracts = _CONDITIONAL_SIGNATURES if "sample_class" in signatures else _SIGNATURES
    for name, contract in contracts.items():
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
    images = _images(signatures["serving_default"], **inputs)
    if images.ndim != 4 or len(images) != _LATENTS:
        raise ValueError(
            f"serving_default: images of {_LATENTS} latents have shape {images.shape}, "
            "expected [n, height, width, channels]"
        )
    if not np.isfinite(images).all():
        raise ValueError("serving_default: images are not finite")
    if np.abs(images).max() > 1:
        raise ValueError(
            f"serving_default: images are in [{images.min():.3g}, {images.max():.3g}], "
            "expected [-1, 1]"
        )

    first, again, other = (_sample(signatures["sample"], seed) for seed in (1, 1, 2))
    image_shape = images.shape[1:]
    if first.shape != (_SAMPLES, *image_shape):
        raise ValueError(
            f"sample: {_SAMPLES} images have shape {first.shape}, "
            f"those of serving_default have {image_shape}"
        )
    if not np.array_equal(first, again):
        raise ValueError("sample: one seed gives different images")
    if np.array_equal(first, other):
        raise ValueError("sample: two seeds give the same images")
    return {"latent_size": latent_size, "image_shape": list(image_shape)}


def _check_types(name: str, signature: Any, inputs: dict, outputs: dict) -> None:
    found = (signature.structured_input_signature[1], signature.structured_outputs)
    for kind, specs, expected in zip(("inputs", "outputs"), found, (inputs, outputs), strict=True):
        types = {key: spec.dtype for key, spec in specs.items()}
        if types != expected:
            raise ValueError(f"{name}: {kind} are {_in_words(types)}, not {_in_words(expected)}")


def _in_words(types: dict[str, tf.DType]) -> str:
    return ", ".join(f"{key} {dtype.name}" for key, dtype in sorted(types.items()))


def _images(signature: Any, **inputs: tf.Tensor) -> np.ndarray:
    return signature(**inputs)["images"].numpy()


def _sample(signature: Any, seed: int) -> np.ndarray:
    return _images(signature, count=tf.constant(_SAMPLES), seed=tf.constant(seed, tf.int64))


if __name__ == "__main__":
    # The project is installed in this environment; where the model is served it is not.
    sys.modules.update(dict.fromkeys(("components", "pipeline")))
    try:
        print(json.dumps(probe(sys.argv[1])))
    # Whatever goes wrong here, the model is not fit to be served, and this line says why.
    except Exception as error:  # noqa: BLE001
        sys.exit(f"{type(error).__name__}: {' '.join(str(error).split())}")
