"""Values as they travel: protobuf's JSON, ML Metadata's properties, text, storage URIs."""

import decimal
import json
from typing import Any

# Where the launcher stages the objects of each storage scheme in a pod.
STAGED = {"minio://": "/minio/", "s3://": "/s3/", "gs://": "/gcs/"}

_LARGEST_INTEGER = 2.0**63


class TaskError(Exception):
    """A task failed. The message is what the backend would say."""


def plain(value: Any) -> Any:  # noqa: ANN401
    """A value after a trip through protobuf's Struct: whole numbers have no decimal point."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return _number(float(value))
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value


def stored(value: Any) -> Any:  # noqa: ANN401
    """A value after a trip through ML Metadata: six decimals, 15 digits, wrapped containers.

    Raises:
      TaskError: for null, which it cannot hold.
    """
    if isinstance(value, bool | int | float):
        return _number(float(f"{float(f'{value:f}'):.15g}"))
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return {"list": plain(value)}
    if isinstance(value, dict):
        return {"struct": plain(value)}
    raise TaskError(
        "failed to convert RuntimeArtifact to MLMD artifact: unknown/unsupported value type "
        "*structpb.Value_NullValue"
    )


def text(value: Any) -> str:  # noqa: ANN401
    """A parameter's value as text: "" for none, JSON for anything but a string."""
    if value is None:
        return ""
    return value if isinstance(value, str) else compact(plain(value))


def compact(value: Any) -> str:  # noqa: ANN401
    """JSON without spaces, keys sorted, as the driver hands it on."""
    return json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False)


def local_path(uri: str) -> str:
    """Where a pod finds the object or folder `uri`.

    Raises:
      ValueError: for a scheme that the launcher does not stage.
    """
    for scheme, folder in STAGED.items():
        if uri.startswith(scheme):
            return folder + uri.removeprefix(scheme)
    raise ValueError(f"{uri}: not a storage URI; known schemes: {', '.join(STAGED)}")


def is_storage(uri: str) -> bool:
    """Whether the launcher uploads what lies at `uri`."""
    return uri.startswith(tuple(STAGED))


def _number(value: float) -> int | float:
    # The shortest digits that read back as the same double, then zeros: 177962463440547460.
    if value.is_integer() and abs(value) < _LARGEST_INTEGER:
        return int(decimal.Decimal(repr(value)))
    return value
