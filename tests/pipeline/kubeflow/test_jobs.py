import json

import jsonschema
import pytest

from pipeline.kubeflow import jobs, workers

COMMAND = ["tfx-gan", "run", "recipe.yaml"]
OPTIONS = {
    "restarts": 3,
    "resources": {"limits": {"nvidia.com/gpu": "1"}, "requests": {"cpu": "4", "memory": "16Gi"}},
    "volume_claims": {"/training": "training", "/data": "data"},
    "env": {"TFX_GAN_WORKER_PORT": "1234"},
    "secret_env": {"AWS_ACCESS_KEY_ID": ("s3", "accesskey")},
    "pull_secrets": ["registry"],
    "namespace": "team",
    "labels": {"team": "gan"},
    "node_selector": {"pool": "spot"},
    "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}],
    "shared_memory": "2G",
    "keep_seconds": 60,
}


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

    assert manifest["metadata"] == {
        "name": "digits",
        "namespace": "team",
        "labels": {"team": "gan"},
    }
    assert policy["maxRestarts"] == 3
    assert policy["restartStrategy"] == "BlockingRecreate"
    assert network["enableDNSHostnames"] is True
    spec = job["template"]["spec"]
    assert spec["backoffLimit"] == 0
    assert spec["completionMode"] == "Indexed"
    assert spec["completions"] == spec["parallelism"] == 4
    labels = {"team": "gan", "sidecar.istio.io/inject": "false"}
    assert spec["template"]["metadata"]["labels"] == labels
    pod = spec["template"]["spec"]
    assert pod["restartPolicy"] == "Never"
    assert pod["nodeSelector"] == {"pool": "spot"}
    assert pod["tolerations"] == OPTIONS["tolerations"]
    assert pod["imagePullSecrets"] == [{"name": "registry"}]
    (container,) = pod["containers"]
    assert container["command"][-len(COMMAND) :] == COMMAND
    assert container["resources"] == OPTIONS["resources"]
    volumes = {v.pop("name"): v for v in pod["volumes"]}
    mounts = {m["mountPath"]: volumes[m["name"]] for m in container["volumeMounts"]}
    assert mounts.pop("/dev/shm") == {"emptyDir": {"medium": "Memory", "sizeLimit": "2G"}}
    claims = {path: v["persistentVolumeClaim"]["claimName"] for path, v in mounts.items()}
    assert claims == OPTIONS["volume_claims"]
    secret = {"secretKeyRef": {"name": "s3", "key": "accesskey"}}
    assert {"name": "AWS_ACCESS_KEY_ID", "valueFrom": secret} in container["env"]

    # All but the exit codes of failures that would come again.
    (rule,), (exception,) = spec["podFailurePolicy"]["rules"], policy["rules"]
    assert rule["action"] == "FailJob"
    assert rule["onExitCodes"] == {
        "containerName": container["name"],
        "operator": "In",
        "values": [1, 2],
    }
    assert exception["action"] == "FailJobSet"
    assert exception["onJobFailureReasons"] == ["PodFailurePolicy"]

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
    "long": ({"name": "d" * 60}, "hyphens, at most 48 of them"),
}


@pytest.mark.parametrize(("options", "message"), WRONG.values(), ids=WRONG)
def test_what_the_cluster_would_refuse_is_refused_here(options, message):
    given = {"name": "digits", "image": "image:1", "command": COMMAND, "workers": 2}
    with pytest.raises(ValueError, match=message):
        jobs.manifests(**{**given, **options})


@pytest.mark.parametrize("options", [{}, OPTIONS], ids=["least", "most"])
@pytest.mark.parametrize("kind", jobs.KINDS)
def test_the_cluster_knows_every_key(schemas, kind, options):
    for manifest in jobs.manifests("digits", "image:1", COMMAND, 2, kind=kind, **options):
        version = manifest["apiVersion"].split("/")[1]
        schema = schemas[manifest["kind"], version]
        jsonschema.Draft7Validator(schema).validate(manifest)
        spoilt = {**manifest, "spec": {**manifest["spec"], "restarts": 1}}
        with pytest.raises(jsonschema.ValidationError, match="'restarts' was unexpected"):
            jsonschema.Draft7Validator(schema).validate(spoilt)
