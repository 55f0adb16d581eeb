"""Reads a compiled pipeline, and refuses what the API server would refuse or silently ignore."""

import dataclasses
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from pipeline.rehearsal import platforms

_ALWAYS = "ALL_UPSTREAM_TASKS_COMPLETED"
_DURATION = re.compile(r"(\d+(?:\.\d+)?)s")


@dataclasses.dataclass(frozen=True)
class Retries:
    """A task's `retryPolicy`.

    Attributes:
      count: attempts after the first.
      window: seconds since the start of the first attempt in which Argo starts another; without
        `backoffMaxDuration` it starts none.
    """

    count: int = 0
    window: float = 0.0


@dataclasses.dataclass(frozen=True)
class Task:
    """A task of a DAG.

    Attributes:
      inputs: its `inputs`, as in the specification.
      after: tasks that end before it starts.
      always: whether it also runs after tasks that failed: an exit handler.
      cached: whether an earlier result may stand for it.
    """

    name: str
    component: str
    inputs: Mapping[str, Any]
    after: tuple[str, ...]
    always: bool
    cached: bool
    retries: Retries


@dataclasses.dataclass(frozen=True)
class Dag:
    """Tasks in an order in which they can run, and what the DAG hands out of theirs."""

    tasks: tuple[Task, ...]
    outputs: Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Executor:
    """A container, and the Kubernetes settings of its pod."""

    image: str
    command: tuple[str, ...]
    env: Mapping[str, str]
    platform: Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Component:
    """What a task runs: an executor or a DAG of its own.

    Attributes:
      inputs: `inputDefinitions`: by kind (`parameters`, `artifacts`) and key.
      outputs: `outputDefinitions`, likewise.
    """

    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]
    executor: Executor | None
    dag: Dag | None


@dataclasses.dataclass(frozen=True)
class Pipeline:
    """A compiled pipeline; `root` is its outermost component."""

    name: str
    root: Component
    components: Mapping[str, Component]


def read(path: str) -> Pipeline:
    """Reads a compiled pipeline: the specification and, if there is one, the platform document.

    Raises:
      FileNotFoundError: if there is no such file.
      ValueError: what the API server would refuse, in its words; what it would ignore without a
        word; what is not rehearsed here: loops, conditions, importers.
    """
    documents = [d for d in yaml.safe_load_all(Path(path).read_text(encoding="utf-8")) if d]
    specification = next((d for d in documents if "root" in d), None)
    if specification is None:
        raise ValueError(f"{path}: no pipeline specification: no document has the key root")
    version = specification.get("schemaVersion")
    if version != "2.1.0":
        raise ValueError(
            f"{path}: KFP only supports schema version 2.1.0, but the pipeline spec has version "
            f"{version}"
        )
    platform = platforms.settings(documents)
    executors = specification.get("deploymentSpec", {}).get("executors", {})
    for label in platform:
        if label not in executors:
            raise ValueError(
                f"{path}: the platform document names executor {label!r}, which does not exist: a "
                f"cluster ignores it silently; known: {', '.join(sorted(executors))}"
            )
    made = {
        label: _executor(label, executor, platform.get(label, {}))
        for label, executor in executors.items()
    }
    components = {
        name: _component(name, component, made)
        for name, component in specification.get("components", {}).items()
    }
    root = _component("root", specification["root"], made)
    for dag in (root.dag, *(component.dag for component in components.values())):
        for task in dag.tasks if dag else ():
            if task.component not in components:
                raise ValueError(f"{path}: task {task.name}: no component {task.component!r}")
    return Pipeline(specification["pipelineInfo"]["name"], root, components)


def producers(inputs: Mapping[str, Any]) -> Iterator[str]:
    """The tasks whose outputs or final status a task takes."""
    for kind in ("parameters", "artifacts"):
        for source in inputs.get(kind, {}).values():
            for value in source.values():
                if isinstance(value, dict) and "producerTask" in value:
                    yield value["producerTask"]


def _executor(label: str, executor: Mapping[str, Any], platform: Mapping[str, Any]) -> Executor:
    if "container" not in executor:
        raise ValueError(
            f"executor {label}: non-container and non-importer executor not implemented"
            if "importer" not in executor
            else f"executor {label}: importers are not rehearsed"
        )
    container = executor["container"]
    return Executor(
        container["image"],
        (*container.get("command", []), *container.get("args", [])),
        {entry["name"]: str(entry.get("value", "")) for entry in container.get("env", [])},
        platform,
    )


def _component(
    name: str, component: Mapping[str, Any], executors: Mapping[str, Executor]
) -> Component:
    label = component.get("executorLabel")
    if label is not None and label not in executors:
        raise ValueError(f"component {name}: no executor {label!r} in deploymentSpec")
    if label is None and "dag" not in component:
        raise ValueError(f"component {name}: has neither executorLabel nor dag")
    return Component(
        component.get("inputDefinitions", {}),
        component.get("outputDefinitions", {}),
        executors[label] if label is not None else None,
        _dag(component["dag"]) if "dag" in component else None,
    )


def _dag(dag: Mapping[str, Any]) -> Dag:
    tasks = {name: _task(name, task) for name, task in dag.get("tasks", {}).items()}
    ordered: dict[str, Task] = {}
    earlier: dict[str, set[str]] = {}
    while len(ordered) < len(tasks):
        ready = [
            t for n, t in sorted(tasks.items()) if n not in ordered and {*t.after} <= {*ordered}
        ]
        if not ready:
            waiting = sorted(set(tasks) - set(ordered))
            raise ValueError(f"tasks {', '.join(waiting)} wait for each other or for no task")
        for task in ready:
            earlier[task.name] = {*task.after}.union(*(earlier[name] for name in task.after))
            for producer in producers(task.inputs):
                if producer not in earlier[task.name]:
                    raise ValueError(
                        f"task {task.name} takes an output of {producer}, which is not among its "
                        f"dependentTasks: a cluster may run it first"
                    )
            ordered[task.name] = task
    return Dag(tuple(ordered.values()), dag.get("outputs", {}))


def _task(name: str, task: Mapping[str, Any]) -> Task:
    trigger = task.get("triggerPolicy", {})
    for key, found in (
        ("triggerPolicy.condition", "condition" in trigger),
        ("parameterIterator", "parameterIterator" in task),
        ("artifactIterator", "artifactIterator" in task),
    ):
        if found:
            raise ValueError(f"task {name}: {key} is not rehearsed")
    return Task(
        name,
        task["componentRef"]["name"],
        task.get("inputs", {}),
        tuple(task.get("dependentTasks", [])),
        trigger.get("strategy") == _ALWAYS,
        bool(task.get("cachingOptions", {}).get("enableCache", False)),
        _retries(name, task.get("retryPolicy", {})),
    )


def _retries(name: str, policy: Mapping[str, Any]) -> Retries:
    for key in ("backoffDuration", "backoffMaxDuration"):
        value = policy.get(key, "0s")
        if not isinstance(value, str) or not _DURATION.fullmatch(value):
            raise ValueError(
                f"task {name}: retryPolicy.{key}: {value!r} is not a duration such as '3600s': "
                "unknown template format: pipeline spec is invalid"
            )
    factor = policy.get("backoffFactor", 1)
    if factor != int(factor):
        raise ValueError(
            f"task {name}: retryPolicy.backoffFactor: value {str(factor)!r} cannot be resolved to "
            "an int"
        )
    window = float(policy.get("backoffMaxDuration", "0s").removesuffix("s"))
    return Retries(int(policy.get("maxRetryCount", 0)), window)
