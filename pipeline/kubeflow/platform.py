"""The second document of a compiled pipeline: what only Kubernetes knows of."""

from collections.abc import Mapping
from typing import Any

from pipeline.config import Recipe
from pipeline.kubeflow import entry_point
from pipeline.kubeflow.config import Resources, Secret, Stage, Toleration, Volume

_RUN = {"name": entry_point.RUN, "fieldPath": "metadata.labels['pipeline/runid']"}
_SHARED_MEMORY = {"mountPath": "/dev/shm", "medium": "Memory", "volumeName": "shared-memory"}


def document(recipe: Recipe, labels: Mapping[Stage, str]) -> dict[str, Any]:
    """As kfp-kubernetes writes it, with the fields that every release of the backend reads.

    A name of an executor that does not exist has no effect there, without a word.

    Args:
      recipe: the resolved recipe.
      labels: stage to the label of its executor.
    """
    executors = {
        label: _pod(recipe, recipe.resources.get(stage, Resources()))
        for stage, label in labels.items()
    }
    return {"platforms": {"kubernetes": {"deploymentSpec": {"executors": executors}}}}


def _pod(recipe: Recipe, resources: Resources) -> dict[str, Any]:
    shared = recipe.kubeflow
    pod: dict[str, Any] = {
        "pvcMount": [_mount(volume) for volume in shared.volumes],
        "secretAsEnv": [_environment(secret) for secret in shared.secrets],
        "fieldPathAsEnv": [_RUN],
        "imagePullSecret": [{"secretName": name} for name in shared.pull_secrets],
        "podMetadata": {"labels": shared.labels} if shared.labels else {},
        "nodeSelector": {"labels": resources.node_selector} if resources.node_selector else {},
        "tolerations": [_toleration(each) for each in resources.tolerations],
    }
    if resources.shared_memory_gb:
        size = f"{resources.shared_memory_gb:g}G"
        pod["emptyDirMounts"] = [{**_SHARED_MEMORY, "sizeLimit": size}]
    return {key: value for key, value in pod.items() if value}


def _mount(volume: Volume) -> dict[str, str]:
    return {"constant": volume.claim, "mountPath": volume.mount}


def _environment(secret: Secret) -> dict[str, Any]:
    keys = [{"envVar": variable, "secretKey": key} for variable, key in secret.env.items()]
    return {"secretName": secret.name, "keyToEnv": keys}


def _toleration(toleration: Toleration) -> dict[str, str]:
    return toleration.model_dump(exclude_none=True)
