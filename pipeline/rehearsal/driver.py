"""What the driver does before a task's pod: inputs, outputs, the cache's key."""

import dataclasses
import hashlib
import json
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from pipeline.rehearsal.dialects import Artifact, Dialect
from pipeline.rehearsal.spec import Component, Pipeline, Task
from pipeline.rehearsal.values import TaskError, compact, plain, text

LOGS = "executor-logs"
_LOGS_TYPE = {"schemaTitle": "system.Artifact"}
_PARAMETER_FILES = "/tmp/kfp/outputs"

_TYPES: Mapping[str, tuple[type, ...]] = {
    "NUMBER_INTEGER": (int, float),
    "NUMBER_DOUBLE": (int, float),
    "BOOLEAN": (bool,),
    "LIST": (list,),
    "STRUCT": (dict,),
    "TASK_FINAL_STATUS": (dict,),
}


@dataclasses.dataclass
class Results:
    """What one task handed out."""

    parameters: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    artifacts: Mapping[str, Artifact] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class Scope:
    """What a task of a DAG can take its inputs from.

    Attributes:
      run: id of the run.
      name: name of the run.
      parameters: inputs of the DAG; None is null.
      artifacts: inputs of the DAG.
      results: of the DAG's tasks that succeeded.
      states: of the DAG's tasks that ended, as the backend names them.
    """

    run: str
    name: str
    parameters: Mapping[str, Any]
    artifacts: Mapping[str, Artifact]
    results: dict[str, Results] = dataclasses.field(default_factory=dict)
    states: dict[str, str] = dataclasses.field(default_factory=dict)

    def parameter(self, source: Mapping[str, Any], task: str) -> Any:  # noqa: ANN401
        """The value that a task's input names; None for null.

        Raises:
          TaskError: if there is no such value.
        """
        kind = next((key for key in _SOURCES if key in source), None)
        if kind is None:
            raise TaskError(f"parameter spec of type {sorted(source)} not implemented yet")
        return _SOURCES[kind](self, source[kind], task)

    def artifact(self, source: Mapping[str, Any]) -> Artifact:
        """The artifact that a task's input names.

        Raises:
          TaskError: if there is no such artifact.
        """
        if "componentInputArtifact" in source:
            name = source["componentInputArtifact"]
            if name not in self.artifacts:
                raise TaskError(f"parent DAG does not have input artifact {name}")
            return self.artifacts[name]
        output = source["taskOutputArtifact"]
        producer, key = output["producerTask"], output["outputArtifactKey"]
        found = self.results.get(producer, Results()).artifacts.get(key)
        if found is None:
            raise TaskError(
                f"cannot find output artifact key {key!r} in producer task {producer!r}"
            )
        return found


def run_parameters(pipeline: Pipeline, given: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a run: those given, else their defaults, else None.

    Raises:
      ValueError: for one that is unknown, missing or not of its type.
    """
    declared = pipeline.root.inputs.get("parameters", {})
    for key in given:
        if key not in declared:
            known = ", ".join(sorted(declared)) or "none"
            raise ValueError(f"parameter {key}: the pipeline has no such parameter; known: {known}")
    values = {}
    for key, definition in declared.items():
        if (
            key not in given
            and "defaultValue" not in definition
            and not definition.get("isOptional")
        ):
            raise ValueError(
                f"invalid pipeline job inputs: parameter {key} is not optional, yet has neither "
                "default value nor user provided value"
            )
        values[key] = plain(definition.get("defaultValue"))
        if key in given:
            values[key] = _given(key, given[key], definition["parameterType"])
    return values


def inputs(
    task: Task, component: Component, scope: Scope
) -> tuple[dict[str, Any], dict[str, Artifact]]:
    """The parameters and artifacts that a task is given, by key.

    Raises:
      TaskError: for a value that is missing or not of the declared type.
    """
    declared = component.inputs.get("parameters", {})
    parameters = {}
    for key, source in task.inputs.get("parameters", {}).items():
        value = scope.parameter(source, task.name)
        if value is None:
            if not declared.get(key, {}).get("isOptional"):
                raise TaskError(f"the resolved input parameter is null: {key}")
        else:
            parameters[key] = plain(value)
    if component.dag is not None:
        for key, spec in declared.items():
            if key not in task.inputs.get("parameters", {}) and spec.get("isOptional"):
                parameters[key] = plain(spec.get("defaultValue"))
    for key, spec in declared.items():
        if key not in parameters and spec.get("isOptional"):
            continue
        parameters[key] = _typed(key, spec, parameters)
    artifacts = {
        key: scope.artifact(source) for key, source in task.inputs.get("artifacts", {}).items()
    }
    return parameters, artifacts


def executor_input(
    component: Component,
    parameters: Mapping[str, Any],
    artifacts: Mapping[str, Artifact],
    *,
    task_root: str,
    dialect: Dialect,
) -> dict[str, Any]:
    """The message that the launcher is given.

    Args:
      component: what the task runs.
      parameters: see `inputs`.
      artifacts: see `inputs`.
      task_root: URI of the task's own folder, see `task_folder`.
      dialect: of the backend.
    """
    given: dict[str, Any] = {}
    if artifacts:
        given["artifacts"] = {
            key: {"artifacts": [dialect.artifact(artifact)]} for key, artifact in artifacts.items()
        }
    if parameters:
        given["parameterValues"] = dict(parameters)
    wanted: dict[str, Any] = {
        key: {
            "name": key,
            "uri": f"{task_root}/{key}",
            "type": dict(spec["artifactType"]),
            **({"metadata": plain(spec["metadata"])} if spec.get("metadata") else {}),
        }
        for key, spec in component.outputs.get("artifacts", {}).items()
    }
    if dialect.publishes_logs:
        wanted[LOGS] = {"name": LOGS, "uri": f"{task_root}/{LOGS}", "type": dict(_LOGS_TYPE)}
    outputs: dict[str, Any] = {}
    if wanted:
        outputs["artifacts"] = {key: {"artifacts": [value]} for key, value in wanted.items()}
    keys = component.outputs.get("parameters", {})
    if keys:
        outputs["parameters"] = {key: {"outputFile": f"{_PARAMETER_FILES}/{key}"} for key in keys}
    outputs["outputFile"] = dialect.output_file(task_root)
    return {"inputs": given, "outputs": outputs} if given else {"outputs": outputs}


def task_folder(root: str, pipeline: str, run: str, task: str) -> str:
    """A new URI for the outputs of a task."""
    return f"{root.rstrip('/')}/{pipeline}/{run}/{task}/{uuid.uuid4()}"


def cache_key(
    pipeline: str, component: Component, given: Mapping[str, Any], claims: list[str]
) -> str:
    """The fingerprint under which the backend looks for an earlier result.

    In it: the parameters, the artifacts' ids, what is declared of the outputs, image, command and
    arguments, names of claims. Not in it: the container's environment and resources.

    Args:
      pipeline: its name.
      component: what the task runs; not a DAG.
      given: the executor input.
      claims: names of the claims that the pod mounts.
    """
    assert component.executor is not None
    ids = {
        key: [found.get("artifactId") or found["name"] for found in value["artifacts"]]
        for key, value in given.get("inputs", {}).get("artifacts", {}).items()
    }
    made = {
        key: [{**found, "uri": ""} for found in value["artifacts"]]
        for key, value in given["outputs"].get("artifacts", {}).items()
    }
    key = {
        "pipeline": pipeline,
        "parameters": given.get("inputs", {}).get("parameterValues", {}),
        "artifacts": ids,
        "made": made,
        "handed out": component.outputs.get("parameters", {}),
        "image": component.executor.image,
        "command": component.executor.command,
        "claims": sorted(claims),
    }
    return hashlib.sha256(compact(key).encode()).hexdigest()


def _given(key: str, value: Any, kind: str) -> Any:  # noqa: ANN401
    """A parameter of the run request; text stands for JSON, unless the pipeline expects text."""
    if kind == "STRING" or not isinstance(value, str):
        return plain(value)
    try:
        return plain(json.loads(value))
    except ValueError:
        raise ValueError(f"parameter {key}: expected JSON of type {kind}, got {value!r}") from None


def _typed(key: str, spec: Mapping[str, Any], parameters: Mapping[str, Any]) -> Any:  # noqa: ANN401
    """A value that fits the declared type, as the driver checks and converts it."""
    given, kind = key in parameters, spec["parameterType"]
    if not given and "defaultValue" not in spec:
        raise TaskError(
            f"neither value nor default value provided for non-optional parameter {key!r}"
        )
    value = parameters.get(key)
    if kind == "STRING":
        # Not its default, unless the parameter is optional: the stage gets "".
        return text(value)
    if not given:
        raise TaskError(f"parameter {key} has unknown protobuf.Value type: <nil>")
    if value is None:
        return None
    if not isinstance(value, _TYPES[kind]) or (isinstance(value, bool) and kind != "BOOLEAN"):
        raise TaskError(
            f"input parameter {key!r} type mismatch: expect {kind}, got {type(value).__name__}"
        )
    return value


def _constant(scope: Scope, source: Mapping[str, Any], task: str) -> Any:  # noqa: ANN401
    value = source["constant"]
    # Only where it is the whole constant; anywhere else it reaches the stage as it is.
    known = {
        "{{$.pipeline_job_name}}": scope.name,
        "{{$.pipeline_job_resource_name}}": scope.name,
        "{{$.pipeline_job_uuid}}": scope.run,
        "{{$.pipeline_task_name}}": task,
    }
    return known.get(value, value) if isinstance(value, str) else value


def _component_input(scope: Scope, name: str, _: str) -> Any:  # noqa: ANN401
    if name not in scope.parameters:
        raise TaskError(f"parent DAG does not have input parameter {name}")
    return scope.parameters[name]


def _task_output(scope: Scope, source: Mapping[str, str], _: str) -> Any:  # noqa: ANN401
    producer, key = source["producerTask"], source["outputParameterKey"]
    if producer not in scope.results or key not in scope.results[producer].parameters:
        raise TaskError(f"cannot find output parameter {key!r} of producer task {producer!r}")
    return scope.results[producer].parameters[key]


def _final_status(scope: Scope, source: Mapping[str, str], _: str) -> dict[str, Any]:
    producer = source["producerTask"]
    return {
        "state": scope.states[producer],
        "pipelineTaskName": producer,
        "pipelineJobResourceName": scope.name,
        # The backend leaves it empty, whatever went wrong.
        "error": {},
    }


_SOURCES: Mapping[str, Callable[[Scope, Any, str], Any]] = {
    "runtimeValue": _constant,
    "componentInputParameter": _component_input,
    "taskOutputParameter": _task_output,
    "taskFinalStatus": _final_status,
}
