"""Compiles a recipe to a Kubeflow Pipelines v2 specification."""

import dataclasses
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from tfx.orchestration.kubeflow.decorators import FinalStatusStr
from tfx.orchestration.kubeflow.utils import TFX_DAG_NAME
from tfx.orchestration.kubeflow.v2.kubeflow_v2_dag_runner import (
    KubeflowV2DagRunner,
    KubeflowV2DagRunnerConfig,
)

from components.common import files
from components.common.config import flatten
from components.outcome.component import ExitHandler
from pipeline.config import Recipe
from pipeline.kubeflow import entry_point, platform
from pipeline.kubeflow.config import BACKENDS, GPU_STAGES, UNCACHED, Backend, Resources
from pipeline.kubeflow.entry_point import SEPARATOR, SETTING
from pipeline.kubeflow.launch import trainer_stage
from pipeline.pipeline import create_pipeline, outcomes_folder

_ENTRY_POINT = ["python", "-m", "pipeline.kubeflow.entry_point"]
# TFX writes a producer's name with this.
_TFX_SUFFIX = "_task"

# Argo counts the longest backoff from the start of the first attempt, so that it has to be longer
# than the whole training with all its retries; and takes whole factors only.
_BACKOFF = {
    "backoffDuration": "60s",
    "backoffFactor": 2.0,
    "backoffMaxDuration": f"{14 * 24 * 3600}s",
}

# What Kubeflow's UI shows, beside the outputs of the stages.
_SHOWN = {
    "GANEvaluator": {"report": "system.HTML", "scores": "system.Metrics"},
    "ExitHandler": {"page": "system.Markdown"},
}
# The backend replaces it, as it is the whole of a parameter.
_RUN = "{{$.pipeline_job_uuid}}"


@dataclasses.dataclass(frozen=True)
class Setting:
    """A value of the recipe that every run of a compiled pipeline can change.

    Attributes:
      stage: which is given the section.
      section: of the recipe.
      path: dotted, in the section.
      kind: parameter type of the specification.
    """

    stage: str
    section: str
    path: str
    kind: str


SETTINGS = {
    "data_path": Setting("FindData", "data", "path", "STRING"),
    "images": Setting("GANTrainer", "trainer", "images", "NUMBER_INTEGER"),
    "batch_size": Setting("GANTrainer", "trainer", "batch_size", "NUMBER_INTEGER"),
    "generator_learning_rate": Setting(
        "GANTrainer", "trainer", "generator_optimizer.learning_rate", "NUMBER_DOUBLE"
    ),
    "discriminator_learning_rate": Setting(
        "GANTrainer", "trainer", "discriminator_optimizer.learning_rate", "NUMBER_DOUBLE"
    ),
    "seed": Setting("GANTrainer", "trainer", "seed", "NUMBER_INTEGER"),
}
_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "STRING": str,
    "NUMBER_INTEGER": int,
    "NUMBER_DOUBLE": (int, float),
}


def compile_recipe(
    recipe: Recipe,
    *,
    image: str,
    root: str,
    out: str,
    state: str | None = None,
    gpu_image: str | None = None,
    backend: str = "kubeflow",
    workers: int = 1,
    job: str = "jobset",
) -> None:
    """Writes the pipeline as YAML, schema 2.1, without access to a cluster or to the data.

    Args:
      recipe: the resolved recipe.
      image: container image with this package installed.
      root: URI under which the backend keeps what stages hand on to each other.
      out: file to write, atomically.
      state: folder on a volume, or gs:// URI, for what outlives runs; default: the first of
        `kubeflow.volumes`, or below `root`.
      gpu_image: image of the stages with GPUs; default: `image`.
      backend: a name in BACKENDS.
      workers: that train; several are the pods of a job that the trainer stage starts.
      job: its kind, a name in `jobs.KINDS`.

    Raises:
      ValueError: naming the key or option, for what cannot work there.
    """
    mounts = [volume.mount for volume in recipe.kubeflow.volumes]
    state = state or next(iter(mounts), f"{root.rstrip('/')}/{recipe.name}")
    accepts = BACKENDS[backend]
    check(recipe, root=root, state=state, backend=backend)
    trainer_stage.check(recipe, workers=workers, kind=job, state=state, backend=backend)
    spec = _tfx_spec(recipe, image, root, state, accepts)
    stages, executors = _stages(spec), spec["deploymentSpec"]["executors"]
    tasks = {**stages, ExitHandler.__name__: spec["root"]["dag"]["tasks"][ExitHandler.__name__]}
    for stage in recipe.resources:
        if stage not in tasks:
            raise ValueError(
                f"resources.{stage}: this pipeline has no such stage, but {', '.join(tasks)}"
            )
    launched = None
    if workers > 1:
        launched = trainer_stage.job(recipe, image, gpu_image, workers, job, state)
        recipe = trainer_stage.with_launcher(recipe)
    for name, task in tasks.items():
        resources = recipe.resources.get(name, Resources()).with_defaults(name)
        container = executors[spec["components"][name]["executorLabel"]]["container"]
        container["image"] = gpu_image or image if resources.gpu else image
        container["resources"] = _resources(resources, accepts)
        known = {entry_point.STAGE: name, entry_point.OUTCOMES: outcomes_folder(recipe, state)}
        if launched and name == trainer_stage.STAGE:
            container["command"] = trainer_stage.COMMAND
            known[trainer_stage.JOB] = launched
        container["env"] = [{"name": key, "value": value} for key, value in known.items()]
        task["retryPolicy"] = {"maxRetryCount": resources.retries, **_BACKOFF}
        task["cachingOptions"] = {"enableCache": True} if name not in UNCACHED else {}
    spec["defaultPipelineRoot"] = root
    _mend_outputs(spec)
    _add_settings(spec, recipe)
    handler = spec["components"][ExitHandler.__name__]
    handler["outputDefinitions"]["parameters"] = {"outcome": {"parameterType": "STRING"}}
    for name, shown in _SHOWN.items():
        _show(spec["components"][name], shown)
    documents = [spec]
    if accepts.pods:
        labels = {name: spec["components"][name]["executorLabel"] for name in tasks}
        documents.append(platform.document(recipe, labels))
    text = yaml.safe_dump_all(documents, sort_keys=True, allow_unicode=True)
    files.write(out, text.encode())


def check(recipe: Recipe, *, root: str, state: str, backend: str) -> None:
    """Refuses what cannot work on a cluster, as far as that can be known here.

    Raises:
      ValueError: one line that names the key or option.
    """
    accepts = BACKENDS[backend]
    if not root.startswith(accepts.schemes) or any(sign.isspace() for sign in root):
        raise ValueError(
            f"--root: {root!r}: on {backend} it has to be a URI of "
            f"{', '.join(accepts.schemes)}… without spaces"
        )
    if not accepts.pods:
        for key in ("volumes", "secrets", "pull_secrets", "labels"):
            if getattr(recipe.kubeflow, key):
                raise ValueError(f"kubeflow.{key}: {backend} takes none; leave it out")
    _check_written(recipe, "--state", state)
    if recipe.pusher.serving_dir:
        _check_written(recipe, "pusher.serving_dir", recipe.pusher.serving_dir)
    if recipe.tuner and not recipe.tuner.storage and "://" in state:
        raise ValueError(
            f"tuner.storage: null, but {state} cannot hold SQLite's file; name a database, or a "
            "folder on a volume as --state"
        )
    data = recipe.data.path
    read = {
        "data.path": [data] if isinstance(data, str) else data,
        "validation.reference": [recipe.validation.reference or ""],
        "feature_extractor.weights": [recipe.feature_extractor.weights_file or ""],
    }
    for key, paths in read.items():
        for path in paths:
            if "://" in path and not path.startswith("gs://"):
                raise ValueError(
                    f"{key}: {path}: stages read from gs://, the image or a volume of "
                    "kubeflow.volumes only; copy the data to one"
                )
    for stage, resources in recipe.resources.items():
        _check_gpus(stage, resources, backend)
    for key, value in flatten(recipe.model_dump(mode="json", by_alias=True)).items():
        if "{{" in str(value):
            raise ValueError(f"{key}: {value!r}: the backend would fill {{{{…}}}}, which is unset")


def _check_written(recipe: Recipe, key: str, path: str) -> None:
    """What stages write to and find again in another run, without the launcher's help."""
    if path.startswith("gs://"):
        return
    if "://" in path:
        raise ValueError(
            f"{key}: {path}: checkpoints and pushed models need gs:// or a folder on a volume; "
            "mount one by kubeflow.volumes and name a folder on it, e.g. --state /mnt/gan"
        )
    if recipe.kubeflow.volume_of(path) is None:
        mounts = ", ".join(volume.mount for volume in recipe.kubeflow.volumes) or "none"
        raise ValueError(
            f"{key}: {path}: on no volume, so it would be lost with its pod; kubeflow.volumes "
            f"mounts {mounts}"
        )


def _check_gpus(stage: str, resources: Resources, backend: str) -> None:
    accepts = BACKENDS[backend]
    if resources.gpu and stage not in GPU_STAGES:
        raise ValueError(
            f"resources.{stage}.gpu: the stage does not use one; {', '.join(GPU_STAGES)} do"
        )
    kind = resources.gpu_type or accepts.gpu_type
    if resources.gpu and (kind is None or not accepts.gpu_types.fullmatch(kind)):
        raise ValueError(
            f"resources.{stage}.gpu_type: {kind}: on {backend} a name like {accepts.example}"
        )
    for key in () if accepts.pods else ("shared_memory_gb", "node_selector", "tolerations"):
        if getattr(resources, key):
            raise ValueError(f"resources.{stage}.{key}: {backend} takes none; leave it out")


def _tfx_spec(
    recipe: Recipe, image: str, root: str, state: str, backend: Backend
) -> dict[str, Any]:
    pipeline = create_pipeline(recipe, artifacts=root, state=state, run=_RUN)
    exit_handler = ExitHandler(
        folder=outcomes_folder(recipe, state),
        run=_RUN,
        name=recipe.name,
        # Kubeflow Pipelines knows it from 2.14 on only, without the error.
        **({"status": FinalStatusStr()} if backend.errors else {}),
    )
    config = KubeflowV2DagRunnerConfig(
        default_image=image, default_commands=_ENTRY_POINT, use_pipeline_spec_2_1=True
    )
    with tempfile.TemporaryDirectory() as folder:
        runner = KubeflowV2DagRunner(config, folder, "pipeline.yaml")
        runner.set_exit_handler(exit_handler)
        runner.run(pipeline)
        return yaml.safe_load(Path(folder, "pipeline.yaml").read_bytes())


def _stages(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The tasks of the DAG that the exit handler waits for."""
    return spec["components"][TFX_DAG_NAME]["dag"]["tasks"]


def _resources(resources: Resources, backend: Backend) -> dict[str, Any]:
    found: dict[str, Any] = {"cpuLimit": resources.cpu, "memoryLimit": resources.memory_gb}
    if resources.gpu:
        found["accelerator"] = {
            "type": resources.gpu_type or backend.gpu_type,
            "count": str(resources.gpu),
        }
    return found


def _mend_outputs(spec: dict[str, Any]) -> None:
    """Gives parameters that are another stage's outputs that stage's name and their type.

    TFX adds a suffix to the one, and takes all the others for text.
    """
    for stage, task in _stages(spec).items():
        for name, parameter in task.get("inputs", {}).get("parameters", {}).items():
            if output := parameter.get("taskOutputParameter"):
                producer = output["producerTask"].removesuffix(_TFX_SUFFIX)
                output["producerTask"] = producer
                outputs = spec["components"][producer]["outputDefinitions"]["parameters"]
                _declare(spec, stage, name, outputs[output["outputParameterKey"]]["parameterType"])


def _add_settings(spec: dict[str, Any], recipe: Recipe) -> None:
    """Parameters of the run, with the recipe's values as defaults."""
    stages = spec["root"]["dag"]["tasks"][TFX_DAG_NAME]
    inputs, passed, taken = (
        each.setdefault(kind, {}).setdefault("parameters", {})
        for each, kind in (
            (spec["root"], "inputDefinitions"),
            (stages, "inputs"),
            (spec["components"][TFX_DAG_NAME], "inputDefinitions"),
        )
    )
    for name, setting in SETTINGS.items():
        value: Any = getattr(recipe, setting.section).model_dump(mode="json")
        for key in setting.path.split("."):
            value = value[key]
        # A schedule, or a list of paths, is more than one value.
        if not isinstance(value, _TYPES[setting.kind]):
            continue
        inputs[name] = {"parameterType": setting.kind, "defaultValue": value}
        passed[name] = {"componentInputParameter": name}
        taken[name] = {"parameterType": setting.kind}
        key = SETTING + setting.path.replace(".", SEPARATOR)
        task = _stages(spec)[setting.stage]["inputs"]["parameters"]
        task[key] = {"componentInputParameter": name}
        _declare(spec, setting.stage, key, setting.kind)


def _declare(spec: dict[str, Any], stage: str, key: str, kind: str) -> None:
    """Declares an input of a component, also in the text that the entry point is given."""
    component = spec["components"][stage]
    component["inputDefinitions"]["parameters"][key] = {"parameterType": kind}
    label = component["executorLabel"]
    arguments = spec["deploymentSpec"]["executors"][label]["container"]["args"]
    place = arguments.index("--json_serialized_inputs_spec_args") + 1
    declared = json.loads(arguments[place])
    declared["parameters"][key] = {"parameterType": kind}
    arguments[place] = json.dumps(declared, sort_keys=True)


def _show(component: dict[str, Any], shown: Mapping[str, str]) -> None:
    artifacts = component["outputDefinitions"].setdefault("artifacts", {})
    for name, title in shown.items():
        artifacts[name] = {"artifactType": {"schemaTitle": title, "schemaVersion": "0.0.1"}}
