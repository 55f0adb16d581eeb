"""A signature of a generator for another runtime, compared with the SavedModel before it counts."""

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from components.common import files
from components.common.registry import Registry
from components.serving import numpy_draws
from components.serving.contract import CONTRACT
from components.serving.generator import Generator
from components.serving.onnx_file import DESCRIPTION

# The first with the bit operations that seeds become latents by.
_OPSET = 18
_ROWS = 64
# Of images; the tolerance of floats is the runtime's.
_LEVELS = 1
# Rows are rounded to the decimals of their columns, and a few lie at a border.
_ROUNDED_OTHERWISE = 0.01

# Calls a converted model: inputs by name to the only output.
Call = Callable[[Mapping[str, np.ndarray]], np.ndarray]


class Runtime(Protocol):
    """Another runtime, and the way there."""

    @property
    def suffix(self) -> str:
        """Of its files."""

    @property
    def signatures(self) -> Sequence[str]:
        """That it has operations for."""

    @property
    def ranks(self) -> Sequence[int]:
        """Of data that it has operations for: 3 for images, 1 for vectors."""

    @property
    def most_apart(self) -> float:
        """That floats may be, relative to 1 or to their size."""

    def convert(self, generator: Generator, signature: str) -> bytes:
        """The content of the file; its model has the names of the signature's inputs.

        Raises:
          ValueError: for a network that the runtime has no operations for.
        """

    def load(self, content: bytes) -> Call:
        """The model in the file, on the CPU."""


RUNTIMES: Registry[Runtime] = Registry("runtime")


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


def check(runtime: str, signature: str) -> None:
    """Raises ValueError for unknown runtimes, and signatures that they have no operations for."""
    known = RUNTIMES.get(runtime).signatures
    if signature not in known:
        raise ValueError(
            f"{runtime}: {signature}: it has no operations for it, only for {', '.join(known)}"
        )


def check_rank(runtime: str, rank: int) -> None:
    """Raises ValueError if the runtime has no operations for data of this rank."""
    if rank not in RUNTIMES.get(runtime).ranks:
        raise ValueError(f"{runtime}: tables need float64, for which it has no operations")


def file_name(runtime: str, signature: str) -> str:
    """Of a converted signature in a model's folder of further files.

    >>> file_name("tflite-float16", "serving_default")
    'serving_default.float16.tflite'
    """
    return f"{signature}.{RUNTIMES.get(runtime).suffix}"


def export(generator: Generator, runtime: str, signature: str, out: str) -> Difference:
    """Writes a signature of a generator to the file `out`, atomically.

    Args:
      generator: a SavedModel's.
      runtime: a name in RUNTIMES.
      signature: one of the runtime's; its inputs keep their names.
      out: a path or URI.

    Returns:
      How far the converted model is from the SavedModel.

    Raises:
      ValueError: for an unknown runtime, a signature that is not there or that the runtime has no
        operations for, likewise a network, a model of an earlier contract, and a converted model
        that answers differently.
    """
    check(runtime, signature)
    target = RUNTIMES.get(runtime)
    if generator.description.get("contract") != CONTRACT:
        raise ValueError(f"{generator.path}: not of contract {CONTRACT}; export it again")
    check_rank(runtime, len(generator.description["shape"]))
    generator.outputs(signature)
    content = target.convert(generator, signature)
    given = _inputs(generator, signature)
    (expected,) = generator(signature, **given).values()
    try:
        found = _compare(target.load(content)(given), expected, target.most_apart)
    except ValueError as error:
        raise ValueError(f"{runtime}: {signature}: {error}; nothing is written") from error
    files.write(out, content)
    return found


def _compare(found: np.ndarray, expected: np.ndarray, most_apart: float) -> Difference:
    """Raises ValueError if the answers are further apart than rounding explains."""
    if found.shape != expected.shape or found.dtype != expected.dtype:
        raise ValueError(
            f"the converted model answers {found.dtype} {list(found.shape)}, expected "
            f"{expected.dtype} {list(expected.shape)}"
        )
    apart = np.abs(found.astype(np.float64) - expected)
    if expected.dtype.kind == "f":
        # Missing in both.
        apart[np.isnan(found) & np.isnan(expected)] = 0.0
    if expected.dtype == np.uint8:
        unit, far = "grey levels", apart > _LEVELS
    else:
        apart /= np.fmax(1.0, np.abs(expected))
        # True for NaN too.
        unit, far = "relative", ~(apart <= most_apart)
    tolerated = _ROUNDED_OTHERWISE if expected.ndim == 2 else 0.0
    if far.mean() > tolerated:
        raise ValueError(
            f"the converted model is up to {apart.max():.3g} {unit} from the SavedModel, in "
            f"{far.mean():.2%} of the values"
        )
    return Difference(len(expected), float(apart.max()), unit)


def _inputs(generator: Generator, signature: str) -> dict[str, np.ndarray]:
    seeds = np.arange(_ROWS, dtype=np.int64)
    share = np.linspace(0.0, 1.0, _ROWS, dtype=np.float32)
    known = {
        "seeds": seeds,
        "end_seeds": seeds - _ROWS,
        "latents": numpy_draws.latents(seeds, generator.description["latent_dim"]),
        "positions": share,
        "shares": share,
        "truncation": share,
    }
    if generator.conditional:
        served = np.flatnonzero(generator.description["class_shares"])
        known["labels"] = np.resize(served, _ROWS).astype(np.int64)
        known["other_labels"] = np.roll(known["labels"], 1)
    return {name: known[name] for name in generator.inputs(signature)}


class _Onnx:
    """By tf2onnx; ONNX Runtime answers. The file says what `describe` says."""

    suffix, most_apart, ranks = "onnx", 1e-3, (1, 3)
    # All that make numbers from numbers.
    signatures = (
        "serving_default",
        "sample",
        "sample_truncated",
        "interpolate",
        "sample_mixed",
        "draw_labels",
    )

    def convert(self, generator: Generator, signature: str) -> bytes:
        import tf2onnx

        function = generator.function(signature)
        model, _ = tf2onnx.convert.from_function(
            function, input_signature=function.input_signature, opset=_OPSET
        )
        model.metadata_props.add(key=DESCRIPTION, value=json.dumps(generator.description))
        return model.SerializeToString()

    def load(self, content: bytes) -> Call:
        import onnxruntime

        session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
        return lambda inputs: session.run(None, dict(inputs))[0]


@dataclasses.dataclass(frozen=True)
class _TFLite:
    """By TensorFlow's converter, of frozen variables: otherwise it loses them without a word."""

    suffix: str
    most_apart: float
    half: bool
    # It has neither the operations that seeds become latents by, nor float64.
    signatures: Sequence[str] = ("serving_default",)
    ranks: Sequence[int] = (3,)

    def convert(self, generator: Generator, signature: str) -> bytes:
        # No public module has these.
        from tensorflow.lite.python import convert
        from tensorflow.python.framework import convert_to_constants

        name = next(iter(generator.outputs(signature)))
        function = generator.function(signature)
        frozen = convert_to_constants.convert_variables_to_constants_v2(
            function.get_concrete_function()
        )
        specs = function.input_signature
        call = tf.function(
            lambda *values: {name: _only(frozen(*values))}, input_signature=specs, autograph=False
        )
        converter = tf.lite.TFLiteConverter.from_concrete_functions(
            [call.get_concrete_function()], tf.Module()
        )
        if self.half:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.target_spec.supported_types = [tf.float16]
        try:
            return converter.convert()
        except convert.ConverterError as error:
            line = next(iter(str(error).splitlines()), "")
            raise ValueError(f"TFLite cannot convert {signature}: {line}") from error

    def load(self, content: bytes) -> Call:
        interpreter = tf.lite.Interpreter(model_content=content)
        (name,) = interpreter.get_signature_list()
        runner = interpreter.get_signature_runner(name)

        def call(inputs: Mapping[str, np.ndarray]) -> np.ndarray:
            (output,) = runner(**inputs).values()
            return output

        return call


# A grey level is 2 / 255.
RUNTIMES.register("onnx")(_Onnx())
RUNTIMES.register("tflite")(_TFLite("tflite", 1e-3, half=False))
RUNTIMES.register("tflite-float16")(_TFLite("float16.tflite", 2 / 255, half=True))


def _only(outputs: Any) -> tf.Tensor:  # noqa: ANN401
    (output,) = tf.nest.flatten(outputs)
    return output
