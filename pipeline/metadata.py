"""What ML Metadata knows of a run."""

import contextlib
import dataclasses
import sqlite3

import ml_metadata as mlmd
from ml_metadata.proto import metadata_store_pb2 as pb

_OUTPUT_EVENTS = (pb.Event.OUTPUT, pb.Event.DECLARED_OUTPUT)


@dataclasses.dataclass(frozen=True)
class Artifact:
    """One output of a stage: where it is, and the properties its stage gave it."""

    uri: str
    properties: dict[str, str | int | float]


@dataclasses.dataclass(frozen=True)
class Execution:
    """One execution of a stage.

    Attributes:
      cached: whether its outputs are those of an earlier execution.
      outputs: by output key; a stage of this project has one artifact a key.
    """

    cached: bool
    outputs: dict[str, Artifact]


def connection_config(path: str) -> pb.ConnectionConfig:
    """An SQLite database, made on first use; raises ValueError for a file that is none."""
    try:
        with contextlib.closing(sqlite3.connect(path)) as database:
            database.execute("PRAGMA schema_version")
    except sqlite3.DatabaseError as error:
        raise ValueError(
            f"{path}: {error}; move it away to start with empty metadata, or restore it"
        ) from error
    config = pb.ConnectionConfig()
    config.sqlite.filename_uri = path
    config.sqlite.connection_mode = pb.SqliteMetadataSourceConfig.READWRITE_OPENCREATE
    return config


def last_execution(config: pb.ConnectionConfig, pipeline: str, stage: str) -> Execution:
    """The newest execution of a stage; raises LookupError where it has none."""
    store = mlmd.MetadataStore(config)
    node = store.get_context_by_type_and_name("node", f"{pipeline}.{stage}")
    executions = store.get_executions_by_context(node.id) if node else []
    if not executions:
        raise LookupError(f"{stage} of {pipeline} has not run yet")
    execution = max(executions, key=lambda execution: execution.id)
    events = [
        event
        for event in store.get_events_by_execution_ids([execution.id])
        if event.type in _OUTPUT_EVENTS
    ]
    artifacts = {
        artifact.id: artifact
        for artifact in store.get_artifacts_by_id([event.artifact_id for event in events])
    }
    return Execution(
        cached=execution.last_known_state == pb.Execution.CACHED,
        outputs={
            event.path.steps[0].key: _artifact(artifacts[event.artifact_id]) for event in events
        },
    )


def _artifact(artifact: pb.Artifact) -> Artifact:
    return Artifact(
        uri=artifact.uri,
        properties={
            name: getattr(value, value.WhichOneof("value"))
            for name, value in artifact.custom_properties.items()
        },
    )
