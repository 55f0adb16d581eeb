"""What differs between the backends that a compiled pipeline can meet.

Sources: the driver and launcher of Kubeflow Pipelines 2.17.0 and of its branch mlmd-removal, run on
this pipeline; the tags before them, read; Vertex AI's documentation, read.
"""

import dataclasses
import json
from collections.abc import Callable, Mapping
from typing import Any

from components.common.registry import Registry
from pipeline.rehearsal.values import local_path, plain, stored

_OUTPUT_FILE = "output_metadata.json"


@dataclasses.dataclass(frozen=True)
class Artifact:
    """An artifact as the backend records it.

    Attributes:
      number: its id in ML Metadata.
      uuid: its id in backends without ML Metadata.
      key: the producer's name for it.
      type: the type that the specification declares, `instanceSchema` or `schemaTitle`.
      metadata: as `Dialect.record` returned it.
    """

    number: int
    uuid: str
    key: str
    uri: str
    type: Mapping[str, str]
    metadata: Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Dialect:
    """How one kind of backend writes an executor input and takes an output.

    Attributes:
      publishes_logs: whether every task gets an output `executor-logs`.
      output_file: path of the file of output metadata, given the URI of a task's folder.
      record: metadata as the store keeps them, given an artifact's key and what the stage wrote;
        raises TaskError for what it cannot keep.
      artifact: a recorded artifact as the input of a later task.
      missing_output_fails: whether a task fails that does not make a declared artifact.
      succeeded: the state of a task that succeeded, for an exit handler.
    """

    publishes_logs: bool
    output_file: Callable[[str], str]
    record: Callable[[str, Mapping[str, Any]], dict[str, Any]]
    artifact: Callable[[Artifact], dict[str, Any]]
    missing_output_fails: bool
    succeeded: str


DIALECTS: Registry[Dialect] = Registry("dialect")

# ML Metadata keeps beside each artifact how to reach its store; a cluster's has other values.
_SESSION = json.dumps(
    {
        "Provider": "minio",
        "Params": {
            "accessKeyKey": "accesskey",
            "disableSSL": "true",
            "endpoint": "http://object-store",
            "forcePathStyle": "true",
            "fromEnv": "false",
            "maxRetries": "5",
            "region": "minio",
            "secretKeyKey": "secretkey",
            "secretName": "mlpipeline-minio-artifact",
        },
    },
    separators=(",", ":"),
)


def _fixed_output_file(_: str) -> str:
    return f"/tmp/kfp_outputs/{_OUTPUT_FILE}"


def _staged_output_file(task_root: str) -> str:
    return f"{local_path(task_root)}/{_OUTPUT_FILE}"


def _into_mlmd(key: str, metadata: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: stored(value) for name, value in metadata.items()}
    return {"display_name": key, "store_session_info": _SESSION} | kept


def _as_written(_: str, metadata: Mapping[str, Any]) -> dict[str, Any]:
    return {name: plain(value) for name, value in metadata.items()}


def _of_mlmd(artifact: Artifact) -> dict[str, Any]:
    return {
        "name": str(artifact.number),
        "uri": artifact.uri,
        # The producer's type is not handed on (tensorflow/tfx#7768).
        "type": {"instanceSchema": ""},
        "metadata": dict(artifact.metadata),
    }


def _without_mlmd(artifact: Artifact) -> dict[str, Any]:
    schema = artifact.type.get("instanceSchema") or artifact.type.get("schemaTitle", "")
    found = {
        "name": artifact.key,
        "artifactId": artifact.uuid,
        "uri": artifact.uri,
        # The whole text of an instance schema stands where a title belongs.
        "type": {"schemaTitle": schema},
    }
    return found | ({"metadata": dict(artifact.metadata)} if artifact.metadata else {})


def _of_vertex(artifact: Artifact) -> dict[str, Any]:
    return {
        "name": f"projects/1/locations/here/metadataStores/default/artifacts/{artifact.number}",
        "uri": artifact.uri,
        "type": dict(artifact.type),
        "metadata": dict(artifact.metadata),
    }


_BEFORE_LOGS = Dialect(
    publishes_logs=False,
    output_file=_fixed_output_file,
    record=_into_mlmd,
    artifact=_of_mlmd,
    missing_output_fails=False,
    succeeded="COMPLETE",
)
_WITH_LOGS = dataclasses.replace(_BEFORE_LOGS, publishes_logs=True)
_WITHOUT_MLMD = Dialect(
    publishes_logs=True,
    output_file=_staged_output_file,
    record=_as_written,
    artifact=_without_mlmd,
    missing_output_fails=True,
    succeeded="SUCCEEDED",
)

# Each stands for the releases from it to the next one.
DIALECTS.register("2.4")(_BEFORE_LOGS)
DIALECTS.register("2.14")(_WITH_LOGS)
DIALECTS.register("2.17")(dataclasses.replace(_WITH_LOGS, output_file=_staged_output_file))
DIALECTS.register("mlmd-free")(_WITHOUT_MLMD)
DIALECTS.register("vertex")(
    dataclasses.replace(
        _WITHOUT_MLMD, publishes_logs=False, artifact=_of_vertex, missing_output_fails=False
    )
)
