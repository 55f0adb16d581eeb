"""A SavedModel's signatures, called and compared with what the contract says of their types."""

import functools
import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

# Instead of a value of a table that is missing.
_MISSING = -1.0
# Characters of what TensorFlow says.
_LONGEST = 300


class Model:
    """The signatures of a SavedModel, with errors that say which call has failed."""

    def __init__(self, path: str) -> None:
        # The signatures alone do not keep the model's variables alive.
        self._model = tf.saved_model.load(path)
        self.signatures = self._model.signatures

    def __call__(self, name: str, **inputs: np.ndarray) -> np.ndarray:
        """The only output of a signature, with a number where a column's value may be missing."""
        (output,) = self.outputs(name, **inputs).values()
        may_miss = [column["missing"] for column in self.table]
        if np.ndim(output) == 2 and output.shape[1] == len(may_miss):
            output[np.isnan(output) & may_miss] = _MISSING
        return output

    def outputs(self, name: str, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """All outputs of a signature."""
        try:
            outputs = self.signatures[name](**{k: tf.constant(v) for k, v in inputs.items()})
            return {key: value.numpy() for key, value in outputs.items()}
        except Exception as error:
            rows = len(next(iter(inputs.values()))) if inputs else 0
            raise ValueError(f"{name}: fails for {rows} rows: {_line(error)}") from error

    @functools.cached_property
    def table(self) -> list[dict[str, Any]]:
        """What `describe` says of the columns of a table; empty for images."""
        if "describe" not in self.signatures:
            return []
        (content,) = self.outputs("describe").values()
        return json.loads(bytes(content)).get("table", [])

    def accepts(self, name: str, **inputs: np.ndarray) -> bool:
        """Whether a call is answered."""
        try:
            self(name, **inputs)
        except ValueError:
            return False
        return True


def _contract(
    kind: str,
    table: Sequence[Mapping[str, Any]],
    *,
    conditional: bool,
    signatures: Collection[str],
) -> dict[str, tuple[dict, dict]]:
    """The inputs and outputs of each signature: dtype and rank of a batch.

    Of those that not every generator has, only the ones among `signatures`.
    """
    labels = {"labels": (tf.int64, 1)} if conditional else {}
    seeds, positions = {"seeds": (tf.int64, 1)}, {"positions": (tf.float32, 1)}
    rank = 4 if kind == "images" else 2
    numbers = tf.float64 if any(each["type"] != "number" for each in table) else tf.float32
    data = {kind: (tf.uint8 if kind == "images" else numbers, rank)}
    found = {
        "serving_default": ({"latents": (tf.float32, 2), **labels}, {kind: (numbers, rank)}),
        "sample": ({**seeds, **labels}, data),
        "sample_truncated": ({**seeds, "truncation": (tf.float32, 1), **labels}, data),
        "interpolate": ({**seeds, "end_seeds": (tf.int64, 1), **positions, **labels}, data),
        "describe": ({}, {"description": (tf.string, 0)}),
    }
    if conditional:
        found["draw_labels"] = (seeds, {"labels": (tf.int64, 1)})
    if "sample_mixed" in signatures:
        others = {"other_labels": (tf.int64, 1), "shares": (tf.float32, 1)}
        found["sample_mixed"] = ({**seeds, **labels, **others}, data)
    if "score_samples" in signatures:
        found["score_samples"] = ({**seeds, **labels}, {**data, "logits": (tf.float32, 1)})
    if kind == "vectors":
        found["columns"] = ({}, {"names": (tf.string, 1)})
    if table:
        typed = {each["name"]: (_dtype(each), 1) for each in table}
        found["sample_rows"] = ({**seeds, **labels}, typed)
    return found


def _dtype(column: Mapping[str, Any]) -> tf.DType:
    """Of the values of a column."""
    whole, truth = (tf.float64, tf.string) if column["missing"] else (tf.int64, tf.bool)
    return {"number": tf.float32, "integer": whole, "boolean": truth}.get(column["type"], tf.string)


def check_types(model: Model, kind: str, *, conditional: bool) -> None:
    """Raises ValueError for a signature that is missing or of other types.

    Args:
      model: the SavedModel.
      kind: of its data, "images" or "vectors".
      conditional: whether it has labels.
    """
    contract = _contract(kind, model.table, conditional=conditional, signatures=model.signatures)
    for name, expected in contract.items():
        if name not in model.signatures:
            raise ValueError(f"no signature {name!r}, only {', '.join(sorted(model.signatures))}")
        signature = model.signatures[name]
        found = (signature.structured_input_signature[1], signature.structured_outputs)
        for side, specs, wanted in zip(("inputs", "outputs"), found, expected, strict=True):
            types = {key: (spec.dtype, spec.shape.rank) for key, spec in specs.items()}
            if types != wanted:
                raise ValueError(f"{name}: {side} are {_in_words(types)}, not {_in_words(wanted)}")
        for key, spec in found[0].items():
            if spec.shape[0] is not None:
                raise ValueError(f"{name}: {key} has {spec.shape[0]} rows, expected any number")


def _in_words(types: Mapping[str, tuple[tf.DType, int]]) -> str:
    return (
        ", ".join(f"{key} {dtype.name} of rank {rank}" for key, (dtype, rank) in types.items())
        or "none"
    )


def _line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    failed = [line for line in lines if line.startswith("assertion failed")]
    return failed[0] if failed else " ".join(lines)[:_LONGEST]
