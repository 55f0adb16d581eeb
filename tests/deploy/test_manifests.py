"""deploy/kubeflow fits together, and has only fields that Kubernetes has."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from pipeline import cli, config
from pipeline.kubeflow import jobs

FOLDER = Path(__file__).parents[2] / "deploy" / "kubeflow"
API = {
    "ConfigMap": "v1",
    "PersistentVolumeClaim": "v1",
    "Pod": "v1",
    "Role": "rbac.authorization.k8s.io/v1",
    "RoleBinding": "rbac.authorization.k8s.io/v1",
    "Secret": "v1",
}


def objects(name):
    return list(yaml.safe_load_all((FOLDER / name).read_text("utf-8")))


KUSTOMIZATION = objects("kustomization.yaml")[0]
APPLIED = [each for name in KUSTOMIZATION["resources"] for each in objects(name)]
OTHERS = [
    each
    for name in ("secrets.example.yaml", "root.yaml", "time-slicing.yaml", "workers.yaml")
    for each in objects(name)
]
README = (FOLDER / "README.md").read_text("utf-8")
RECIPE = FOLDER / "recipe.yaml"


def named(kind, among=APPLIED):
    return {each["metadata"]["name"]: each for each in among if each["kind"] == kind}


@pytest.mark.parametrize("manifest", [*APPLIED, *OTHERS], ids=lambda m: m["metadata"]["name"])
def test_a_manifest_has_only_fields_of_kubernetes(manifest, check):
    assert manifest["apiVersion"] == API[manifest["kind"]]
    check(f"V1{manifest['kind']}", manifest, manifest["kind"])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"spec": {"container": []}}, "container"),
        ({"spec": {"containers": [{"image": "i"}]}}, "name"),
        ({"spec": {"containers": [{"name": "n", "command": "sleep"}]}}, "command"),
        ({"metadata": {"labels": {"a": 1}}}, "labels.a"),
    ],
)
def test_the_check_sees_what_kubernetes_would_refuse(change, words, check):
    with pytest.raises((AssertionError, ValueError), match=words):
        check("V1Pod", {"apiVersion": "v1", "kind": "Pod", **change}, "Pod")


def test_every_file_is_in_the_table_of_the_readme():
    files = {path.name for path in FOLDER.iterdir()} - {"README.md"}

    assert set(re.findall(r"^\| \[(\S+)\]\(\1\) \|", README, re.MULTILINE)) == files


def test_names_agree():
    recipe = config.load(str(RECIPE), ())
    secrets, claims = named("Secret", OTHERS), named("PersistentVolumeClaim")
    (pod,) = named("Pod").values()
    (binding,) = named("RoleBinding").values()
    containers = [*pod["spec"]["initContainers"], *pod["spec"]["containers"]]
    mounts = {mount["mountPath"] for each in containers for mount in each["volumeMounts"]}

    assert {volume.claim for volume in recipe.kubeflow.volumes} == set(claims)
    assert {volume.mount for volume in recipe.kubeflow.volumes} == mounts
    (volume,) = pod["spec"]["volumes"]
    assert volume["persistentVolumeClaim"]["claimName"] in claims
    assert set(recipe.kubeflow.pull_secrets) <= set(secrets)
    assert {each["name"] for each in pod["spec"]["imagePullSecrets"]} <= set(secrets)
    assert {each["image"] for each in containers} == {i["name"] for i in KUSTOMIZATION["images"]}
    role = named("Role")[binding["roleRef"]["name"]]
    allowed = {name for rule in role["rules"] for name in rule.get("resourceNames", [])}
    assert allowed == {pod["metadata"]["name"]}


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl renders it")
def test_the_kustomization_names_namespace_and_image():
    command = ["kubectl", "kustomize", str(FOLDER)]
    rendered = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    manifests = list(yaml.safe_load_all(rendered))
    (image,) = KUSTOMIZATION["images"]
    pod = named("Pod", manifests)["gan-files"]["spec"]

    assert {each["metadata"]["namespace"] for each in manifests} == {"kubeflow"}
    assert {each["image"] for each in (*pod["initContainers"], *pod["containers"])} == {
        f"{image['newName']}:{image['newTag']}"
    }


def test_the_stages_may_do_what_starts_and_ends_the_jobs_of_workers():
    (role,), (binding,) = (named(kind, OTHERS).values() for kind in ("Role", "RoleBinding"))
    allowed = {
        (group, name)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for name in rule["resources"]
    }
    made = [each for kind in jobs.KINDS for each in jobs.manifests("n", "i", ["c"], 2, kind=kind)]

    assert allowed == {
        (each["apiVersion"].partition("/")[0], f"{each['kind'].lower()}s") for each in made
    }
    assert binding["roleRef"]["name"] == role["metadata"]["name"]


def test_the_launcher_finds_the_keys_of_its_secret():
    (root,) = objects("root.yaml")
    providers = yaml.safe_load(root["data"]["providers"])
    scheme = root["data"]["defaultPipelineRoot"].partition("://")[0]
    reference = providers[scheme]["default"]["credentials"]["secretRef"]
    keys = named("Secret", OTHERS)[reference["secretName"]]["stringData"]

    assert {reference["accessKeyKey"], reference["secretKeyKey"]} == set(keys)


def test_the_stages_with_gpus_go_to_the_pool_of_the_readme():
    resources = config.load(str(RECIPE), ()).resources
    with_gpus = [each for each in resources.values() if each.gpu]
    (key, value), (taint, effect) = (
        re.search(pattern, README).groups()
        for pattern in (r"label node NODE (\S+)=(\S+)", r"taint node NODE (\S+)=present:(\S+)")
    )

    assert with_gpus
    for each in with_gpus:
        assert each.node_selector == {key: value}
        assert [(t.key, t.effect, t.operator) for t in each.tolerations] == [
            (taint, effect, "Exists")
        ]


def test_time_slices_are_those_that_the_readme_switches_on():
    (slicing,) = objects("time-slicing.yaml")
    (profile,) = slicing["data"]
    (shared,) = yaml.safe_load(slicing["data"][profile])["sharing"]["timeSlicing"]["resources"]

    assert f"config.name={slicing['metadata']['name']} " in README
    assert f"config.default={profile}\n" in README
    assert f"--namespace {slicing['metadata']['namespace']} " in README
    assert shared["name"] == "nvidia.com/gpu"
    assert shared["replicas"] > 1


def test_the_readme_s_command_compiles_the_recipe(tmp_path, monkeypatch):
    command = re.search(r"^tfx-gan (compile (?:.*\\\n)*.*)$", README, re.MULTILINE)[1]
    out = tmp_path / "pipeline.yaml"
    words = shlex.split(command.replace("\\\n", " "))
    words = [str(out) if word == "pipeline.yaml" else word for word in words]
    monkeypatch.chdir(FOLDER.parents[1])

    done = CliRunner().invoke(cli.main, words)

    assert done.exit_code == 0, done.output
    spec, platform = yaml.safe_load_all(out.read_text("utf-8"))
    executors = spec["deploymentSpec"]["executors"]
    images = {name: each["container"]["image"] for name, each in executors.items()}
    assert [name for name, image in images.items() if image.endswith("-gpu")] == [
        "GANTrainer_executor"
    ]
    (applied,) = KUSTOMIZATION["images"]
    assert f"{applied['newName']}:{applied['newTag']}" in images.values()
    pods = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert {mount["constant"] for pod in pods.values() for mount in pod["pvcMount"]} == {"gan"}
