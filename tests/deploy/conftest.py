"""What the tests of manifests share."""

import re

import pytest
from kubernetes.client import models

PLAIN = {"str": str, "int": int, "bool": bool, "object": object}


def _check(kind, value, path):
    """Refuses what the API's published types do not have, or lack."""
    if inner := re.fullmatch(r"list\[(.*)\]", kind):
        assert isinstance(value, list), path
        for index, each in enumerate(value):
            _check(inner[1], each, f"{path}[{index}]")
    elif inner := re.fullmatch(r"dict\(str, (.*)\)", kind):
        assert isinstance(value, dict), path
        for key, each in value.items():
            assert isinstance(key, str), path
            _check(inner[1], each, f"{path}.{key}")
    elif kind in PLAIN:
        assert isinstance(value, PLAIN[kind]), f"{path}: {value!r} is no {kind}"
    else:
        model = getattr(models, kind)
        attributes = {field: name for name, field in model.attribute_map.items()}
        assert set(value) <= set(attributes), f"{path}: {set(value) - set(attributes)}"
        for field, each in value.items():
            _check(model.openapi_types[attributes[field]], each, f"{path}.{field}")
        # Its constructor names a required field that is missing.
        model(**{attributes[field]: each for field, each in value.items()})


@pytest.fixture(scope="session")
def check():
    return _check
