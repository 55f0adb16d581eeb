"""Documents of TensorFlow Serving's REST API to and from tensors.

https://www.tensorflow.org/tfx/serving/api_rest. The texts of errors are part of the protocol, as
clients match them; `docs/serving.md` says where this differs from the server.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from components.serving.server import json_values
from components.serving.server.errors import RequestError, invalid

DEFAULT_SIGNATURE = "serving_default"

_SIGNATURE, _INSTANCES, _INPUTS, _EXAMPLES = "signature_name", "instances", "inputs", "examples"
_DECODER = json.JSONDecoder()


def parse(body: bytes) -> dict[str, Any]:
    """The document of a request; raises RequestError unless it is a JSON object."""
    try:
        text = body.decode("utf-8-sig").lstrip(" \t\r\n")
        if not text:
            raise invalid("JSON Parse error: The document is empty.")
        # What comes after the document does not matter to the server.
        document, _ = _DECODER.raw_decode(text)
    except UnicodeDecodeError as error:
        raise invalid(
            f"JSON Parse error: Invalid encoding in string. at offset: {error.start}"
        ) from error
    except json.JSONDecodeError as error:
        reason = "Invalid value." if error.msg == "Expecting value" else f"{error.msg}."
        raise invalid(f"JSON Parse error: {reason} at offset: {error.pos}") from error
    except RecursionError as error:
        raise invalid("JSON Parse error: Nested too deeply.") from error
    except ValueError as error:  # A whole number of thousands of digits.
        raise invalid("JSON Parse error: Number too big to be stored.") from error
    if not isinstance(document, dict):
        raise invalid(f"{_value(document)} Is not object")
    return document


def signature_name(document: Mapping[str, Any]) -> str:
    """The signature that a request asks for; empty for the default one."""
    name = document.get(_SIGNATURE, "")
    if not isinstance(name, str):
        raise invalid(
            f"{_value(document)} not formatted correctly. '{_SIGNATURE}' "
            "key must be a string value."
        )
    return name


def check_examples(document: Mapping[str, Any]) -> None:
    """Refuses what is no request to classify or regress."""
    quoted = _value(document)
    if _EXAMPLES not in document:
        raise invalid(
            f"{quoted} When method is classify, key '{_EXAMPLES}' is expected and was not found"
        )
    examples = document[_EXAMPLES]
    if not isinstance(examples, list):
        raise invalid(f"{quoted} Expecting '{_EXAMPLES}' value to be an list/array")
    if not examples:
        raise invalid(f"{quoted} '{_EXAMPLES}' value is an empty array")
    for example in examples:
        if not isinstance(example, dict):
            raise invalid(
                f"Example must be JSON object but got JSON {json_values.json_type(example)}"
            )


def tensors(
    document: Mapping[str, Any], specs: Mapping[str, tf.TensorSpec]
) -> tuple[dict[str, np.ndarray], bool]:
    """The inputs of a request.

    Args:
      document: as `parse` returns it.
      specs: the inputs of the signature by name.

    Returns:
      Arrays by name, of object (bytes) for strings; whether the request is in row form.

    Raises:
      RequestError: if they cannot be made of the document. Shapes are not compared.
    """
    try:
        if not specs:
            return _nothing(document), False
        return _tensors(document, {name: specs[name] for name in sorted(specs)})
    except RecursionError as error:
        raise invalid("JSON Value is nested too deeply") from error


def _nothing(document: Mapping[str, Any]) -> dict[str, np.ndarray]:
    if document.get(_INPUTS) == {} and _INSTANCES not in document:
        return {}
    name = signature_name(document) or "DEFAULT"
    raise invalid(f"Failed to get input map for signature: {name}")


def _tensors(
    document: Mapping[str, Any], specs: Mapping[str, tf.TensorSpec]
) -> tuple[dict[str, np.ndarray], bool]:
    if _INSTANCES not in document and _INPUTS not in document:
        raise invalid(f"Missing '{_INPUTS}' or '{_INSTANCES}' key")
    if _INSTANCES not in document:
        return _columns(document[_INPUTS], specs), False
    if _INPUTS in document:
        raise invalid(
            f"{_value(document)} Not formatted correctly expecting only one of '{_INPUTS}' or "
            f"'{_INSTANCES}' keys to exist "
        )
    instances = document[_INSTANCES]
    if not isinstance(instances, list):
        raise invalid(f"{_value(document)} Expecting '{_INSTANCES}' to be an list/array")
    if not instances:
        raise invalid(f"{_value(document)} No values in '{_INSTANCES}' array")
    return _rows(instances, specs), True


def encode(outputs: Mapping[str, np.ndarray], row: bool) -> bytes:
    """The answer to a request.

    Args:
      outputs: by name; strings are bytes in arrays of object.
      row: whether in row form.

    Raises:
      RequestError: for outputs that the form has no place for.
    """
    if not outputs:
        raise invalid("Cannot convert empty tensor map to JSON")
    names = sorted(outputs)
    if row:
        _check_rows(outputs)
        if len(names) == 1:
            predictions = json_values.text_of(names[0], outputs[names[0]])
        else:
            count = len(outputs[names[0]])
            members = (_object({n: outputs[n][row, ...] for n in names}) for row in range(count))
            predictions = f"[{', '.join(members)}]"
        return f'{{"predictions": {predictions}}}'.encode()
    if len(names) == 1:
        return f'{{"outputs": {json_values.text_of(names[0], outputs[names[0]])}}}'.encode()
    return f'{{"outputs": {_object({name: outputs[name] for name in names})}}}'.encode()


def _columns(inputs: Any, specs: Mapping[str, tf.TensorSpec]) -> dict[str, np.ndarray]:  # noqa: ANN401
    if isinstance(inputs, dict) and not json_values.is_base64(inputs):
        for name in specs:
            if name not in inputs:
                raise invalid(f"Missing named input: {name} in '{_INPUTS}' object.")
        return {name: json_values.array_of(inputs[name], spec) for name, spec in specs.items()}
    if len(specs) > 1:
        raise invalid(
            f"{_INPUTS} is a plain value/list, but expecting an object as multiple input tensors "
            "required as per tensorinfo_map"
        )
    ((name, spec),) = specs.items()
    return {name: json_values.array_of(inputs, spec)}


def _rows(instances: list, specs: Mapping[str, tf.TensorSpec]) -> dict[str, np.ndarray]:
    if not isinstance(instances[0], dict) and len(specs) > 1:
        raise invalid(
            f"{_INSTANCES} is a plain list, but expecting list of objects as multiple input "
            "tensors required as per tensorinfo_map"
        )
    named = _is_named(instances[0])
    for index, instance in enumerate(instances):
        if named and not _is_named(instance):
            raise invalid(f"Expecting object but got list at item {index} of input list")
        if not named and _is_named(instance):
            raise invalid(f"Expecting value/list but got object at item {index} of input list")
        if named:
            _check_keys(index, instance, specs)
    if named:
        keyed = {name: [each[name] for each in instances] for name in specs}
        return {
            name: _stack(values, specs[name], f" key: {name}") for name, values in keyed.items()
        }
    ((name, spec),) = specs.items()
    return {name: _stack(instances, spec)}


def _is_named(instance: Any) -> bool:  # noqa: ANN401
    return isinstance(instance, dict) and not json_values.is_base64(instance)


def _check_keys(index: int, instance: dict, specs: Mapping[str, tf.TensorSpec]) -> None:
    if instance.keys() == specs.keys():
        return
    for name in instance:
        if name not in specs:
            raise invalid(
                f"Failed to process element: {index} key: {name} of '{_INSTANCES}' list. Error: "
                f"INVALID_ARGUMENT: JSON object: does not have named input: {name}"
            )
    raise invalid(
        f"Failed to process element: {index} of '{_INSTANCES}' list. JSON object: "
        f"{json_values.quoted(instance)} keys must be equal to: {','.join(specs)}"
    )


def _stack(values: list, spec: tf.TensorSpec, key: str = "") -> np.ndarray:
    """Rows as one array, which all have the shape of the first."""
    whole = json_values.fast_array(values, spec)
    if whole is not None:
        return whole
    rows: list[np.ndarray] = []
    for index, value in enumerate(values):
        try:
            rows.append(json_values.array_of(value, spec))
            first = rows[0].shape
            if rows[-1].size != rows[0].size:
                raise invalid(f"Expecting tensor size: {rows[0].size} but got: {rows[-1].size}")
            if rows[-1].shape != first:
                raise invalid(
                    f"Expecting shape {_shape_text(first)} but got: {_shape_text(rows[-1].shape)}"
                )
        except RequestError as error:
            raise invalid(
                f"Failed to process element: {index}{key} of '{_INSTANCES}' list. Error: "
                f"INVALID_ARGUMENT: {error.message}"
            ) from error
    return np.stack(rows)


def _value(document: Any) -> str:  # noqa: ANN401
    return f"JSON Value: {json_values.quoted(document)}"


def _shape_text(shape: Sequence[int]) -> str:
    return f"[{','.join(map(str, shape))}]"


def _check_rows(outputs: Mapping[str, np.ndarray]) -> None:
    first = None
    for name in sorted(outputs):
        shape = outputs[name].shape
        if not shape:
            raise invalid(f"Tensor name: {name} has no shape information ")
        if first is not None and shape[0] != first:
            raise invalid(
                f"Tensor name: {name} has inconsistent batch size: {shape[0]} expecting: {first}"
            )
        first = shape[0]


def _object(members: Mapping[str, np.ndarray]) -> str:
    pairs = (
        f"{json.dumps(name)}: {json_values.text_of(name, each)}" for name, each in members.items()
    )
    return f"{{{', '.join(pairs)}}}"
