import os
from pathlib import Path

import pytest
import yaml

# A folder with the CRDs of JobSet and Kubeflow Trainer, which are not ours to keep here: what
# .ci/crds writes.
CRDS = "TFX_GAN_CRDS"


@pytest.fixture(scope="session")
def crds():
    """The schema of each kind of object by (kind, version), strict; {} if they are not there."""
    folder = os.environ.get(CRDS)
    found = {}
    for path in Path(folder).glob("*.yaml") if folder else ():
        crd = yaml.load(path.read_text(), yaml.CSafeLoader)
        for version in crd["spec"]["versions"]:
            schema = _strict(version["schema"]["openAPIV3Schema"])
            # The API server knows metadata itself.
            schema["properties"]["metadata"] = {"type": "object"}
            found[crd["spec"]["names"]["kind"], version["name"]] = schema
    return found


@pytest.fixture(scope="session")
def schemas(crds):
    """The schemas, for a test that is of no use without them."""
    if not crds:
        pytest.skip(f"{CRDS} names no folder with the CRDs of JobSet and Kubeflow Trainer")
    return crds


def _strict(schema):
    """A key that the schema lacks is an error."""
    if isinstance(schema, list):
        return [_strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    strict = {key: _strict(value) for key, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and schema["properties"]:
        strict.setdefault("additionalProperties", False)
    if schema.get("x-kubernetes-int-or-string"):
        strict.pop("type", None)
    return strict
