"""Runs a compiled pipeline as Kubeflow Pipelines would, stage by stage, on this machine."""

import dataclasses
import os
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pipeline.rehearsal import driver, launcher, platforms, pod, spec
from pipeline.rehearsal.dialects import DIALECTS, Dialect
from pipeline.rehearsal.driver import Results, Scope
from pipeline.rehearsal.memory import Memory
from pipeline.rehearsal.pod import LOG, Image, Pod
from pipeline.rehearsal.spec import Component, Dag, Pipeline, Task
from pipeline.rehearsal.store import FolderStore, S3Store, Store
from pipeline.rehearsal.values import TaskError, is_storage

OK, CACHED, FAILED = "ok", "cached", "failed"

_LAST_LINES = 5
# The API server puts it on every pod of a run.
_RUN_LABEL = "metadata.labels['pipeline/runid']"


@dataclasses.dataclass(frozen=True)
class TaskResult:
    """How one stage ended.

    Attributes:
      state: `ok`, `cached` or `failed`.
      seconds: of all attempts together.
      attempts: pods that were started.
      error: what the backend would say; "" unless it failed.
      words: the last lines that the stage wrote.
      notes: what was uploaded, and what the launcher would warn of.
      pod: folder of the last pod, with `log` and `executor_input.json`; "" for a cached result.
    """

    name: str
    state: str
    seconds: float
    attempts: int
    error: str
    words: tuple[str, ...]
    notes: tuple[str, ...]
    pod: str


@dataclasses.dataclass(frozen=True)
class Result:
    """How a rehearsal ended.

    Attributes:
      run: id of the run.
      tasks: the stages that ran, in their order.
      skipped: the stages that did not, because an earlier one failed.
      parameters: what each stage that succeeded handed out.
    """

    run: str
    tasks: tuple[TaskResult, ...]
    skipped: tuple[str, ...]
    parameters: Mapping[str, Mapping[str, Any]]

    @property
    def ok(self) -> bool:
        """Whether no stage failed."""
        return all(task.state != FAILED for task in self.tasks)


@dataclasses.dataclass
class _Run:
    """What is the same for all tasks of a run."""

    id: str
    pipeline: Pipeline
    root: str
    work: str
    dialect: Dialect
    store: Store
    memory: Memory
    image: Image
    volumes: Mapping[str, str]
    shell: Mapping[str, str]
    log: Callable[[str], None]
    tasks: list[TaskResult] = dataclasses.field(default_factory=list)
    skipped: list[str] = dataclasses.field(default_factory=list)
    parameters: dict[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)

    @property
    def uri(self) -> str:
        return f"{self.root.rstrip('/')}/{self.pipeline.name}/{self.id}"


def rehearse(
    path: str,
    *,
    work: str,
    root: str = "minio://rehearsal/v2",
    parameters: Mapping[str, Any] | None = None,
    dialect: str = "2.17",
    volumes: Mapping[str, str] | None = None,
    image: Image | None = None,
    endpoint: str | None = None,
    shell: Mapping[str, str] | None = None,
    log: Callable[[str], None] = print,
) -> Result:
    """Runs a compiled pipeline; a stage that fails ends the run, except for exit handlers.

    Args:
      path: the compiled pipeline, YAML.
      work: folder for the store, the volumes' defaults, the pods and the cache; a second call with
        the same folder is a second submission to the same cluster.
      root: the pipeline root that the run request or the cluster's configuration would give.
      parameters: the run's; others have their defaults.
      dialect: which backend is played, see `dialects.DIALECTS`.
      volumes: folder of this machine for each persistent volume claim.
      image: what the container image holds beside Python and its packages.
      endpoint: of a store that speaks S3; by default, objects are files in `work`.
      shell: variables that stand for those of secrets and config maps; by default, this process's.
      log: receives one line when a stage ends.

    Raises:
      FileNotFoundError: if there is no such pipeline, or no such folder for a volume.
      ValueError: for what the cluster would refuse before the first stage, in its words.
      RuntimeError: if this machine does not allow pods; the message says what is missing.
    """
    pipeline = spec.read(path)
    chosen = DIALECTS.get(dialect)
    if not is_storage(root):
        raise ValueError(
            f"{root}: parse bucket config failed: unrecognized pipeline root format; use minio://, "
            "s3:// or gs://"
        )
    given = driver.run_parameters(pipeline, parameters or {})
    for claim, folder in (volumes or {}).items():
        if not os.path.isdir(folder):
            raise FileNotFoundError(f"--volume {claim}={folder}: no such folder")
    pod.check()
    os.makedirs(work, exist_ok=True)
    run = _Run(
        str(uuid.uuid4()),
        pipeline,
        root,
        os.path.abspath(work),
        chosen,
        S3Store(endpoint) if endpoint else FolderStore(os.path.join(work, "store")),
        Memory(os.path.join(work, f"memory-{dialect}.json")),
        image or Image(),
        volumes or {},
        os.environ if shell is None else shell,
        log,
    )
    assert pipeline.root.dag is not None
    _run_dag(run, pipeline.root.dag, Scope(run.id, pipeline.name, given, {}))
    return Result(run.id, tuple(run.tasks), tuple(run.skipped), run.parameters)


def _run_dag(run: _Run, dag: Dag, scope: Scope) -> bool:
    """Runs the tasks of a DAG; returns whether all succeeded."""
    good = True
    for task in dag.tasks:
        # An exit handler hangs on the tasks before it: it runs when one of them has ended.
        runs = any(name in scope.states for name in task.after) if task.always else good
        if not runs:
            run.skipped.append(task.name)
            continue
        results = _run_task(run, task, scope)
        if results is None:
            good = False
            scope.states[task.name] = "FAILED"
        else:
            scope.states[task.name] = run.dialect.succeeded
            scope.results[task.name] = results
    return good


def _run_task(run: _Run, task: Task, scope: Scope) -> Results | None:
    component = run.pipeline.components[task.component]
    if component.dag is None:
        return _run_stage(run, task, component, scope)
    try:
        parameters, artifacts = driver.inputs(task, component, scope)
    except TaskError as error:
        _end(run, TaskResult(task.name, FAILED, 0.0, 0, f"KFP driver: {error}", (), (), ""))
        return None
    inner = Scope(scope.run, scope.name, parameters, artifacts)
    if not _run_dag(run, component.dag, inner):
        return None
    return _handed_out(component.dag, inner)


def _handed_out(dag: Dag, scope: Scope) -> Results:
    parameters, artifacts = {}, {}
    for key, source in dag.outputs.get("parameters", {}).items():
        value = source["valueFromParameter"]
        parameters[key] = scope.results[value["producerSubtask"]].parameters[
            value["outputParameterKey"]
        ]
    for key, source in dag.outputs.get("artifacts", {}).items():
        value = source["artifactSelectors"][0]
        artifacts[key] = scope.results[value["producerSubtask"]].artifacts[
            value["outputArtifactKey"]
        ]
    return Results(parameters, artifacts)


def _run_stage(run: _Run, task: Task, component: Component, scope: Scope) -> Results | None:
    stage = _Stage(run, task, component, scope)
    started, state, error, results = time.monotonic(), FAILED, "", None
    try:
        stage.resolve()
        results = run.memory.find(stage.key) if task.cached else None
        state = CACHED if results is not None else OK
        if results is None:
            results = stage.play(started)
            if task.cached:
                run.memory.keep(stage.key, results)
    except TaskError as failure:
        state, error = FAILED, str(failure) if stage.attempts else f"KFP driver: {failure}"
    if results is not None:
        run.parameters[task.name] = results.parameters
    ended = TaskResult(
        task.name,
        state,
        time.monotonic() - started,
        stage.attempts,
        error,
        _words(stage.folder),
        tuple(stage.notes),
        stage.folder,
    )
    _end(run, ended)
    return results


class _Stage:
    """A task that is a container, from its inputs to its last attempt."""

    def __init__(self, run: _Run, task: Task, component: Component, scope: Scope) -> None:
        assert component.executor is not None
        self._run, self._task, self._scope = run, task, scope
        self._component, self._executor = component, component.executor
        self.attempts = 0
        self.notes: list[str] = []
        self.folder = ""

    def resolve(self) -> None:
        """The driver's part."""
        run, task, scope = self._run, self._task, self._scope
        parameters, artifacts = driver.inputs(task, self._component, scope)
        self._mounts = platforms.mounts(
            self._executor.platform, lambda source: scope.parameter(source, task.name)
        )
        self._given = driver.executor_input(
            self._component,
            parameters,
            artifacts,
            task_root=driver.task_folder(run.root, run.pipeline.name, run.id, task.name),
            dialect=run.dialect,
        )
        claims = [mount.claim for mount in self._mounts if mount.claim is not None]
        self.key = driver.cache_key(run.pipeline.name, self._component, self._given, claims)

    def play(self, started: float) -> Results:
        """Makes attempts until one succeeds, or the policy allows no other."""
        task = self._task
        environment = {
            **platforms.environment(
                self._executor.platform, self._run.shell, {_RUN_LABEL: self._run.id}
            ),
            **self._executor.env,
        }
        while True:
            if task.retries.count:
                environment["KFP_RETRY_INDEX"] = str(self.attempts)
            try:
                return self._attempt(environment)
            except TaskError as failure:
                # The pauses between attempts are left out, not their time limit.
                spent = time.monotonic() - started
                if self.attempts > task.retries.count or spent >= task.retries.window:
                    raise
                self._run.log(f"{task.name}: attempt {self.attempts} failed: {failure}; once more")

    def _attempt(self, environment: Mapping[str, str]) -> Results:
        run = self._run
        number, self.notes = self.attempts, []
        self.attempts += 1
        self.folder = os.path.join(run.work, "pods", run.id, f"{self._task.name}-{number}")
        volumes = _volumes(run, self.folder, self._mounts)
        attempt = launcher.Attempt(self._component, self._given, run.uri, number, run.memory.number)
        box = Pod(self.folder, run.image, volumes)
        results = launcher.launch(
            attempt, box, environment, run.store, run.dialect, self.notes.append
        )
        box.remove_disk()
        return results


def _volumes(run: _Run, folder: str, mounts: list[platforms.Mount]) -> dict[str, str]:
    """A folder of this machine for each volume of a pod."""
    found = {}
    for mount in mounts:
        if mount.claim is None:
            path = os.path.join(f"{folder}-volumes", mount.path.strip("/").replace("/", "-"))
        else:
            own = os.path.join(run.work, "volumes", mount.claim)
            path = run.volumes.get(mount.claim, own)
        path = os.path.join(path, mount.folder) if mount.folder else path
        os.makedirs(path, exist_ok=True)
        found[mount.path] = path
    return found


def _words(folder: str) -> tuple[str, ...]:
    log = Path(folder, LOG)
    if not folder or not log.exists():
        return ()
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return tuple(line for line in lines if line.strip())[-_LAST_LINES:]


def _end(run: _Run, task: TaskResult) -> None:
    run.tasks.append(task)
    details = f": {task.error}" if task.error else ""
    run.log(f"{task.name}: {task.state}, {task.seconds:.0f} s{details}")
