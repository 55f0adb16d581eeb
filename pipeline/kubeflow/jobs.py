"""Manifests of a training on several pods, all of which start again when one is lost."""

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pipeline.kubeflow import workers

Manifest = dict[str, Any]

# Also the word in the hosts' names; Trainer overrides the container of this name.
_NODE = "node"
# Both a label and an annotation of each pod.
_JOBSET = "jobset.sigs.k8s.io/jobset-name"
_TRAINER_STEP = {"trainer.kubeflow.org/trainjob-ancestor-step": "trainer"}
_TRAINER_API = "trainer.kubeflow.org"
_SHARED_MEMORY = "shared-memory"
# So a worker ends that has failed itself, and would again; not one that is lost, or that has lost
# another (75).
_HOPELESS = {"containerName": _NODE, "operator": "In", "values": [1, 2]}
_NO_RESTART = {
    "name": "hopeless",
    "action": "FailJobSet",
    "onJobFailureReasons": ["PodFailurePolicy"],
}
# A proxy beside a worker would break the workers' connections, and never end.
_NO_PROXY = {"sidecar.istio.io/inject": "false"}
_NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
# Of a DNS label, which the name of a pod has to be for JobSet: its host's with a suffix.
_LONGEST_LABEL = 63
_SUFFIX = "-abcde"
# Between SIGTERM and SIGKILL: the step is finished, and a checkpoint is written.
_GRACE_SECONDS = 120


@dataclasses.dataclass(frozen=True)
class Training:
    """What the pods run.

    Attributes:
      name: of the objects, and part of the hosts' names.
      image: container image with tfx-gan installed.
      command: what every worker runs; `pipeline.kubeflow.workers` is put before it.
      workers: number of pods.
      restarts: how often all pods are started again, unless one has failed for good (exit code 1).
      resources: of each pod: `limits` and `requests`, e.g. {"limits": {"nvidia.com/gpu": "1"}}.
      volume_claims: name of a PersistentVolumeClaim by its mount path. The folder of checkpoints
        must be on one that all pods can mount (ReadWriteMany).
      env: further environment variables.
      secret_env: further ones from Secrets: (name, key) by variable.
      pull_secrets: for the registry of the image.
      namespace: default: that of the one who applies the manifests.
      labels: of the objects and the pods.
      node_selector: labels of the nodes to run on.
      tolerations: of the pods, as Kubernetes has them.
      shared_memory: size of /dev/shm, e.g. 2G; default: the node's.
      keep_seconds: how long a JobSet is kept when it has ended; a TrainJob has no such field.
        Default: for ever.

    Raises:
      ValueError: for a name that is no DNS label or too long, a `command` without a word, and
        fewer than one worker.
    """

    name: str
    image: str
    command: Sequence[str]
    workers: int
    restarts: int = 10
    resources: Mapping[str, Mapping[str, str]] = dataclasses.field(default_factory=dict)
    volume_claims: Mapping[str, str] = dataclasses.field(default_factory=dict)
    env: Mapping[str, str] = dataclasses.field(default_factory=dict)
    secret_env: Mapping[str, tuple[str, str]] = dataclasses.field(default_factory=dict)
    pull_secrets: Sequence[str] = ()
    namespace: str | None = None
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    node_selector: Mapping[str, str] = dataclasses.field(default_factory=dict)
    tolerations: Sequence[Mapping[str, str]] = ()
    shared_memory: str | None = None
    keep_seconds: int | None = None

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise ValueError(f"workers: {self.workers}, expected 1 or more")
        if self.restarts < 0:
            raise ValueError(f"restarts: {self.restarts}, expected 0 or more")
        if not self.command:
            raise ValueError("command: empty; give the command that every worker runs")
        pod = f"{self.name}-{_NODE}-0-{self.workers - 1}{_SUFFIX}"
        if not _NAME.fullmatch(self.name) or len(pod) > _LONGEST_LABEL:
            raise ValueError(
                f"name: {self.name!r}, expected lower-case letters, digits and hyphens, at most "
                f"{_LONGEST_LABEL - len(pod) + len(self.name)} of them"
            )


def jobset(training: Training) -> list[Manifest]:
    """A JobSet (jobset.x-k8s.io/v1alpha2), as Kubeflow Trainer makes them too."""
    kept: Manifest = {}
    if training.keep_seconds is not None:
        kept["ttlSecondsAfterFinished"] = training.keep_seconds
    return [
        {
            "apiVersion": "jobset.x-k8s.io/v1alpha2",
            "kind": "JobSet",
            "metadata": _metadata(training),
            "spec": {**_jobset_spec(training, labels={}), **kept},
        }
    ]


def train_job(training: Training) -> list[Manifest]:
    """A TrainJob (trainer.kubeflow.org/v1alpha1), and its TrainingRuntime, which goes first.

    The runtime has no plugin, as there is none for TensorFlow.
    """
    api = f"{_TRAINER_API}/v1alpha1"
    runtime = {
        "mlPolicy": {"numNodes": training.workers},
        "template": {"spec": _jobset_spec(training, labels=_TRAINER_STEP)},
    }
    reference = {"apiGroup": _TRAINER_API, "kind": "TrainingRuntime", "name": training.name}
    job = {"runtimeRef": reference, "trainer": {"numNodes": training.workers}}
    return [
        {
            "apiVersion": api,
            "kind": "TrainingRuntime",
            "metadata": _metadata(training),
            "spec": runtime,
        },
        {"apiVersion": api, "kind": "TrainJob", "metadata": _metadata(training), "spec": job},
    ]


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of job.

    Attributes:
      make: the objects to apply, in this order; the last is the job.
      done: type of the condition of a job that has succeeded; of one that has not: FAILED.
    """

    make: Callable[[Training], list[Manifest]]
    done: str


FAILED = "Failed"
KINDS: Mapping[str, Kind] = {
    "jobset": Kind(jobset, done="Completed"),
    "trainjob": Kind(train_job, done="Complete"),
}


def pods_of(name: str) -> str:
    """The label selector of a job's pods, whatever its kind."""
    return f"{_JOBSET}={name}"


def manifests(
    name: str,
    image: str,
    command: Sequence[str],
    workers: int,
    *,
    kind: str = "jobset",
    **options: Any,  # noqa: ANN401
) -> list[Manifest]:
    """The objects to apply, in this order.

    Args:
      name, image, command, workers: see `Training`.
      kind: a name in `KINDS`.
      options: further fields of `Training`.

    Raises:
      ValueError: for an unknown kind, and as `Training`.
    """
    if kind not in KINDS:
        raise ValueError(f"kind: {kind!r}, expected one of {', '.join(KINDS)}")
    return KINDS[kind].make(Training(name, image, command, workers, **options))


def _metadata(training: Training) -> Manifest:
    return {
        "name": training.name,
        **({"namespace": training.namespace} if training.namespace else {}),
        **({"labels": dict(training.labels)} if training.labels else {}),
    }


def _jobset_spec(training: Training, labels: Mapping[str, str]) -> Manifest:
    pods = {"metadata": {"labels": {**training.labels, **_NO_PROXY}}, "spec": _pod_spec(training)}
    job: Manifest = {
        "completionMode": "Indexed",
        "completions": training.workers,
        "parallelism": training.workers,
        # A pod alone cannot come back into a training that has lost it: its job fails at once, and
        # the JobSet starts all again. Without maxRestarts it would not.
        "backoffLimit": 0,
        "podFailurePolicy": {"rules": [{"action": "FailJob", "onExitCodes": _HOPELESS}]},
        "template": pods,
    }
    template = {**({"metadata": {"labels": dict(labels)}} if labels else {}), "spec": job}
    return {
        "network": {"enableDNSHostnames": True, "publishNotReadyAddresses": True},
        "failurePolicy": {
            "maxRestarts": training.restarts,
            "rules": [_NO_RESTART],
            # No new pod may meet an old one.
            "restartStrategy": "BlockingRecreate",
        },
        "replicatedJobs": [{"name": _NODE, "replicas": 1, "template": template}],
    }


def _pod_spec(training: Training) -> Manifest:
    mounts = sorted(training.volume_claims.items())
    claims = [(f"claim-{number}", *each) for number, each in enumerate(mounts)]
    volumes: list[Manifest] = [
        {"name": volume, "persistentVolumeClaim": {"claimName": claim}}
        for volume, _, claim in claims
    ]
    mounted = [{"name": volume, "mountPath": path} for volume, path, _ in claims]
    if training.shared_memory:
        memory = {"medium": "Memory", "sizeLimit": training.shared_memory}
        volumes.append({"name": _SHARED_MEMORY, "emptyDir": memory})
        mounted.append({"name": _SHARED_MEMORY, "mountPath": "/dev/shm"})
    container: Manifest = {
        "name": _NODE,
        "image": training.image,
        "command": ["python", "-m", "pipeline.kubeflow.workers", "--", *training.command],
        "env": _environment(training),
        "volumeMounts": mounted,
    }
    if training.resources:
        container["resources"] = {key: dict(value) for key, value in training.resources.items()}
    optional = {
        "nodeSelector": dict(training.node_selector),
        "tolerations": [dict(each) for each in training.tolerations],
        "imagePullSecrets": [{"name": name} for name in training.pull_secrets],
    }
    return {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": _GRACE_SECONDS,
        "containers": [container],
        "volumes": volumes,
        **{key: value for key, value in optional.items() if value},
    }


def _environment(training: Training) -> list[Manifest]:
    name = {"fieldRef": {"fieldPath": f"metadata.annotations['{_JOBSET}']"}}
    secrets = [
        {"name": variable, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}
        for variable, (secret, key) in sorted(training.secret_env.items())
    ]
    return [
        {"name": workers.JOBSET_NAME, "valueFrom": name},
        {"name": workers.WORKERS, "value": str(training.workers)},
        *({"name": key, "value": value} for key, value in sorted(training.env.items())),
        *secrets,
    ]
