"""The platform document of a compiled pipeline: what it asks of a pod, as far as one sees it."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pipeline.rehearsal.values import TaskError

# Fields of kfp-kubernetes' KubernetesExecutorConfig that a stage cannot see in a rehearsal.
_UNSEEN = {
    "nodeSelector",
    "podMetadata",
    "imagePullSecret",
    "imagePullPolicy",
    "activeDeadlineSeconds",
    "tolerations",
    "nodeAffinity",
    "podAffinity",
    "enabledSharedMemory",
    "podResourceClaims",
    "securityContext",
}
_PLAYED = {"pvcMount", "secretAsEnv", "configMapAsEnv", "emptyDirMounts", "fieldPathAsEnv"}
_NOT_PLAYED = {"secretAsVolume", "configMapAsVolume", "genericEphemeralVolume", "initContainers"}


@dataclasses.dataclass(frozen=True)
class Mount:
    """A volume of a pod.

    Attributes:
      path: where the pod finds it.
      claim: name of the persistent volume claim; None for an empty folder.
      folder: folder in the volume, "" for all of it.
    """

    path: str
    claim: str | None
    folder: str


def settings(documents: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """The Kubernetes settings of each executor label.

    Raises:
      ValueError: for a setting that the backend does not know, or that is not rehearsed.
    """
    executors: dict[str, Mapping[str, Any]] = {}
    for document in documents:
        kubernetes = document.get("platforms", {}).get("kubernetes", {})
        executors.update(kubernetes.get("deploymentSpec", {}).get("executors", {}))
    for label, executor in executors.items():
        for key in executor:
            if key in _NOT_PLAYED:
                raise ValueError(f"executor {label}: {key} is not rehearsed")
            if key not in _UNSEEN | _PLAYED:
                raise ValueError(
                    f"executor {label}: failed to unmarshal kubernetes config: unknown field "
                    f'"{key}"'
                )
    return executors


def mounts(platform: Mapping[str, Any], resolve: Callable[[Mapping[str, Any]], Any]) -> list[Mount]:
    """The volumes of a pod.

    Args:
      platform: settings of an executor.
      resolve: value of an input parameter's source, such as `{"componentInputParameter": "x"}`.

    Raises:
      TaskError: if a claim's name does not resolve to text.
    """
    found = []
    for mount in platform.get("pvcMount", []):
        source = mount.get("pvcNameParameter") or {
            key: mount[key]
            for key in ("taskOutputParameter", "componentInputParameter")
            if key in mount
        }
        claim = mount["constant"] if "constant" in mount else resolve(source)
        if not isinstance(claim, str) or not claim:
            raise TaskError(
                f"pvcMount at {mount['mountPath']}: expected a non-empty string but got: {claim!r}"
            )
        found.append(Mount(mount["mountPath"], claim, mount.get("subPath", "")))
    for mount in platform.get("emptyDirMounts", []):
        found.append(Mount(mount["mountPath"], None, ""))
    return found


def environment(
    platform: Mapping[str, Any], shell: Mapping[str, str], fields: Mapping[str, str]
) -> dict[str, str]:
    """Variables that a pod gets from elsewhere.

    Args:
      platform: settings of an executor.
      shell: those of secrets and config maps, by the variables' own names.
      fields: of the pod, by path; it has no others.

    Raises:
      TaskError: if `shell` lacks one and the secret is not optional.
    """
    found = {}
    for kind, name in (("secretAsEnv", "secretKey"), ("configMapAsEnv", "configMapKey")):
        for source in platform.get(kind, []):
            for pair in source.get("keyToEnv", []):
                variable = pair["envVar"]
                if variable in shell:
                    found[variable] = shell[variable]
                elif not source.get("optional"):
                    raise TaskError(
                        f"{kind}: a rehearsal takes {variable} (key {pair.get(name)!r}) from this "
                        f"shell, where it is not set: export {variable}=…"
                    )
    for field in platform.get("fieldPathAsEnv", []):
        found[field["name"]] = fields.get(field["fieldPath"], "")
    return found
