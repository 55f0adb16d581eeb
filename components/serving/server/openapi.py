"""The OpenAPI description of the server."""

import importlib.metadata
from collections.abc import Sequence
from typing import Any

_REASONS = {
    "400": "Not a request of this API, or one that the model refuses.",
    "401": "The token is missing or another.",
    "404": "No such model or version.",
    "406": "The answer is not one PNG file.",
    "408": "The body did not come in time.",
    "413": "The body is too large.",
    "415": "The body is compressed.",
    "429": "Too many requests at a time.",
    "503": "Not computed in time.",
}
_ON_GET, _ON_POST = ("400", "404"), ("400", "404", "406", "408", "413", "415", "429", "503")

_ANY = {"description": 'A number, string, boolean, {"b64": ...}, or lists of them.'}
_SIGNATURE = {"signature_name": {"type": "string", "default": "serving_default"}}
_PREDICT_REQUEST = {
    "oneOf": [
        {
            "type": "object",
            "description": "Row form.",
            "required": ["instances"],
            "properties": {
                **_SIGNATURE,
                "instances": {"type": "array", "minItems": 1, "items": _ANY},
            },
        },
        {
            "type": "object",
            "description": "Column form.",
            "required": ["inputs"],
            "properties": {**_SIGNATURE, "inputs": _ANY},
        },
    ]
}
_PREDICT_RESPONSE = {
    "oneOf": [
        {"type": "object", "required": ["predictions"], "properties": {"predictions": _ANY}},
        {"type": "object", "required": ["outputs"], "properties": {"outputs": _ANY}},
    ]
}
_STATUS = {
    "type": "object",
    "required": ["model_version_status"],
    "properties": {
        "model_version_status": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["version", "state", "status"],
                "properties": {
                    "version": {"type": "string"},
                    "state": {"enum": ["START", "LOADING", "AVAILABLE", "UNLOADING", "END"]},
                    "status": {
                        "type": "object",
                        "required": ["error_code", "error_message"],
                        "properties": {
                            "error_code": {"type": "string"},
                            "error_message": {"type": "string"},
                        },
                    },
                },
            },
        }
    },
}
_METADATA = {
    "type": "object",
    "required": ["model_spec", "metadata"],
    "properties": {"model_spec": {"type": "object"}, "metadata": {"type": "object"}},
}
_ERROR = {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}}

_PARAMETERS = {
    "version": {"type": "integer", "format": "int64", "minimum": 0},
    "label": {"type": "string", "minLength": 1, "pattern": "^[^/:]+$"},
}


def description(name: str, rows: int, token: bool) -> dict[str, Any]:
    """The OpenAPI 3.1 document.

    Args:
      name: of the model.
      rows: that a request may have.
      token: whether requests have to bear one.
    """
    paths: dict[str, Any] = {
        "/healthz": {"get": _get("Whether the server answers.", {"type": "object"}, [])},
        "/metrics": {
            "get": {
                "summary": "Metrics of Prometheus.",
                "responses": {"200": _content("The metrics.", "text/plain", {"type": "string"})},
            }
        },
    }
    for middle, parameters in (
        ("", []),
        ("/versions/{version}", ["version"]),
        ("/labels/{label}", ["label"]),
    ):
        model = f"/v1/models/{name}{middle}"
        paths[model] = {"get": _get("State of the versions.", _STATUS, parameters, _ON_GET)}
        paths[f"{model}/metadata"] = {
            "get": _get("Signatures of a version.", _METADATA, parameters, _ON_GET)
        }
        paths[f"{model}:predict"] = {"post": _predict(rows, parameters)}
    found: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": "tfx-gan serve",
            "description": "TensorFlow Serving's REST API for the generators of a serving folder.",
            "version": importlib.metadata.version("tfx-gan"),
        },
        "paths": paths,
    }
    if token:
        scheme = {"type": "http", "scheme": "bearer"}
        found["components"] = {"securitySchemes": {"token": scheme}}
        found["security"] = [{"token": []}]
        for path, methods in paths.items():
            for operation in methods.values():
                if path == "/healthz":
                    operation["security"] = []
                else:
                    operation["responses"] |= _errors(["401"])
    return found


def _get(
    summary: str, schema: dict[str, Any], parameters: Sequence[str], errors: Sequence[str] = ()
) -> dict[str, Any]:
    return {
        "summary": summary,
        "parameters": _parameters(parameters),
        "responses": {
            "200": _content("The answer.", "application/json", schema),
            **_errors(errors),
        },
    }


def _predict(rows: int, parameters: Sequence[str]) -> dict[str, Any]:
    answer = _content("The outputs.", "application/json", _PREDICT_RESPONSE)
    answer["content"]["image/png"] = {"schema": {"type": "string", "format": "binary"}}
    return {
        "summary": f"Calls a signature with at most {rows} rows.",
        "parameters": _parameters(parameters),
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": _PREDICT_REQUEST}},
        },
        "responses": {"200": answer, **_errors(_ON_POST)},
    }


def _parameters(names: Sequence[str]) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": _PARAMETERS[name]}
        for name in names
    ]


def _content(words: str, media_type: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": words, "content": {media_type: {"schema": schema}}}


def _errors(statuses: Sequence[str]) -> dict[str, Any]:
    return {each: _content(_REASONS[each], "application/json", _ERROR) for each in statuses}
