"""Requests that TensorFlow Serving replays when it loads a model, before real ones come."""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from components.serving.contract import LABELS

# Where TensorFlow Serving looks for them.
FILE = "assets.extra/tf_serving_warmup_requests"

# A single row, and some: kernels are chosen by shape.
_ROWS = (1, 8)


def write(path: str, signatures: Mapping[str, Any], label: int | None) -> None:
    """Writes requests for each signature with inputs beside the SavedModel in the folder `path`.

    A signature without inputs has no rows: a server that batches refuses its requests, and with
    them the model.

    Args:
      path: of the SavedModel.
      signatures: functions with an input signature, by name.
      label: a class that is served; None for a generator without classes.
    """
    target = os.path.join(path, FILE)
    tf.io.gfile.makedirs(os.path.dirname(target))
    with tf.io.TFRecordWriter(target) as writer:
        for name, function in sorted(signatures.items()):
            for rows in _ROWS if function.input_signature else ():
                inputs = {
                    spec.name: _values(spec, rows, label) for spec in function.input_signature
                }
                log = prediction_log_pb2.PredictLog(request=_request(name, inputs))
                writer.write(prediction_log_pb2.PredictionLog(predict_log=log).SerializeToString())


def read(path: str) -> list[tuple[str, dict[str, np.ndarray]]]:
    """The requests beside the SavedModel in the folder `path`: signatures and inputs by name.

    Raises:
      tensorflow.errors.NotFoundError: if there are none.
    """
    found = []
    for record in tf.data.TFRecordDataset(os.path.join(path, FILE)).as_numpy_iterator():
        request = prediction_log_pb2.PredictionLog.FromString(record).predict_log.request
        inputs = {name: tf.make_ndarray(proto) for name, proto in request.inputs.items()}
        found.append((request.model_spec.signature_name, inputs))
    return found


def _request(signature: str, inputs: Mapping[str, np.ndarray]) -> predict_pb2.PredictRequest:
    request = predict_pb2.PredictRequest()
    request.model_spec.signature_name = signature
    for name, values in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(values))
    return request


def _values(spec: tf.TensorSpec, rows: int, label: int | None) -> np.ndarray:
    shape = (rows, *spec.shape[1:])
    if spec.name in LABELS:
        return np.full(shape, label, np.int64)
    if spec.dtype.is_integer:
        return np.arange(rows, dtype=np.int64)
    return np.full(shape, 0.5, np.float32)
