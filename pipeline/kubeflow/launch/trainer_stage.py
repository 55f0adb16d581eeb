"""What a compiled pipeline says of a trainer stage that starts several workers."""

import json
import os
from collections.abc import Mapping
from typing import Any

from pipeline.config import Recipe
from pipeline.kubeflow import jobs
from pipeline.kubeflow.config import BACKENDS, Resources, Stage

STAGE: Stage = "GANTrainer"
COMMAND = ["python", "-m", "pipeline.kubeflow.launch.launcher"]
# The launcher's variable with the job, as JSON: `folder`, which holds a folder for each job, and
# what `jobs.manifests` takes.
JOB = "TFX_GAN_JOB"

# It waits, and copies files. The workers have restarts of their own.
_LAUNCHER = {"cpu": 1.0, "memory_gb": 4.0}
_LAUNCHER_RETRIES = 2
# Long enough to read the logs of a job that has ended.
_KEEP_SECONDS = 24 * 3600


def check(recipe: Recipe, *, workers: int, kind: str, state: str, backend: str) -> None:
    """Refuses workers that could not start.

    Raises:
      ValueError: one line that names the option.
    """
    if workers < 1:
        raise ValueError(f"--workers: {workers}, expected 1 or more")
    if kind not in jobs.KINDS:
        raise ValueError(f"--job: {kind!r}, expected one of {', '.join(jobs.KINDS)}")
    if workers == 1:
        return
    if not BACKENDS[backend].pods:
        raise ValueError(
            f"--workers: {workers}: {backend} starts no jobs of Kubernetes; leave it out"
        )
    if recipe.kubeflow.volume_of(state) is None:
        raise ValueError(
            f"--workers: {workers} workers share --state, and {state} is on no volume; name a "
            "folder on one of kubeflow.volumes that all pods can mount (ReadWriteMany)"
        )


def job(
    recipe: Recipe, image: str, gpu_image: str | None, workers: int, kind: str, state: str
) -> str:
    """The value of the variable that tells the launcher what to start."""
    resources = recipe.resources.get(STAGE, Resources()).with_defaults(STAGE)
    shared = recipe.kubeflow
    found = {
        "folder": os.path.join(state, "jobs"),
        "kind": kind,
        "image": gpu_image or image if resources.gpu else image,
        "workers": workers,
        "restarts": resources.retries,
        "resources": {"limits": _limits(resources)},
        "volume_claims": {volume.mount: volume.claim for volume in shared.volumes},
        "secret_env": {
            variable: (secret.name, key)
            for secret in shared.secrets
            for variable, key in secret.env.items()
        },
        "pull_secrets": shared.pull_secrets,
        "labels": {**shared.labels, "tfx-gan/pipeline": recipe.name.rstrip("-")},
        "node_selector": resources.node_selector,
        "tolerations": [each.model_dump(exclude_none=True) for each in resources.tolerations],
        "shared_memory": _gigabytes(resources.shared_memory_gb),
        "keep_seconds": _KEEP_SECONDS,
    }
    return json.dumps(found, sort_keys=True)


def with_launcher(recipe: Recipe) -> Recipe:
    """The recipe with resources of the stage for a pod that only starts the workers and waits."""
    given = recipe.resources.get(STAGE, Resources()).with_defaults(STAGE)
    retries = min(given.retries or 0, _LAUNCHER_RETRIES)
    launcher = Resources(**_LAUNCHER, retries=retries)
    return recipe.model_copy(update={"resources": {**recipe.resources, STAGE: launcher}})


def _limits(resources: Resources) -> Mapping[str, Any]:
    limits = {"cpu": f"{resources.cpu:g}", "memory": _gigabytes(resources.memory_gb)}
    if resources.gpu:
        limits[str(resources.gpu_type or BACKENDS["kubeflow"].gpu_type)] = str(resources.gpu)
    return limits


def _gigabytes(size: float | None) -> str | None:
    return None if size is None else f"{size:g}G"
