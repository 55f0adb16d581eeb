"""What the launcher does in a task's pod: download, run, check, upload."""

import dataclasses
import json
import os
import re
import shutil
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.rehearsal import store as stores
from pipeline.rehearsal.dialects import Artifact, Dialect
from pipeline.rehearsal.driver import LOGS, Results
from pipeline.rehearsal.pod import LOG, Pod
from pipeline.rehearsal.spec import Component
from pipeline.rehearsal.store import Store
from pipeline.rehearsal.values import TaskError, compact, is_storage, local_path, text

# Fields of the messages ExecutorOutput and RuntimeArtifact; the launcher refuses any other.
_OUTPUT_FIELDS = {"parameters", "artifacts", "parameterValues", "parameter_values"}
_ARTIFACT_FIELDS = {
    "name",
    "type",
    "uri",
    "properties",
    "customProperties",
    "custom_properties",
    "metadata",
    "customPath",
    "custom_path",
}
_SIGNALS = {9: "killed", 15: "terminated", 11: "segmentation fault", 6: "aborted"}


@dataclasses.dataclass(frozen=True)
class Attempt:
    """One attempt of a task.

    Attributes:
      component: what the task runs; not a DAG.
      given: the executor input.
      run_root: URI that every output must lie below.
      index: 0 for the first attempt.
      number: gives each artifact its id.
    """

    component: Component
    given: Mapping[str, Any]
    run_root: str
    index: int
    number: Callable[[], int]


def launch(
    attempt: Attempt,
    pod: Pod,
    environment: Mapping[str, str],
    store: Store,
    dialect: Dialect,
    log: Callable[[str], None],
) -> Results:
    """Runs a stage in its pod as the launcher would.

    Args:
      attempt: of a task.
      pod: new.
      environment: the container's variables.
      store: holds the inputs, receives the outputs.
      dialect: of the backend.
      log: receives what the launcher would warn of and what was uploaded.

    Raises:
      TaskError: if the stage fails, or what it leaves behind is refused; the exit code of the
        launcher is 1 then, whatever that of the stage was.
      RuntimeError: if there can be no pod.
    """
    given = _with_attempt(attempt.given, attempt.index)
    executor = attempt.component.executor
    assert executor is not None
    _download(given, pod, store, log)
    _prepare(given, pod)
    Path(pod.folder, "executor_input.json").write_text(json.dumps(given, indent=1), "utf-8")
    code = pod.run(command(executor.command, given), environment)
    _upload_logs(given, pod, store)
    if code:
        reason = _SIGNALS.get(-code, str(-code))
        words = f"exit status {code}" if code > 0 else f"signal: {reason}"
        raise TaskError(f"failed to execute component: {words}")
    written = _output_file(pod.path(given["outputs"]["outputFile"]), given["outputs"]["outputFile"])
    parameters = _parameters(attempt.component, given, written, pod)
    return Results(parameters, _artifacts(attempt, given, written, pod, store, dialect, log))


def command(template: Sequence[str], given: Mapping[str, Any]) -> list[str]:
    """A container's command with the launcher's placeholders replaced; others stay."""
    values = {"{{$}}": compact(given)}
    for side in ("inputs", "outputs"):
        for key, found in given.get(side, {}).get("artifacts", {}).items():
            uri = found["artifacts"][0]["uri"]
            values[f"{{{{$.{side}.artifacts['{key}'].uri}}}}"] = uri
            if is_storage(uri):
                values[f"{{{{$.{side}.artifacts['{key}'].path}}}}"] = local_path(uri)
    for key, value in given.get("inputs", {}).get("parameterValues", {}).items():
        values[f"{{{{$.inputs.parameters['{key}']}}}}"] = text(value)
    for key, found in given["outputs"].get("parameters", {}).items():
        values[f"{{{{$.outputs.parameters['{key}'].output_file}}}}"] = found["outputFile"]
    pattern = re.compile("|".join(map(re.escape, values)))
    return [pattern.sub(lambda match: values[match[0]], word) for word in template]


def _with_attempt(given: Mapping[str, Any], index: int) -> dict[str, Any]:
    """The executor input with the attempt's own place for the log."""
    copied: dict[str, Any] = json.loads(json.dumps(given))
    for log in copied["outputs"].get("artifacts", {}).get(LOGS, {}).get("artifacts", []):
        log["uri"] += f"-{index}"
    return copied


def _outputs(given: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        key: found["artifacts"][0] for key, found in given["outputs"].get("artifacts", {}).items()
    }


def _download(given: Mapping[str, Any], pod: Pod, store: Store, log: Callable[[str], None]) -> None:
    for key, found in given.get("inputs", {}).get("artifacts", {}).items():
        for artifact in found["artifacts"]:
            uri = artifact["uri"]
            if not store.download(uri, pod.path(local_path(uri))):
                log(f"input {key}: nothing lies at {uri}")


def _prepare(given: Mapping[str, Any], pod: Pod) -> None:
    """Makes the folders that outputs lie in; not those that are outputs."""
    paths = [local_path(artifact["uri"]) for artifact in _outputs(given).values()]
    paths += [found["outputFile"] for found in given["outputs"].get("parameters", {}).values()]
    for path in (*paths, given["outputs"]["outputFile"]):
        os.makedirs(os.path.dirname(pod.path(path)), exist_ok=True)


def _upload_logs(given: Mapping[str, Any], pod: Pod, store: Store) -> None:
    artifact = _outputs(given).get(LOGS)
    if artifact is not None:
        path = pod.path(local_path(artifact["uri"]))
        shutil.copyfile(os.path.join(pod.folder, LOG), path)
        store.upload([(path, "")], artifact["uri"])


def _output_file(path: str, shown: str) -> dict[str, Any]:
    """What the stage wrote about its outputs; it need not write anything."""
    if not os.path.exists(path):
        return {}
    failed = f"failed to unmarshall ExecutorOutput in file {shown!r}: proto: "
    try:
        written = json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise TaskError(f"{failed}{error}") from None
    artifacts = [
        artifact
        for found in written.get("artifacts", {}).values()
        for artifact in found.get("artifacts", [])
    ]
    for found, known in ((written, _OUTPUT_FIELDS), *((a, _ARTIFACT_FIELDS) for a in artifacts)):
        for field in found:
            if field not in known:
                raise TaskError(f'{failed}unknown field "{field}"')
    return dict(written)


def _parameters(
    component: Component, given: Mapping[str, Any], written: Mapping[str, Any], pod: Pod
) -> dict[str, Any]:
    values = dict(written.get("parameterValues", written.get("parameter_values", {})))
    for key, found in given["outputs"].get("parameters", {}).items():
        if key in values:
            continue
        kind, path = component.outputs["parameters"][key]["parameterType"], found["outputFile"]
        failed = f'failed to read output parameter name="{key}" type="{kind}" path="{path}": '
        if not os.path.exists(pod.path(path)):
            raise TaskError(f"{failed}open {path}: no such file or directory")
        content = Path(pod.path(path)).read_text(encoding="utf-8")
        try:
            values[key] = content if kind == "STRING" else json.loads(content)
        except ValueError as error:
            raise TaskError(f"{failed}{error}") from None
    return values


def _artifacts(
    attempt: Attempt,
    given: Mapping[str, Any],
    written: Mapping[str, Any],
    pod: Pod,
    store: Store,
    dialect: Dialect,
    log: Callable[[str], None],
) -> dict[str, Artifact]:
    uploaded = {}
    for key, artifact in _outputs(given).items():
        if key == LOGS:
            continue
        echoed = (written.get("artifacts", {}).get(key, {}).get("artifacts") or [{}])[0]
        uri = echoed.get("uri") or artifact["uri"]
        _upload(key, uri, attempt.run_root, pod, store, dialect, log)
        uploaded[key] = uri, {**artifact.get("metadata", {}), **echoed.get("metadata", {})}
    # The backend records after the last upload: what it cannot record is uploaded all the same.
    return {
        key: Artifact(
            attempt.number(),
            str(uuid.uuid4()),
            key,
            uri,
            _outputs(given)[key]["type"],
            _record(dialect, key, metadata),
        )
        for key, (uri, metadata) in uploaded.items()
    }


def _record(dialect: Dialect, key: str, metadata: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return dialect.record(key, metadata)
    except TaskError as error:
        raise TaskError(f'unable to produce MLMD artifact for output "{key}": {error}') from None


def _upload(
    key: str,
    uri: str,
    run_root: str,
    pod: Pod,
    store: Store,
    dialect: Dialect,
    log: Callable[[str], None],
) -> None:
    if not is_storage(uri):
        # The launcher only warns, and the next stage finds nothing: here it is a failure.
        raise TaskError(
            f'Output Artifact "{key}" does not have a recognized storage URI "{uri}": a cluster '
            "skips its upload and records an artifact that no later stage can read"
        )
    if not uri.startswith(f"{run_root}/"):
        raise TaskError(
            f'failed to upload output artifact "{key}": URI "{uri}" does not have expected bucket '
            f'prefix "{run_root}"'
        )
    path = local_path(uri)
    if os.path.lexists(pod.path(path)):
        count = store.upload(stores.files_below(pod.path(path), pod.disk), uri)
        log(f"output {key}: {count} files")
    elif dialect.missing_output_fails:
        raise TaskError(f'declared output artifact "{key}" is missing at "{path}"')
    else:
        log(f"output {key}: nothing was made; it is recorded all the same")
