import json
import os
from pathlib import Path

import pytest
import yaml

from pipeline.kubeflow import jobs, workers

COMMAND = ["tfx-gan", "run", "recipe.yaml"]
OPTIONS = {
    "restarts": 3,
    "resources": {"limits": {"nvidia.com/gpu": "1"}, "requests": {"cpu": "4", "memory": "16Gi"}},
    "volume_claims": {"/training": "training", "/data": "data"},
    "env": {"TFX_GAN_WORKER_PORT": "1234"},
    "namespace": "team",
    "node_selector": {"pool": "spot"},
}
# A folder with the CRDs of JobSet and Kubeflow Trainer, which are not ours to keep here:
# config/components/crd/bases of the one, manifests/base/crds of the other.
CRDS = "TFX_GAN_CRDS"


def _job_of(manifest):
    """The spec of the Indexed Job in a manifest."""
    spec = manifest["spec"]
    jobset = spec["template"]["spec"] if manifest["kind"] == "TrainingRuntime" else spec
    ((job,), policy, network) = (
        jobset["replicatedJobs"],
        jobset["failurePolicy"],
        jobset["network"],
    )
    return job, policy, network


@pytest.mark.parametrize("kind", jobs.KINDS)
def test_all_pods_start_again_and_each_finds_the_others(kind):
    manifest = jobs.manifests("digits", "image:1", COMMAND, 4, kind=kind, **OPTIONS)[0]
    job, policy, network = _job_of(manifest)

    assert manifest["metadata"] == {"name": "digits", "namespace": "team"}
    assert policy == {"maxRestarts": 3, "restartStrategy": "BlockingRecreate"}
    assert network["enableDNSHostnames"] is True
    spec = job["template"]["spec"]
    assert spec["backoffLimit"] == 0
    assert spec["completionMode"] == "Indexed"
    assert spec["completions"] == spec["parallelism"] == 4
    pod = spec["template"]["spec"]
    assert pod["restartPolicy"] == "Never"
    assert pod["nodeSelector"] == {"pool": "spot"}
    (container,) = pod["containers"]
    assert container["command"][-len(COMMAND) :] == COMMAND
    assert container["resources"] == OPTIONS["resources"]
    claims = {v["name"]: v["persistentVolumeClaim"]["claimName"] for v in pod["volumes"]}
    mounts = {m["mountPath"]: claims[m["name"]] for m in container["volumeMounts"]}
    assert mounts == OPTIONS["volume_claims"]

    # What the pods are told suffices, and the names are those of the objects.
    environ = {entry["name"]: entry.get("value", "digits") for entry in container["env"]}
    found = json.loads(workers.tf_config({**environ, "JOB_COMPLETION_INDEX": "3"}))
    hosts = [f"digits-{job['name']}-0-{index}.digits:1234" for index in range(4)]
    assert found["cluster"]["worker"] == hosts


def test_a_train_job_names_its_runtime():
    runtime, job = jobs.manifests("digits", "image:1", COMMAND, 2, kind="trainjob")
    reference = job["spec"]["runtimeRef"]
    assert (reference["kind"], reference["name"]) == (runtime["kind"], runtime["metadata"]["name"])
    assert runtime["apiVersion"].startswith(reference["apiGroup"])
    assert job["spec"]["trainer"]["numNodes"] == runtime["spec"]["mlPolicy"]["numNodes"] == 2
    labels = _job_of(runtime)[0]["template"]["metadata"]["labels"]
    assert labels == {"trainer.kubeflow.org/trainjob-ancestor-step": "trainer"}


WRONG = {
    "kind": ({"kind": "tfjob"}, "kind: 'tfjob', expected one of jobset, trainjob"),
    "workers": ({"workers": 0}, "workers: 0, expected 1 or more"),
    "restarts": ({"restarts": -1}, "restarts: -1, expected 0 or more"),
    "command": ({"command": []}, "command: empty"),
    "name": ({"name": "Digits_X"}, "name: 'Digits_X', expected lower-case"),
    "long": ({"name": "d" * 60}, "hyphens, at most 54 of them"),
}


@pytest.mark.parametrize(("options", "message"), WRONG.values(), ids=WRONG)
def test_what_the_cluster_would_refuse_is_refused_here(options, message):
    given = {"name": "digits", "image": "image:1", "command": COMMAND, "workers": 2}
    with pytest.raises(ValueError, match=message):
        jobs.manifests(**{**given, **options})


@pytest.fixture(scope="module")
def schemas():
    """The schema of each kind of object, strict: a key that it lacks is an error."""
    folder = os.environ.get(CRDS)
    if not folder:
        pytest.skip(f"{CRDS} names no folder with the CRDs of JobSet and Kubeflow Trainer")
    found = {}
    for path in Path(folder).glob("*.yaml"):
        crd = yaml.load(path.read_text(), yaml.CSafeLoader)
        for version in crd["spec"]["versions"]:
            schema = version["schema"]["openAPIV3Schema"]
            found[crd["spec"]["names"]["kind"], version["name"]] = _strict(schema)
    return found


def _strict(schema):
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


@pytest.mark.parametrize("options", [{}, OPTIONS], ids=["least", "most"])
@pytest.mark.parametrize("kind", jobs.KINDS)
def test_the_cluster_knows_every_key(schemas, kind, options):
    jsonschema = pytest.importorskip("jsonschema")
    for manifest in jobs.manifests("digits", "image:1", COMMAND, 2, kind=kind, **options):
        version = manifest["apiVersion"].split("/")[1]
        schema = schemas[manifest["kind"], version]
        # The API server knows metadata itself.
        schema = {**schema, "properties": {**schema["properties"], "metadata": {"type": "object"}}}
        jsonschema.Draft7Validator(schema).validate(manifest)
        spoilt = {**manifest, "spec": {**manifest["spec"], "restarts": 1}}
        with pytest.raises(jsonschema.ValidationError, match="'restarts' was unexpected"):
            jsonschema.Draft7Validator(schema).validate(spoilt)
