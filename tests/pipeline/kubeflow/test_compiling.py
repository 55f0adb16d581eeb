"""What a compiled pipeline holds, and what is refused before it is submitted."""

import copy
import json
from pathlib import Path

import pytest
import yaml

from pipeline import config
from pipeline.cli import cluster
from pipeline.kubeflow import compiling, jobs
from pipeline.kubeflow.config import BACKENDS
from pipeline.pipeline import create_pipeline

DIGITS = Path(__file__).parents[3] / "data" / "digits" / "recipe.yaml"
VOLUME = "kubeflow.volumes=[{claim: gan, mount: /mnt/gan}]"
ROOT = "minio://mlpipeline/v2"


def documents(folder, overrides=(), **options):
    recipe = config.load(str(DIGITS), overrides)
    out = folder / "pipeline.yaml"
    compiling.compile_recipe(recipe, **{"image": "i:1", "root": ROOT, **options}, out=str(out))
    return list(yaml.safe_load_all(out.read_text()))


OVERRIDES = [
    VOLUME,
    "kubeflow.secrets=[{name: s3, env: {AWS_ACCESS_KEY_ID: accesskey}}]",
    "kubeflow.pull_secrets=[registry]",
    "kubeflow.labels={team: gan}",
    "resources.GANTrainer={cpu: 8, gpu: 1, shared_memory_gb: 2, node_selector: {pool: gpu}, "
    "tolerations: [{key: nvidia.com/gpu, effect: NoSchedule}], retries: 5}",
    "resources.ImageExampleGen={memory_gb: 12}",
]


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compiled")
    return documents(folder, OVERRIDES, gpu_image="gpu:1"), folder / "pipeline.yaml"


@pytest.fixture(scope="module")
def spec(compiled):
    return compiled[0][0]


def stages(spec):
    return spec["components"]["tfx-dag"]["dag"]["tasks"]


@pytest.fixture(scope="module")
def tasks(spec):
    return stages(spec)


def containers(spec):
    executors = spec["deploymentSpec"]["executors"]
    return {name.removesuffix("_executor"): each["container"] for name, each in executors.items()}


def test_the_kfp_sdk_loads_it(compiled):
    from kfp import components

    component = components.load_component_from_file(str(compiled[1]))
    assert component.component_spec.name == "digits"


def test_it_is_the_dag_that_runs_locally(spec, tasks):
    recipe = config.load(str(DIGITS))
    local = create_pipeline(recipe, artifacts="a", state="s")

    assert set(tasks) == {component.id for component in local.components} | {"Verdict"}
    for component in local.components:
        upstream = {node.id for node in component.upstream_nodes}
        assert set(tasks[component.id].get("dependentTasks", [])) == upstream
    assert not any("lifecycle" in container for container in containers(spec).values())


def test_mirror_images_concern_the_trainer_alone(tmp_path):
    """All else is taken from the cache when the key is switched."""
    (plain, *_), (mirrored, *_) = (
        documents(tmp_path, [VOLUME, f"data.mirror={value}"]) for value in ("false", "true")
    )
    before, after = stages(plain), stages(mirrored)
    assert [name for name in before if before[name] != after[name]] == ["GANTrainer"]
    given = after["GANTrainer"]["inputs"]["parameters"]["mirror"]["runtimeValue"]["constant"]
    assert given == 1


def test_a_search_comes_before_the_trainer_which_is_given_its_winner(tmp_path):
    spec, *_ = documents(tmp_path, [VOLUME, "tuner={trials: 5}", "resources.GANTuner={cpu: 4}"])
    tasks = stages(spec)

    assert tasks["GANTrainer"]["inputs"]["artifacts"]["hyperparameters"] == {
        "taskOutputArtifact": {
            "producerTask": "GANTuner",
            "outputArtifactKey": "hyperparameters",
        }
    }
    tuner = tasks["GANTuner"]
    assert set(tuner["inputs"]["artifacts"]) == {"examples", "anomalies", "extractor"}
    assert "GANTuner" in tasks["GANTrainer"]["dependentTasks"]


def test_the_exit_handler_waits_for_all_stages_and_knows_the_run(spec, tasks):
    root = spec["root"]["dag"]["tasks"]

    assert set(root) == {"tfx-dag", "ExitHandler"}
    handler = root["ExitHandler"]
    assert handler["dependentTasks"] == ["tfx-dag"]
    assert handler["triggerPolicy"]["strategy"] == "ALL_UPSTREAM_TASKS_COMPLETED"
    # What Kubeflow Pipelines 2.4 does not know would end the handler.
    assert all(set(each) == {"runtimeValue"} for each in handler["inputs"]["parameters"].values())
    for task in (handler, tasks["Verdict"]):
        run = task["inputs"]["parameters"]["run"]["runtimeValue"]["constant"]
        assert run == "{{$.pipeline_job_uuid}}"
    for name, container in containers(spec).items():
        told = {each["name"]: each["value"] for each in container["env"]}
        assert told == {"TFX_GAN_STAGE": name, "TFX_GAN_OUTCOMES": "/mnt/gan/outcomes/digits"}
    # Every stage is before the verdict, so that a verdict means that none failed.
    before, left = set(), ["Verdict"]
    while left:
        upstream = tasks[left.pop()].get("dependentTasks", [])
        left += [name for name in upstream if name not in before]
        before |= set(upstream)
    assert before == set(tasks) - {"Verdict"}


def test_outputs_that_are_parameters_keep_their_producer_and_type(spec, tasks):
    given = tasks["ImageExampleGen"]["inputs"]["parameters"]["span"]["taskOutputParameter"]
    assert given == {"producerTask": "FindData", "outputParameterKey": "span"}
    declared = spec["components"]["ImageExampleGen"]["inputDefinitions"]["parameters"]
    kinds = {name: each["parameterType"] for name, each in declared.items()}
    assert kinds["span"] == kinds["version"] == "NUMBER_INTEGER"
    assert kinds["splits"] == "STRING"
    arguments = containers(spec)["ImageExampleGen"]["args"]
    told = json.loads(arguments[arguments.index("--json_serialized_inputs_spec_args") + 1])
    assert told["parameters"] == declared


def test_a_run_can_change_settings(spec, tasks):
    definitions = spec["root"]["inputDefinitions"]["parameters"]
    defaults = {name: each["defaultValue"] for name, each in definitions.items()}
    recipe = config.load(str(DIGITS))
    assert defaults == {
        "data_path": recipe.data.path,
        "images": 300_000,
        "batch_size": 64,
        "generator_learning_rate": 0.001,
        "discriminator_learning_rate": 0.001,
        "seed": 0,
    }
    for side in (
        spec["root"]["dag"]["tasks"]["tfx-dag"]["inputs"],
        spec["components"]["tfx-dag"]["inputDefinitions"],
    ):
        assert set(side["parameters"]) == set(defaults)
    given = tasks["GANTrainer"]["inputs"]["parameters"]
    assert given["set__generator_optimizer__learning_rate"] == {
        "componentInputParameter": "generator_learning_rate"
    }


def test_a_schedule_is_no_setting(tmp_path):
    rate = "trainer.generator_optimizer.learning_rate={start: 0.001, end: 0.0001}"
    spec, _ = documents(tmp_path, [VOLUME, rate])
    names = set(spec["root"]["inputDefinitions"]["parameters"])
    assert "generator_learning_rate" not in names
    assert "discriminator_learning_rate" in names


def test_what_looks_at_the_run_is_not_cached_and_all_is_retried(tasks):
    uncached = {name for name, task in tasks.items() if not task["cachingOptions"]}
    assert uncached == {"FindData", "LatestGoodSpan", "LatestBlessed", "Verdict"}
    retries = {name: task["retryPolicy"]["maxRetryCount"] for name, task in tasks.items()}
    assert retries == {**dict.fromkeys(tasks, 2), "GANTrainer": 5}
    for task in tasks.values():
        # Argo gives up where the longest backoff is over, counted from the first attempt.
        assert task["retryPolicy"]["backoffMaxDuration"] == "1209600s"
        assert task["retryPolicy"]["backoffFactor"] == 2


def test_every_stage_has_its_image_and_resources(spec):
    found = containers(spec)
    images = {name: container["image"] for name, container in found.items()}
    assert images == {**dict.fromkeys(found, "i:1"), "GANTrainer": "gpu:1"}
    assert found["GANTrainer"]["resources"] == {
        "cpuLimit": 8.0,
        "memoryLimit": 16.0,
        "accelerator": {"type": "nvidia.com/gpu", "count": "1"},
    }
    assert found["ImageExampleGen"]["resources"] == {"cpuLimit": 2.0, "memoryLimit": 12.0}
    assert all(container["resources"]["memoryLimit"] for container in found.values())


def test_the_second_document_describes_the_pods(compiled, spec):
    kubernetes = compiled[0][1]["platforms"]["kubernetes"]["deploymentSpec"]["executors"]

    assert set(kubernetes) == set(spec["deploymentSpec"]["executors"])
    shared = {
        "pvcMount": [{"constant": "gan", "mountPath": "/mnt/gan"}],
        "secretAsEnv": [
            {
                "secretName": "s3",
                "keyToEnv": [{"envVar": "AWS_ACCESS_KEY_ID", "secretKey": "accesskey"}],
            }
        ],
        "imagePullSecret": [{"secretName": "registry"}],
        "podMetadata": {"labels": {"team": "gan"}},
        "fieldPathAsEnv": [
            {"name": "TFX_GAN_RUN", "fieldPath": "metadata.labels['pipeline/runid']"}
        ],
    }
    assert kubernetes["Pusher_executor"] == shared
    assert kubernetes["GANTrainer_executor"] == {
        **shared,
        "nodeSelector": {"labels": {"pool": "gpu"}},
        "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
        "emptyDirMounts": [
            {
                "mountPath": "/dev/shm",
                "medium": "Memory",
                "volumeName": "shared-memory",
                "sizeLimit": "2G",
            }
        ],
    }


@pytest.mark.parametrize(
    ("stage", "output", "title"),
    [
        ("GANEvaluator", "report", "system.HTML"),
        ("GANEvaluator", "scores", "system.Metrics"),
        ("ExitHandler", "page", "system.Markdown"),
    ],
)
def test_the_ui_is_given_the_report_the_scores_and_the_outcome(spec, stage, output, title):
    outputs = spec["components"][stage]["outputDefinitions"]["artifacts"]
    assert outputs[output]["artifactType"]["schemaTitle"] == title


def test_the_data_are_not_looked_at_and_a_schema_goes_along(tmp_path):
    spec, _ = documents(tmp_path, [VOLUME, "data.path=gs://elsewhere/digits", "data.format=idx"])

    tasks = stages(spec)
    assert "gs://elsewhere/digits" in json.dumps(tasks["FindData"])
    text = tasks["ImportSchemaGen"]["inputs"]["parameters"]["text"]["runtimeValue"]["constant"]
    assert text == DIGITS.with_name("schema.pbtxt").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["pipeline.yaml"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"root": "gs://b/root"}, "gs://b/root/digits/checkpoints"),
        ({"root": "gs://b/root", "state": "gs://b/state"}, "gs://b/state/checkpoints"),
        ({"overrides": [VOLUME]}, "/mnt/gan/checkpoints"),
        ({"overrides": [VOLUME], "state": "/mnt/gan/a"}, "/mnt/gan/a/checkpoints"),
    ],
)
def test_where_state_lies(tmp_path, given, expected):
    spec = documents(tmp_path, **given)[0]
    parameters = stages(spec)["GANTrainer"]["inputs"]["parameters"]
    assert parameters["checkpoint_dir"] == {"runtimeValue": {"constant": expected}}


def test_vertex_takes_one_document_and_names_its_own_gpus(tmp_path):
    gpu = "resources.GANTrainer={gpu: 1, gpu_type: NVIDIA_L4}"
    (spec,) = documents(tmp_path, [gpu], root="gs://b/root", backend="vertex")
    assert containers(spec)["GANTrainer"]["resources"]["accelerator"]["type"] == "NVIDIA_L4"
    told = spec["root"]["dag"]["tasks"]["ExitHandler"]["inputs"]["parameters"]["status"]
    assert told == {"taskFinalStatus": {"producerTask": "tfx-dag"}}


@pytest.mark.parametrize(
    ("overrides", "options", "message"),
    [
        ([VOLUME], {"root": "/mnt/gan"}, "--root: '/mnt/gan': .* gs://, s3://, minio://"),
        ([VOLUME], {"root": "s3://my bucket/ü"}, "--root: .* without spaces"),
        ([], {}, "--state: minio://mlpipeline/v2/digits: .* a folder on a volume"),
        ([VOLUME], {"state": "s3://b/state"}, "--state: s3://b/state: .*kubeflow.volumes"),
        ([VOLUME], {"state": "/elsewhere"}, "--state: /elsewhere: on no volume.*/mnt/gan"),
        ([VOLUME], {"state": "/mnt/gander"}, "--state: /mnt/gander: on no volume"),
        ([VOLUME, "pusher.serving_dir=/srv"], {}, "pusher.serving_dir: /srv: on no volume"),
        ([VOLUME, "data.path=s3://b/digits"], {}, "data.path: s3://b/digits: .*volume"),
        ([VOLUME, "resources.SchemaGen={cpu: 1}"], {}, "resources.SchemaGen: .*no such stage"),
        (["tuner={}"], {"state": "gs://b/state"}, "tuner.storage: null, but gs://b/state cannot"),
        ([VOLUME, "resources.Pusher={gpu: 1}"], {}, "resources.Pusher.gpu: .*does not use one"),
        (
            [VOLUME, "resources.GANTrainer={gpu: 1, gpu_type: T4}"],
            {},
            "resources.GANTrainer.gpu_type: T4: on kubeflow a name like nvidia.com/gpu",
        ),
        (
            ["resources.GANTrainer={gpu: 1}"],
            {"root": "gs://b/r", "backend": "vertex"},
            "resources.GANTrainer.gpu_type: None: on vertex a name like NVIDIA_L4",
        ),
        (
            [VOLUME],
            {"root": "gs://b/r", "backend": "vertex"},
            "kubeflow.volumes: vertex takes none",
        ),
        ([], {"root": "s3://b/r", "backend": "vertex"}, "--root: 's3://b/r': on vertex"),
        (
            ["resources.GANTrainer={shared_memory_gb: 1}"],
            {"root": "gs://b/r", "backend": "vertex"},
            "resources.GANTrainer.shared_memory_gb: vertex takes none",
        ),
        ([VOLUME], {"workers": 0}, "--workers: 0, expected 1 or more"),
        ([VOLUME], {"workers": 2, "job": "tfjob"}, "--job: 'tfjob', expected one of jobset, train"),
        (
            [],
            {"workers": 2, "root": "gs://b/r"},
            "--workers: 2 workers share --state, and gs://b/r/digits is on no volume",
        ),
        (
            [],
            {"workers": 2, "root": "gs://b/r", "backend": "vertex"},
            "--workers: 2: vertex starts no jobs of Kubernetes",
        ),
        (
            [VOLUME, "resources.GANTrainer={gpu: 1, gpu_type: T4}"],
            {"workers": 2},
            "resources.GANTrainer.gpu_type: T4: on kubeflow a name like nvidia.com/gpu",
        ),
        (
            [VOLUME, "data.path=/data/{{$.inputs.parameters['day']}}"],
            {},
            "data.path: .*which is unset",
        ),
    ],
)
def test_what_cannot_work_is_refused_by_key(tmp_path, overrides, options, message):
    with pytest.raises(ValueError, match=message) as refused:
        documents(tmp_path, overrides, **options)
    assert "\n" not in str(refused.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("resources.Trainer={cpu: 1}", "resources.Trainer"),
        ("kubeflow.volumes=[{claim: Not_Valid, mount: /m}]", "kubeflow.volumes.0.claim"),
        ("kubeflow.volumes=[{claim: a, mount: m}]", "kubeflow.volumes.0.mount"),
        ("kubeflow.volumes=[{claim: a, mount: /m}, {claim: b, mount: /m}]", "mount: /m is named 2"),
        ("kubeflow.secrets=[{name: a, env: {1A: k}}]", "kubeflow.secrets.0.env"),
        ("kubeflow.labels={'a b': c}", "kubeflow.labels"),
        ("resources.Pusher={tolerations: [{key: k, operator: Equal}]}", "Equal needs a value"),
    ],
)
def test_names_that_kubernetes_refuses_are_refused_first(override, message):
    with pytest.raises(ValueError, match=message):
        config.load(str(DIGITS), [override])


@pytest.mark.parametrize(("name", "known"), [("backend", BACKENDS), ("job", jobs.KINDS)])
def test_the_command_line_knows_every_backend_and_job(name, known):
    (option,) = [each for each in cluster.compile_.params if each.name == name]
    assert set(option.type.choices) == set(known)


@pytest.fixture(scope="module")
def with_workers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("workers")
    return documents(folder, OVERRIDES, gpu_image="gpu:1", workers=4, job="trainjob")


def test_several_workers_have_the_stages_resources_and_it_starts_them(with_workers, compiled):
    spec, pods = with_workers
    container = containers(spec)["GANTrainer"]
    alone = containers(compiled[0][0])["GANTrainer"]

    assert container["command"] == ["python", "-m", "pipeline.kubeflow.launch.launcher"]
    assert container["args"] == alone["args"]
    assert container["image"] == "i:1"
    assert container["resources"] == {"cpuLimit": 1.0, "memoryLimit": 4.0}
    assert stages(spec)["GANTrainer"]["retryPolicy"]["maxRetryCount"] == 2
    executors = pods["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    # What the workers alone need.
    assert executors["GANTrainer_executor"] == executors["Pusher_executor"]

    told = {each["name"]: each["value"] for each in container["env"]}
    job = json.loads(told["TFX_GAN_JOB"])
    assert job.pop("folder") == "/mnt/gan/jobs"
    assert job.pop("labels") == {"team": "gan", "tfx-gan/pipeline": "digits"}
    assert job == {
        "kind": "trainjob",
        "image": "gpu:1",
        "workers": 4,
        "restarts": 5,
        "resources": {"limits": {"cpu": "8", "memory": "16G", "nvidia.com/gpu": "1"}},
        "volume_claims": {"/mnt/gan": "gan"},
        "secret_env": {"AWS_ACCESS_KEY_ID": ["s3", "accesskey"]},
        "pull_secrets": ["registry"],
        "node_selector": {"pool": "gpu"},
        "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
        "shared_memory": "2G",
        "keep_seconds": 86400,
    }
    # Nothing else differs.
    same = copy.deepcopy(compiled[0][0])
    same["deploymentSpec"]["executors"]["GANTrainer_executor"]["container"] = container
    stages(same)["GANTrainer"]["retryPolicy"]["maxRetryCount"] = 2
    assert spec == same


def test_one_worker_is_the_stage_itself(tmp_path, compiled):
    options = {"gpu_image": "gpu:1", "workers": 1, "job": "trainjob"}
    assert documents(tmp_path, OVERRIDES, **options) == compiled[0]
