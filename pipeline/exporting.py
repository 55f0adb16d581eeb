"""A signature of a generator for another runtime, compared with the SavedModel before it counts."""

import dataclasses
import importlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from components.common import files
from components.common.registry import Registry
from components.serving import draws
from components.serving.contract import CONTRACT
from components.serving.generator import Generator

# The first with the bit operations that seeds become latents by.
_OPSET = 18
_ROWS = 64
# Of the floats, relative to 1 or to their size; and grey levels of images.
_MOST_APART, _LEVELS = 1e-3, 1
# Rows are rounded to the decimals of their columns, and a few lie at a border.
_ROUNDED_OTHERWISE = 0.01

# Calls a model of the runtime: inputs by name to the only output.
Call = Callable[[Mapping[str, np.ndarray]], np.ndarray]
# Converts a tf.function with an input signature; returns the file, and what calls it.
Convert = Callable[[Any], tuple[bytes, Call]]

RUNTIMES: Registry[Convert] = Registry("runtime")


@dataclasses.dataclass(frozen=True)
class Difference:
    """Between the answers of both.

    Attributes:
      rows: that were compared.
      largest: in grey levels for uint8, else relative to 1 or to the number's size.
      unit: in words.
    """

    rows: int
    largest: float
    unit: str

    def __str__(self) -> str:
        return f"at most {self.largest:.3g} {self.unit} apart in {self.rows} rows"


def export(model: str, runtime: str, signature: str, out: str) -> Difference:
    """Writes a signature of a generator to the file `out`, atomically.

    Args:
      model: as `Generator.load` takes it.
      runtime: a name in RUNTIMES.
      signature: one that makes numbers from numbers; its inputs keep their names.
      out: a path or URI.

    Returns:
      How far the converted model is from the SavedModel.

    Raises:
      ValueError: for an unknown runtime, a signature that is not there or not of numbers, a model
        of an earlier contract, and a converted model that answers differently.
      ModuleNotFoundError: if the converter is not installed.
    """
    convert = RUNTIMES.get(runtime)
    generator = Generator.load(model)
    if generator.description.get("contract") != CONTRACT:
        raise ValueError(f"{generator.path}: not of contract {CONTRACT}; export it again")
    kinds = [spec.dtype for spec in generator.outputs(signature).values()]
    if not generator.inputs(signature) or tf.string in kinds:
        raise ValueError(f"--signature {signature}: makes no numbers from numbers; name another")
    content, call = convert(generator.function(signature))
    given = _inputs(generator, signature)
    (expected,) = generator(signature, **given).values()
    found = _compare(call(given), expected, given)
    files.write(out, content)
    return found


def _compare(
    found: np.ndarray, expected: np.ndarray, given: Mapping[str, np.ndarray]
) -> Difference:
    """Raises ValueError if the answers are further apart than rounding explains."""
    if found.shape != expected.shape or found.dtype != expected.dtype:
        raise ValueError(
            f"the converted model answers {found.dtype} {list(found.shape)}, expected "
            f"{expected.dtype} {list(expected.shape)}"
        )
    apart = np.abs(found.astype(np.float64) - expected)
    if expected.dtype == np.uint8:
        unit, far = "grey levels", apart > _LEVELS
    else:
        apart /= np.maximum(1.0, np.abs(expected))
        unit, far = "relative", ~(apart <= _MOST_APART)
    tolerated = _ROUNDED_OTHERWISE if expected.ndim == 2 and "latents" not in given else 0.0
    if far.mean() > tolerated:
        raise ValueError(
            f"the converted model is up to {apart.max():.3g} {unit} from the SavedModel, in "
            f"{far.mean():.2%} of the values; nothing is written"
        )
    return Difference(len(expected), float(apart.max()), unit)


def _inputs(generator: Generator, signature: str) -> dict[str, np.ndarray]:
    seeds = np.arange(_ROWS, dtype=np.int64)
    share = np.linspace(0.0, 1.0, _ROWS, dtype=np.float32)
    known = {
        "seeds": seeds,
        "end_seeds": seeds - _ROWS,
        "latents": draws.numpy_latents(seeds, generator.description["latent_dim"]),
        "positions": share,
        "truncation": share,
    }
    if generator.conditional:
        served = np.flatnonzero(generator.description["class_shares"])
        known["labels"] = np.resize(served, _ROWS).astype(np.int64)
    return {name: known[name] for name in generator.inputs(signature)}


@RUNTIMES.register("onnx")
def _to_onnx(function: Any) -> tuple[bytes, Call]:  # noqa: ANN401
    """With tf2onnx; ONNX Runtime answers."""
    tf2onnx, runtime = (_needed(name, "onnx") for name in ("tf2onnx", "onnxruntime"))
    converted, _ = tf2onnx.convert.from_function(
        function, input_signature=function.input_signature, opset=_OPSET
    )
    content = converted.SerializeToString()
    session = runtime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return content, lambda inputs: session.run(None, dict(inputs))[0]


def _needed(name: str, extra: str) -> Any:  # noqa: ANN401
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        raise ModuleNotFoundError(
            f"{name} is not installed: pip install 'tfx-gan[{extra}]'", name=name
        ) from error
