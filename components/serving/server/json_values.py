"""Values of TensorFlow Serving's JSON as arrays, and arrays as its text."""

import base64
import binascii
import contextlib
import itertools
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson
import tensorflow as tf

from components.serving.server.errors import RequestError, invalid

_BASE64 = "b64"
_MOST_CHARACTERS_QUOTED = 256
# Of NumPy 1.
_MOST_DIMENSIONS = 32

# TensorFlow's names of types, where its Python has others.
_TYPE_NAMES = {"float32": "float", "float64": "double", "float16": "half"}
# Of JSON that a type takes; bool, which is an int to Python, is told apart.
_ACCEPTED: dict[str, set[type]] = {
    **dict.fromkeys(("float", "double", "half", "bfloat16"), {int, float}),
    **dict.fromkeys([f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)], {int}),
    "string": {str, dict},
    "bool": {bool},
}
_JSON_TYPES = {dict: "Object", list: "Array", str: "String", int: "Number", float: "Number"}
_JSON_CONSTANTS = {None: "Null", False: "False", True: "True"}
# Of outputs that are bytes rather than text.
BYTES_SUFFIX = "_bytes"

_NOT_FINITE = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


def array_of(value: Any, spec: tf.TensorSpec) -> np.ndarray:  # noqa: ANN401
    """The array of a value, of object (bytes) for strings; raises RequestError for others."""
    found = fast_array(value, spec)
    if found is not None:
        return found
    # Value by value, for the reason, or for base64.
    shape = _shape_of(value)
    leaves: list[Any] = []
    _fill(value, 0, shape, spec.dtype, leaves)
    return _of_leaves(leaves, spec.dtype).reshape(shape)


def fast_array(value: Any, spec: tf.TensorSpec) -> np.ndarray | None:  # noqa: ANN401
    """The array of a value that is well formed; None for one that has to be looked at."""
    accepted = _ACCEPTED.get(_type_name(spec.dtype))
    if accepted is None:
        return None
    shape, leaves = _shape_of(value), [value]
    for size in shape:
        if set(map(type, leaves)) != {list} or set(map(len, leaves)) != {size}:
            return None
        leaves = list(itertools.chain.from_iterable(leaves))
    if not set(map(type, leaves)) <= accepted - {dict}:
        return None
    try:
        return _of_leaves(leaves, spec.dtype).reshape(shape)
    except (OverflowError, UnicodeEncodeError):
        return None


def _of_leaves(leaves: list, dtype: tf.DType) -> np.ndarray:
    if dtype == tf.string:
        return np.array([_bytes(each) for each in leaves], dtype=object)
    if not dtype.is_integer:
        with np.errstate(over="ignore"):
            return np.array(leaves, np.bool_ if dtype == tf.bool else np.float64).astype(
                dtype.as_numpy_dtype
            )
    if leaves and not (dtype.min <= min(leaves) and max(leaves) <= dtype.max):
        raise OverflowError
    return np.array(leaves, dtype.as_numpy_dtype)


def _bytes(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode()


def _shape_of(value: Any) -> list[int]:  # noqa: ANN401
    """The lengths of the first lists."""
    shape: list[int] = []
    while isinstance(value, list):
        shape.append(len(value))
        if len(shape) > _MOST_DIMENSIONS:
            raise invalid(f"a tensor may have {_MOST_DIMENSIONS} dimensions, found more")
        if not value:
            break
        value = value[0]
    return shape


def _fill(value: Any, level: int, shape: list[int], dtype: tf.DType, leaves: list) -> None:  # noqa: ANN401
    rank = len(shape)
    if not isinstance(value, list):
        if level != rank:
            raise invalid(
                f"JSON Value: {quoted(value)} found at incorrect level: {level + 1} in the JSON "
                f"DOM. Expected at level: {rank}"
            )
        leaves.append(_leaf(value, dtype))
        return
    if level >= rank:
        raise invalid(f"Encountered list at unexpected level: {level} expected < {rank}")
    if len(value) != shape[level]:
        raise invalid(
            f"Encountered list at unexpected size: {len(value)} at level: {level} expected size: "
            f"{shape[level]}"
        )
    for each in value:
        _fill(each, level + 1, shape, dtype, leaves)


def _leaf(value: Any, dtype: tf.DType) -> Any:  # noqa: ANN401
    name = _type_name(dtype)
    if name not in _ACCEPTED:
        raise RequestError(501, f"Conversion of JSON Value: {quoted(value)} to type: {name}")
    if type(value) in _ACCEPTED[name]:
        if isinstance(value, dict):
            return _from_base64(value)
        try:
            _of_leaves([value], dtype)
            return value
        except (OverflowError, UnicodeEncodeError):
            pass
    raise invalid(
        f"JSON Value: {quoted(value)} Type: {json_type(value)} is not of expected type: {name}"
    )


def is_base64(value: dict) -> bool:
    """Whether an object stands for bytes."""
    return value.keys() == {_BASE64} and isinstance(value[_BASE64], str)


def _from_base64(value: dict) -> bytes:
    if not is_base64(value):
        raise invalid(f"JSON Value: {quoted(value)} not formatted correctly for base64 data")
    text = "".join(value[_BASE64].split()).rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise invalid("Unable to base64 decode") from error


def text_of(name: str, array: np.ndarray) -> str:
    """The array of an output as JSON; raises RequestError for types that JSON has not."""
    if array.dtype == object:
        write = _base64_text if name.endswith(BYTES_SUFFIX) else _string_text
        return _nested([write(each) for each in array.ravel()], array.shape)
    if array.dtype.kind not in "iubf":
        kind = _type_name(tf.as_dtype(array.dtype))
        raise invalid(f"Failed to write JSON value for tensor type: {kind}")
    if array.shape and (array.dtype.kind != "f" or np.isfinite(array).all()):
        return _numbers(array)
    # JSON has no scalars of NumPy, nor numbers that are not finite.
    flat = array.ravel()
    texts = _numbers(flat)[1:-1].split(",") if flat.size else []
    if array.dtype.kind == "f":
        for index in np.flatnonzero(~np.isfinite(flat)).tolist():
            texts[index] = _NOT_FINITE[str(float(flat[index]))]
    return _nested(texts, array.shape)


def _numbers(array: np.ndarray) -> str:
    # Floats in as few digits as tell them apart from others of their type.
    return orjson.dumps(np.ascontiguousarray(array), option=orjson.OPT_SERIALIZE_NUMPY).decode()


def _base64_text(value: bytes) -> str:
    return f'{{"{_BASE64}": "{base64.b64encode(value).decode()}"}}'


def _string_text(value: bytes) -> str:
    return json.dumps(value.decode(errors="replace"), ensure_ascii=False)


def _nested(texts: list[str], shape: Sequence[int]) -> str:
    """Texts of values as the lists of an array of this shape."""
    for axis in reversed(range(len(shape))):
        size, count = shape[axis], int(np.prod(shape[:axis], dtype=int))
        starts = (row * size for row in range(count))
        texts = [f"[{', '.join(texts[start : start + size])}]" for start in starts]
    return texts[0]


def _type_name(dtype: tf.DType) -> str:
    """As TensorFlow's C++ prints it."""
    return _TYPE_NAMES.get(dtype.name, dtype.name)


def json_type(value: Any) -> str:  # noqa: ANN401
    """The JSON type of a value, as errors name it."""
    return _JSON_TYPES.get(type(value)) or _JSON_CONSTANTS[value]


def quoted(value: Any) -> str:  # noqa: ANN401
    """The beginning of a value, without writing all of it."""
    text = ""
    # Also of what is nested too deeply to be written.
    with contextlib.suppress(RecursionError):
        for part in json.JSONEncoder(ensure_ascii=False).iterencode(value):
            text += part
            if len(text) >= _MOST_CHARACTERS_QUOTED:
                break
    return text[:_MOST_CHARACTERS_QUOTED]
