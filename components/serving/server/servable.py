"""One version of a generator in memory, with its signatures as a server sees them."""

import dataclasses
import os
from collections.abc import Mapping

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2

from components.common import files, saved_models
from components.serving import contract, warmup
from components.serving.contract import MAX_ROWS
from components.serving.server.errors import RequestError, invalid

# Of HTTP, for what TensorFlow raises; what is not here is a fault of ours.
_STATUSES: dict[type[Exception], int] = {
    tf.errors.InvalidArgumentError: 400,
    tf.errors.FailedPreconditionError: 400,
    tf.errors.OutOfRangeError: 400,
    tf.errors.NotFoundError: 404,
    tf.errors.ResourceExhaustedError: 429,
}


@dataclasses.dataclass(frozen=True)
class Signature:
    """What a signature takes and makes.

    Attributes:
      inputs, outputs: by name.
      by_rows: whether row i of each output is of row i of the inputs alone, so that requests may
        be computed together.
    """

    inputs: Mapping[str, tf.TensorSpec]
    outputs: Mapping[str, tf.TensorSpec]
    by_rows: bool


class Servable:
    """The SavedModel in a folder, loaded and warm.

    Args:
      path: a path or URI.
      version: its number.

    Attributes:
      version: as given.
      max_rows: of a call.
      signature_defs: as the SavedModel declares them, by name.
      signatures: those that can be called, by name.

    Raises:
      Exception: whatever TensorFlow raises for a folder that is no SavedModel of its, or cannot
        answer its warm-up requests.
    """

    def __init__(self, path: str, version: int) -> None:
        # Kept because a signature alone does not keep its variables alive.
        self._model = tf.saved_model.load(path)
        self.version = version
        description = saved_models.description(path)
        self.max_rows: int = description.get("max_rows", MAX_ROWS)
        self.signature_defs = _signature_defs(path)
        # Only generators of the contract promise it.
        by_rows = self._is_generator = bool(description)
        shares = description.get("class_shares")
        self._class_shares = None if shares is None else np.asarray(shares)
        self.signatures = {
            name: _signature(definition, by_rows)
            for name, definition in self.signature_defs.items()
            if name in self._model.signatures
        }
        if tf.io.gfile.exists(os.path.join(path, warmup.FILE)):
            for name, inputs in warmup.read(path):
                self(name, inputs)

    def __call__(self, signature: str, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The outputs of a signature by name; raises RequestError if it refuses the inputs."""
        try:
            given = {name: tf.convert_to_tensor(value) for name, value in inputs.items()}
            outputs = self._model.signatures[signature](**given)
            return {name: _array(tensor.numpy()) for name, tensor in outputs.items()}
        except tuple(_STATUSES) as error:
            raise RequestError(_STATUSES[type(error)], _reason(error)) from error

    def check(self, signature: str, inputs: Mapping[str, np.ndarray], max_rows: int) -> int:
        """The rows of inputs that a signature takes.

        A generator's own checks are made here first: a refused call is made for all requests that
        are merged in it, and TensorFlow loses a little memory with each.

        Args:
          signature: its name.
          inputs: by name, of the types that the signature takes.
          max_rows: that a request may have; the model's own limit holds too.

        Raises:
          RequestError: if shapes or values are others, or there are too many rows.
        """
        most, limit = 0, min(max_rows, self.max_rows)
        for name, value in inputs.items():
            spec = self.signatures[signature].inputs[name]
            if not spec.shape.is_compatible_with(value.shape):
                raise invalid(
                    f"{name}: expected shape {_shape(spec.shape.as_list())}, found "
                    f"{_shape(value.shape)}"
                )
            most = max(most, value.shape[0] if value.shape else 0)
        if most > limit:
            raise invalid(f"a request may have {limit} rows, found {most}")
        if self._is_generator and inputs:
            try:
                contract.check(inputs, limit, self._class_shares)
            except ValueError as error:
                raise invalid(str(error)) from error
        return most


def _signature_defs(path: str) -> dict[str, meta_graph_pb2.SignatureDef]:
    content = files.read(os.path.join(path, saved_models.FILE))
    graphs = saved_model_pb2.SavedModel.FromString(content).meta_graphs
    served = next((graph for graph in graphs if "serve" in graph.meta_info_def.tags), None)
    if served is None:
        raise ValueError(f"{path}: no graph with the tag 'serve'")
    return dict(served.signature_def)


def _signature(definition: meta_graph_pb2.SignatureDef, independent: bool) -> Signature:
    inputs, outputs = _specs(definition.inputs), _specs(definition.outputs)
    specs = [*inputs.values(), *outputs.values()]
    batched = all(spec.shape.rank and spec.shape[0] is None for spec in specs)
    return Signature(inputs, outputs, by_rows=independent and bool(inputs) and batched)


def _specs(infos: Mapping[str, meta_graph_pb2.TensorInfo]) -> dict[str, tf.TensorSpec]:
    return {
        name: tf.TensorSpec(tf.TensorShape(info.tensor_shape), tf.as_dtype(info.dtype), name=name)
        for name, info in sorted(infos.items())
    }


def _array(value: object) -> np.ndarray:
    # Scalars are of Python's or NumPy's own types.
    return np.array(value, dtype=object) if isinstance(value, bytes) else np.asarray(value)


def _shape(sizes: tuple[int | None, ...]) -> str:
    return f"[{', '.join('?' if size is None else str(size) for size in sizes)}]"


def _reason(error: tf.errors.OpError) -> str:
    """What the graph says, without where in the graph."""
    lines = [line.strip() for line in (error.message or "").splitlines() if line.strip()]
    said = next((line for line in lines if line.startswith("assertion failed")), None)
    return said or (lines[0] if lines else type(error).__name__)
