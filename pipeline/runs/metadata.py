"""Reads runs from ML Metadata."""

import contextlib
import dataclasses
import datetime
import json
import os
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import ml_metadata as mlmd
from ml_metadata.proto import metadata_store_pb2 as pb

from components.common import costs
from components.common.costs import Cost

DATABASE = "metadata.sqlite"

_OUTPUT_EVENTS = (pb.Event.OUTPUT, pb.Event.DECLARED_OUTPUT)
_INPUT_EVENTS = (pb.Event.INPUT, pb.Event.DECLARED_INPUT)

Properties = dict[str, str | int | float]


@dataclasses.dataclass(frozen=True)
class Artifact:
    """One output of a stage."""

    id: int
    uri: str
    properties: Properties


@dataclasses.dataclass(frozen=True)
class Execution:
    """One execution of a stage.

    Attributes:
      state: `complete`, `cached` (its outputs are those of an earlier execution), `failed`,
        `running` (also if it was killed), or another of ML Metadata's states.
      properties: the parameters of the stage.
      outputs: by output key; stages of this project have one artifact per key.
      cost: None of a stage that was cached, has not ended, or ended before costs were noted.
    """

    state: str
    properties: Properties
    outputs: dict[str, Artifact]
    cost: Cost | None = None

    @property
    def cached(self) -> bool:
        """Whether the outputs came from the cache."""
        return self.state == "cached"

    @property
    def parameters(self) -> dict[str, Any]:
        """The decoded properties; those in the JSON object `config` are merged with the others."""
        parameters = {name: _decoded(value) for name, value in self.properties.items()}
        config = parameters.pop("config", {})
        return {**(config if isinstance(config, dict) else {"config": config}), **parameters}


@dataclasses.dataclass(frozen=True)
class Run:
    """One run of a pipeline.

    Attributes:
      id: with LocalDagRunner, the local time at which it started.
      pipeline: name of the recipe; empty before the first stage has started.
      started: in UTC.
      executions: by stage, in order of their start.
    """

    id: str
    pipeline: str
    started: datetime.datetime
    executions: dict[str, Execution]

    def output(self, stage: str, key: str) -> Artifact | None:
        """The artifact of a stage's output; None if the stage has not written it."""
        execution = self.executions.get(stage)
        return execution.outputs.get(key) if execution else None


def connection_config(path: str) -> pb.ConnectionConfig:
    """An SQLite database, created on first use; raises ValueError for another kind of file."""
    try:
        with contextlib.closing(sqlite3.connect(path)) as database:
            database.execute("PRAGMA schema_version")
    except sqlite3.DatabaseError as error:
        raise _unreadable(path, error) from error
    config = pb.ConnectionConfig()
    config.sqlite.filename_uri = path
    config.sqlite.connection_mode = pb.SqliteMetadataSourceConfig.READWRITE_OPENCREATE
    return config


@contextlib.contextmanager
def snapshot(path: str) -> Iterator[pb.ConnectionConfig]:
    """A temporary copy of an SQLite database.

    ML Metadata writes to a database as it opens it: missing tables, types, a newer schema. A copy
    protects the original, and a run that is writing to it.

    Raises:
      FileNotFoundError: if there is no such file.
      ValueError: if the file is not a database.
    """
    if not os.path.isfile(path):
        raise FileNotFoundError(f"{path}: no such file")
    with tempfile.TemporaryDirectory() as folder:
        copy = os.path.join(folder, DATABASE)
        # Not "ro", which cannot roll back the transaction of a killed writer.
        uri = f"{Path(path).absolute().as_uri()}?mode=rw"
        try:
            with (
                contextlib.closing(sqlite3.connect(uri, uri=True)) as original,
                contextlib.closing(sqlite3.connect(copy)) as target,
            ):
                original.backup(target)
        except sqlite3.DatabaseError as error:
            raise _unreadable(path, error) from error
        yield connection_config(copy)


def runs(path: str) -> list[Run]:
    """All runs in an SQLite database, oldest first; the file is only read.

    Raises:
      FileNotFoundError: if there is no such file.
      ValueError: if this version of ML Metadata cannot read it.
    """
    with snapshot(path) as config:
        try:
            store = mlmd.MetadataStore(config, enable_upgrade_migration=True)
        except (mlmd.errors.StatusError, RuntimeError) as error:
            raise ValueError(
                f"{path}: cannot be read by this version of ML Metadata: {error}"
            ) from error
        nodes = {
            execution.id: context.name
            for context in store.get_contexts_by_type("node")
            for execution in store.get_executions_by_context(context.id)
        }
        contexts = sorted(
            store.get_contexts_by_type("pipeline_run"), key=lambda context: context.id
        )
        return [_run(store, context, nodes) for context in contexts]


def last_execution(config: pb.ConnectionConfig, pipeline: str, stage: str) -> Execution:
    """The newest execution of a stage; raises LookupError if there is none."""
    store = mlmd.MetadataStore(config)
    (execution,) = _executions(store, [_last(store, pipeline, stage)])
    return execution


def note_cost(config: pb.ConnectionConfig, pipeline: str, stage: str, cost: Cost) -> bool:
    """Enters what the newest execution of a stage took, unless its outputs came from the cache.

    Its outputs get it too, with the costs of all stages before them: of its inputs. It must be
    called before another stage reads the outputs, whose properties are part of TFX's cache keys.

    Returns:
      Whether it was entered.

    Raises:
      LookupError: for a stage that has not run.
    """
    store = mlmd.MetadataStore(config)
    execution = _last(store, pipeline, stage)
    if execution.last_known_state == pb.Execution.CACHED:
        return False
    events = store.get_events_by_execution_ids([execution.id])
    given, made = (
        store.get_artifacts_by_id([event.artifact_id for event in events if event.type in kinds])
        for kinds in (_INPUT_EVENTS, _OUTPUT_EVENTS)
    )
    before = costs.read(each.custom_properties[costs.PROPERTY].string_value for each in given)
    text = costs.write({**before, stage: cost})
    for artifact in made:
        artifact.custom_properties[costs.PROPERTY].string_value = text
    execution.custom_properties[costs.PROPERTY].string_value = costs.write({stage: cost})
    store.put_artifacts(made)
    store.put_executions([execution])
    return True


def _last(store: mlmd.MetadataStore, pipeline: str, stage: str) -> pb.Execution:
    node = store.get_context_by_type_and_name("node", f"{pipeline}.{stage}")
    executions = store.get_executions_by_context(node.id) if node else []
    if not executions:
        raise LookupError(f"{stage} of {pipeline} has not run yet")
    return max(executions, key=lambda found: found.id)


def _unreadable(path: str, error: sqlite3.DatabaseError) -> ValueError:
    return ValueError(f"{path}: {error}; move it away to start with empty metadata, or restore it")


def _run(store: mlmd.MetadataStore, context: pb.Context, nodes: dict[int, str]) -> Run:
    found = [
        execution
        for execution in store.get_executions_by_context(context.id)
        if execution.id in nodes
    ]
    found.sort(key=lambda execution: execution.id)
    names = [nodes[execution.id].rpartition(".") for execution in found]
    stages = [stage for _, _, stage in names]
    return Run(
        id=context.name,
        pipeline=names[0][0] if names else "",
        started=datetime.datetime.fromtimestamp(
            context.create_time_since_epoch / 1000, datetime.timezone.utc
        ),
        executions=dict(zip(stages, _executions(store, found), strict=True)),
    )


def _executions(store: mlmd.MetadataStore, found: Sequence[pb.Execution]) -> list[Execution]:
    ids = [execution.id for execution in found]
    events = store.get_events_by_execution_ids(ids) if ids else []
    events = [event for event in events if event.type in _OUTPUT_EVENTS]
    artifacts = {
        artifact.id: Artifact(artifact.id, artifact.uri, _properties(artifact))
        for artifact in store.get_artifacts_by_id([event.artifact_id for event in events])
    }
    return [
        Execution(
            cost=_cost(execution),
            state=pb.Execution.State.Name(execution.last_known_state).lower(),
            properties=_properties(execution),
            outputs={
                event.path.steps[0].key: artifacts[event.artifact_id]
                for event in events
                if event.execution_id == execution.id
            },
        )
        for execution in found
    ]


def _cost(execution: pb.Execution) -> Cost | None:
    found = costs.read([execution.custom_properties[costs.PROPERTY].string_value])
    return next(iter(found.values()), None)


def _properties(described: pb.Artifact | pb.Execution) -> Properties:
    return {
        name: getattr(value, value.WhichOneof("value"))
        for values in (described.properties, described.custom_properties)
        for name, value in values.items()
        if name != costs.PROPERTY
    }


def _decoded(value: str | int | float) -> Any:  # noqa: ANN401
    if not isinstance(value, str) or not value.startswith(("{", "[")):
        return value
    try:
        return json.loads(value)
    except ValueError:
        # A string that merely looks like JSON.
        return value
