"""Loads what a generator has for other runtimes, beside the generator itself, in a clean process.

As `probe`, run in the same way, which has found the SavedModel to keep the contract.
"""

import json
import os
import sys
from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf

# The same pixel may be rounded to neighbouring grey levels.
_LEVELS = 1
_TOLERANCE = 2 / 255

Inputs = Mapping[str, np.ndarray]


def probe(model_dir: str, witness: Mapping[str, np.ndarray]) -> list[str]:
    """Calls every converted signature and the SavedModel's with the same inputs.

    Args:
      model_dir, witness: as of `probe.probe`.

    Returns:
      The names of the files.

    Raises:
      ValueError: for a file that is missing, does not load, fails, or answers differently.
    """
    model = tf.saved_model.load(model_dir)
    with tf.io.gfile.GFile(os.path.join(model_dir, "assets", "description.json")) as file:
        names = sorted(json.load(file)["conversions"])
    for name in names:
        signature, _, suffix = name.partition(".")
        run = _RUNTIMES[suffix.rpartition(".")[-1]]
        path = os.path.join(model_dir, "assets.extra", name)
        function = model.signatures[signature]
        specs = function.structured_input_signature[1]
        given = {key: value for key, value in _inputs(witness).items() if key in specs}
        expected, *_ = function(**{k: tf.constant(v) for k, v in given.items()}).values()
        _compare(name, _answer(run, path, given), expected.numpy())
    return names


def _inputs(witness: Mapping[str, np.ndarray]) -> Inputs:
    seeds, classes = witness["seeds"], witness["classes"]
    share = np.linspace(0.0, 1.0, len(seeds), dtype=np.float32)
    return {
        "latents": witness["latents"],
        "seeds": seeds,
        "end_seeds": seeds[::-1].copy(),
        "positions": share,
        "truncation": share,
        "labels": np.resize(classes, len(seeds)),
    }


def _answer(run: Callable[[bytes, Inputs], np.ndarray], path: str, given: Inputs) -> np.ndarray:
    try:
        with tf.io.gfile.GFile(path, "rb") as file:
            return run(file.read(), given)
    except Exception as error:
        raise ValueError(f"{os.path.basename(path)}: does not run: {error}") from error


def _compare(name: str, found: np.ndarray, expected: np.ndarray) -> None:
    if found.shape != expected.shape or found.dtype != expected.dtype:
        raise ValueError(
            f"{name}: answers {found.dtype} {list(found.shape)}, the SavedModel "
            f"{expected.dtype} {list(expected.shape)}"
        )
    # What is missing in both is equal.
    unknown = np.isnan(found) & np.isnan(expected) if found.dtype.kind == "f" else False
    apart = np.where(unknown, 0.0, np.abs(found.astype(np.float64) - expected))
    if expected.dtype == np.uint8:
        good = apart <= _LEVELS
    else:
        # False for NaN too.
        good = apart <= _TOLERANCE * np.fmax(1.0, np.abs(expected))
    # Rows of a table are rounded, and a few numbers lie at a border.
    if not good.all() and (expected.ndim > 2 or good.mean() < 0.99):
        raise ValueError(f"{name}: up to {apart.max():.3g} from what the SavedModel answers")


def _run_onnx(content: bytes, given: Inputs) -> np.ndarray:
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return session.run(None, dict(given))[0]


def _run_tflite(content: bytes, given: Inputs) -> np.ndarray:
    interpreter = tf.lite.Interpreter(model_content=content)
    (name,) = interpreter.get_signature_list()
    (output,) = interpreter.get_signature_runner(name)(**given).values()
    return output


# By the suffix of the files.
_RUNTIMES: Mapping[str, Callable[[bytes, Inputs], np.ndarray]] = {
    "onnx": _run_onnx,
    "tflite": _run_tflite,
}

if __name__ == "__main__":
    # Makes importing them fail, as on a server that lacks them.
    for name in ("components", "pipeline"):
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        with np.load(sys.argv[2]) as file:
            print(json.dumps({"files": probe(sys.argv[1], dict(file))}))
    # Any failure means that the model cannot be served; this line says why.
    except Exception as error:  # noqa: BLE001
        sys.exit(f"{type(error).__name__}: {' '.join(str(error).split())}")
