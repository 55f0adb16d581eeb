"""The sections of a recipe that only a cluster reads: `resources` and `kubeflow`."""

import dataclasses
import re
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from components.common.config import Config

# RFC 1123, as Kubernetes has it for most names.
_Name = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", max_length=253)]
_Variable = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
_Label = Annotated[
    str, Field(pattern=r"^([a-z0-9.-]+/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$", max_length=317)
]
_LabelValue = Annotated[
    str, Field(pattern=r"^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$", max_length=63)
]

Stage = Literal[
    "FindData",
    "ImageExampleGen",
    "StatisticsGen",
    "ImportSchemaGen",
    "SchemaGen",
    "LatestGoodSpan",
    "DataValidator",
    "FeatureExtractor",
    "GANTuner",
    "GANTrainer",
    "Converter",
    "LatestBlessed",
    "GANEvaluator",
    "InfraValidator",
    "Pusher",
    "Verdict",
    "ExitHandler",
]

# The stages that compute on a GPU where there is one.
GPU_STAGES = ("FeatureExtractor", "GANTuner", "GANTrainer", "GANEvaluator")
# They look at what is there now, or speak of this very run.
UNCACHED = ("FindData", "LatestGoodSpan", "LatestBlessed", "Verdict", "ExitHandler")


class Toleration(Config):
    """What lets a pod run on a tainted node."""

    key: str = Field(min_length=1, description="of the taint")
    operator: Literal["Exists", "Equal"] = Field("Exists", description="how it is compared")
    value: str | None = Field(None, description="of the taint, if it is compared")
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = Field(
        None, description="of the taint; default: all"
    )

    @model_validator(mode="after")
    def _a_value_is_compared(self) -> "Toleration":
        if (self.operator == "Equal") == (self.value is None):
            raise ValueError("operator: Equal needs a value, and Exists takes none")
        return self


class Resources(Config):
    """What one stage gets on a cluster."""

    cpu: float | None = Field(None, gt=0, description="cores; default: by stage")
    memory_gb: float | None = Field(None, gt=0, description="memory in GB; default: by stage")
    gpu: int = Field(0, ge=0, description="number of GPUs")
    gpu_type: str | None = Field(
        None, description="the cluster's name for its GPUs; default: nvidia.com/gpu on Kubeflow"
    )
    shared_memory_gb: float | None = Field(None, gt=0, description="size of /dev/shm in GB")
    node_selector: dict[_Label, _LabelValue] = Field({}, description="labels of suitable nodes")
    tolerations: tuple[Toleration, ...] = Field((), description="taints of nodes that will do")
    retries: int | None = Field(
        None,
        ge=0,
        le=100,
        description="of a failed pod; default: 10 for GANTrainer, else 2",
    )

    def with_defaults(self, stage: str) -> "Resources":
        """These, with the stage's own values for what is not given."""
        cpu, memory_gb, retries = _DEFAULTS.get(stage, _MODEST)
        own = {"cpu": cpu, "memory_gb": memory_gb, "retries": retries}
        given = self.model_dump(exclude_none=True, include=set(own))
        return self.model_copy(update={**own, **given})


# Cores, memory in GB, retries. A pod without any is the first to be evicted.
_MODEST = (2.0, 8.0, 2)
_DEFAULTS = {
    **dict.fromkeys(UNCACHED, (1.0, 4.0, 2)),
    "GANTrainer": (4.0, 16.0, 10),
}


class Volume(Config):
    """A PersistentVolumeClaim, mounted in every stage."""

    claim: _Name = Field(description="name of the claim")
    mount: str = Field(pattern=r"^/[^\s]*[^\s/]$", description="absolute path in the pods")


class Secret(Config):
    """Keys of a Secret, as environment variables of every stage."""

    name: _Name = Field(description="name of the Secret")
    env: dict[_Variable, str] = Field(min_length=1, description="variable to key")


class KubeflowConfig(Config):
    """What all stages share on a cluster."""

    volumes: tuple[Volume, ...] = Field((), description="claims that are mounted")
    secrets: tuple[Secret, ...] = Field((), description="Secrets in the environment")
    pull_secrets: tuple[_Name, ...] = Field((), description="for the registry of the image")
    labels: dict[_Label, _LabelValue] = Field({}, description="of the pods")

    @field_validator("volumes")
    @classmethod
    def _mounts_differ(cls, volumes: tuple[Volume, ...]) -> tuple[Volume, ...]:
        mounts = [volume.mount for volume in volumes]
        for mount in mounts:
            if mounts.count(mount) > 1:
                raise ValueError(f"mount: {mount} is named {mounts.count(mount)} times")
        return volumes

    def volume_of(self, path: str) -> Volume | None:
        """The volume that a path lies on."""
        return next(
            (v for v in self.volumes if path == v.mount or path.startswith(f"{v.mount}/")), None
        )


@dataclasses.dataclass(frozen=True)
class Backend:
    """What one kind of cluster accepts.

    Attributes:
      schemes: of the URI of the pipeline's root.
      gpu_type: its usual name of a GPU; None if it has to be given.
      gpu_types: of names of GPUs.
      example: of such a name.
      pods: whether pods can be described: volumes, Secrets, selectors.
      errors: whether an exit handler is told what went wrong.
    """

    schemes: tuple[str, ...]
    gpu_type: str | None
    gpu_types: re.Pattern
    example: str
    pods: bool
    errors: bool


BACKENDS = {
    "kubeflow": Backend(
        schemes=("gs://", "s3://", "minio://"),
        gpu_type="nvidia.com/gpu",
        gpu_types=re.compile(r"[a-z0-9.-]+/[A-Za-z0-9._-]+"),
        example="nvidia.com/gpu",
        pods=True,
        errors=False,
    ),
    "vertex": Backend(
        schemes=("gs://",),
        gpu_type=None,
        gpu_types=re.compile(r"(NVIDIA|TPU)_[A-Z0-9_]+"),
        example="NVIDIA_L4",
        pods=False,
        errors=True,
    ),
}
