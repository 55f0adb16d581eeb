"""Status and metadata as TensorFlow Serving answers them: its messages as JSON."""

import inspect
from collections.abc import Sequence
from typing import Any

from google.protobuf import json_format
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2

from components.serving.server.servable import Servable
from components.serving.server.versions import State

# Of gRPC, for a version that could not be loaded.
_OK, _UNKNOWN = 0, 2
# Of protobuf, which renamed it in 5.26.
_ALL_FIELDS = next(
    name
    for name in ("always_print_fields_with_no_presence", "including_default_value_fields")
    if name in inspect.signature(json_format.MessageToDict).parameters
)


def status(states: Sequence[State]) -> dict[str, Any]:
    """GetModelStatusResponse."""
    response = get_model_status_pb2.GetModelStatusResponse()
    for each in states:
        entry = response.model_version_status.add()
        entry.version = each.version
        entry.state = get_model_status_pb2.ModelVersionStatus.State.Value(each.state)
        entry.status.error_code = _UNKNOWN if each.error else _OK
        entry.status.error_message = each.error
    return _dict(response)


def metadata(name: str, servable: Servable) -> dict[str, Any]:
    """GetModelMetadataResponse, without the type of the message that is packed into it."""
    response = get_model_metadata_pb2.GetModelMetadataResponse()
    response.model_spec.name = name
    response.model_spec.version.value = servable.version
    signatures = get_model_metadata_pb2.SignatureDefMap()
    for key, definition in servable.signature_defs.items():
        signatures.signature_def[key].CopyFrom(definition)
    return {
        "model_spec": _dict(response.model_spec),
        "metadata": {"signature_def": _dict(signatures)},
    }


def _dict(message: Any) -> dict[str, Any]:  # noqa: ANN401
    return json_format.MessageToDict(
        message, preserving_proto_field_name=True, **{_ALL_FIELDS: True}
    )
