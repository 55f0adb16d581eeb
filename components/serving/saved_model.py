"""A generator as a SavedModel, which needs TensorFlow."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from components.common import saved_models


class SavedModel:
    """The signatures of `components.trainer.export`; see `generator.Model`.

    Args:
      folder: of the SavedModel, a TFX Model artifact, or a serving folder, whose newest version is
        taken; a path or a URI.

    Attributes:
      path: of the SavedModel.
      signatures: their names.
      description: see `saved_models.description`; empty for one of contract 1.

    Raises:
      FileNotFoundError: if there is none.
    """

    def __init__(self, folder: str) -> None:
        path = saved_models.find(folder)
        if path is None:
            if not tf.io.gfile.isdir(folder):
                raise FileNotFoundError(f"{folder}: no such folder")
            raise FileNotFoundError(f"{folder}: neither a SavedModel nor versions of one")
        # Kept because a signature alone does not keep its variables alive.
        self._model = tf.saved_model.load(path)
        self.path = path
        self.signatures = frozenset(self._model.signatures)
        self.description = saved_models.description(path)

    @property
    def class_names(self) -> dict[int, str]:
        return saved_models.class_names(self.path)

    def inputs(self, signature: str) -> Mapping[str, tf.TensorSpec]:
        return self._model.signatures[signature].structured_input_signature[1]

    def outputs(self, signature: str) -> Mapping[str, tf.TensorSpec]:
        return self._model.signatures[signature].structured_outputs

    def function(self, signature: str) -> Any:  # noqa: ANN401
        specs = [
            tf.TensorSpec(spec.shape, spec.dtype, name=name)
            for name, spec in self.inputs(signature).items()
        ]
        concrete = self._model.signatures[signature]
        names = [spec.name for spec in specs]

        def call(*values: tf.Tensor) -> Any:  # noqa: ANN401
            return concrete(**dict(zip(names, values, strict=True)))

        function = tf.function(call, input_signature=specs, autograph=False)
        if all(weight.dtype != tf.bfloat16 for weight in concrete.variables):
            return function
        return _without_bfloat16(function, sorted(self.outputs(signature)))

    def __call__(
        self, signature: str, inputs: Mapping[str, np.ndarray | tf.Tensor]
    ) -> dict[str, np.ndarray]:
        given = {name: tf.convert_to_tensor(value) for name, value in inputs.items()}
        try:
            outputs = self._model.signatures[signature](**given)
        except tf.errors.InvalidArgumentError as error:
            raise ValueError(f"{self.path}: {signature}: {_reason(error)}") from error
        return {name: tensor.numpy() for name, tensor in outputs.items()}


def _reason(error: tf.errors.InvalidArgumentError) -> str:
    """What the graph says, without where in the graph."""
    lines = [line.strip() for line in error.message.splitlines() if line.strip()]
    return next((line for line in lines if line.startswith("assertion failed")), lines[0])


def _without_bfloat16(function: Any, outputs: Sequence[str]) -> Any:  # noqa: ANN401
    """The same in float32, with the weights as constants: NumPy and converters lack the type.

    Args:
      function: that has an input signature.
      outputs: names of its outputs, in alphabetical order, in which TensorFlow keeps them.
    """
    frozen = convert_variables_to_constants_v2(
        function.get_concrete_function(), lower_control_flow=False, aggressive_inlining=True
    )
    graph = frozen.graph.as_graph_def()
    for node in graph.node:
        for attribute in node.attr.values():
            if attribute.type == tf.bfloat16.as_datatype_enum:
                attribute.type = tf.float32.as_datatype_enum
            if attribute.tensor.dtype == tf.bfloat16.as_datatype_enum:
                weights = tf.make_ndarray(attribute.tensor).astype(np.float32)
                attribute.tensor.CopyFrom(tf.make_tensor_proto(weights))

    def call(*values: tf.Tensor) -> Any:  # noqa: ANN401
        given = dict(zip((each.name for each in frozen.inputs), values, strict=True))
        found = tf.graph_util.import_graph_def(
            graph, input_map=given, return_elements=[each.name for each in frozen.outputs]
        )
        return dict(zip(outputs, found, strict=True))

    return tf.function(call, input_signature=function.input_signature, autograph=False)
