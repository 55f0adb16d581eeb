"""What runs in a pod: one stage of the pipeline, between Kubeflow's launcher and TFX's executor.

    python -m pipeline.kubeflow.entry_point --executor_class_path … --json_serialized_… …

Kubeflow Pipelines and TFX do not quite speak the same language. The launcher stages artifacts to
folders while TFX works on URIs; outputs that TFX does not know are added; types and values arrive
in the form of whatever store the backend keeps them in, which differs from release to release. What
arrives is put into the form that TFX's own entry point reads, and what TFX says into the form that
the launcher records. Right for the backends that keep metadata in ML Metadata (to 2.18), the one
after them that does not, and Vertex.
"""

import argparse
import dataclasses
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from tfx.orchestration.kubeflow.v2.container import kubeflow_v2_run_executor

from components.common import artifact_files, costs, files, tfx
from components.common.code_version import code_version
from components.common.costs import Cost, Meter
from components.feature_extractor.component import extractor_version
from components.feature_extractor.config import FeatureExtractorConfig
from components.outcome import record
from components.trainer.component import trainer_version
from components.trainer.config import TrainerConfig

# Where the launcher stages what lies at a URI.
_STAGED = {"gs://": "/gcs/", "s3://": "/s3/", "minio://": "/minio/"}
# How a store of metadata wraps dictionaries and lists.
_WRAPPERS = ("struct", "list")
# A run-time parameter that replaces a value in the JSON parameter `config`: its path follows.
SETTING, SEPARATOR = "set__", "__"

# Variables: the stage, the folder of all runs' records, the run's id.
STAGE, OUTCOMES, RUN = "TFX_GAN_STAGE", "TFX_GAN_OUTCOMES", costs.RUN

# The stages whose code is more than their folder, by their parameter `config`.
_VERSIONS: Mapping[str, Callable[[str], str]] = {
    "trainer": lambda config: trainer_version(TrainerConfig.model_validate_json(config)),
    "feature_extractor": lambda config: extractor_version(
        FeatureExtractorConfig.model_validate_json(config)
    ),
}


@dataclasses.dataclass(frozen=True)
class Command:
    """The command line of a stage.

    Attributes:
      executor: class path of TFX's executor.
      given: the launcher's executor input.
      spec: the inputs of the component, as compiled.
      beam: arguments of the Beam runner.
    """

    executor: str
    given: dict[str, Any]
    spec: dict[str, Any]
    beam: list[str]

    @classmethod
    def of(cls, arguments: Sequence[str]) -> "Command":
        parser = argparse.ArgumentParser(prog="pipeline.kubeflow.entry_point", allow_abbrev=False)
        parser.add_argument("--executor_class_path", required=True)
        parser.add_argument("--json_serialized_invocation_args", type=json.loads, required=True)
        parser.add_argument("--json_serialized_inputs_spec_args", type=json.loads, required=True)
        known, beam = parser.parse_known_args(arguments)
        return cls(
            known.executor_class_path,
            known.json_serialized_invocation_args,
            known.json_serialized_inputs_spec_args,
            beam,
        )

    def arguments(self) -> list[str]:
        """The inverse of `of`."""
        return [f"--{name}={value}" for name, value in vars(self.namespace()).items()] + self.beam

    def namespace(self) -> argparse.Namespace:
        """As TFX's entry point takes it."""
        return argparse.Namespace(
            executor_class_path=self.executor,
            json_serialized_invocation_args=json.dumps(self.given),
            json_serialized_inputs_spec_args=json.dumps(self.spec),
        )


def main(
    arguments: Sequence[str],
    environ: Mapping[str, str],
    runner: Callable[[Sequence[str]], None] | None = None,
) -> None:
    """Runs one stage, and leaves word for the exit handler if it fails; raises as `runner`.

    Args:
      arguments: as compiled and filled in by the backend.
      environ: the pod's variables.
      runner: runs the stage; default: `run`.
    """
    runner = runner or run
    # Vertex gives no stage the run's id, but tells the exit handler what went wrong.
    if not environ.get(RUN):
        runner(arguments)
        return
    folder, stage = os.path.join(environ[OUTCOMES], environ[RUN]), environ[STAGE]
    try:
        runner(arguments)
    except BaseException as error:
        # One that exits with a code of its own says why in an attribute.
        words = " ".join(str(getattr(error, "message", error)).split())
        record.note_failure(folder, stage, f"{type(error).__name__}: {words}")
        raise
    record.forget_failure(folder, stage)


def run(arguments: Sequence[str]) -> None:
    """Runs one stage.

    Raises:
      ValueError: if the image holds other code than the pipeline was compiled with, or a setting
        has no place in the stage's configuration.
      Exception: whatever the stage raises.
    """
    meter = Meter()
    command = Command.of(arguments)
    shown = translate(command)
    check_code(command)
    kubeflow_v2_run_executor.main((command.namespace(), command.beam))
    path = command.given["outputs"]["outputFile"]
    with open(path, encoding="utf-8") as file:
        result = json.load(file)
    # Of several workers none is the stage, and their variables do not name it.
    if stage := os.environ.get(STAGE):
        note_cost(command, result, stage, meter.read(os.environ.get(RUN, "")))
    report(result, shown)
    # The launcher reads it once this process has ended, so it need not be replaced atomically.
    with open(path, "w", encoding="utf-8") as file:
        json.dump(result, file)


def translate(command: Command) -> dict[str, Any]:
    """Puts the executor input, in place, into the form that TFX reads.

    Returns:
      The outputs that TFX does not know, by key: what Kubeflow's UI shows.
    """
    inputs, outputs = (command.given.setdefault(side, {}) for side in ("inputs", "outputs"))
    _apply_settings(inputs.setdefault("parameterValues", {}), command.spec)
    for name, artifact in artifacts(inputs):
        # Empty, or the text of a schema: only the compiled component knows the type for certain.
        artifact["type"] = command.spec["artifacts"][name]["artifactType"]
        metadata = {
            key: _unwrapped(value)
            for key, value in artifact.get("metadata", {}).items()
            if value is not None
        }
        # Workers are given copies, with the address of what was copied.
        artifact["metadata"] = {tfx.ADDRESS: artifact["uri"], **metadata}
        artifact["uri"] = staged(artifact["uri"])
    made = outputs.get("artifacts", {})
    shown = {}
    for name, listed in list(made.items()):
        (artifact,) = listed["artifacts"]
        if artifact.get("type", {}).get("schemaTitle", "").startswith("system."):
            shown[name] = made.pop(name)["artifacts"][0]
            continue
        artifact["uri"] = staged(artifact["uri"])
        # An output that stays empty, such as a model that is not pushed, is an output too.
        if name not in outputs.get("parameters", {}):
            os.makedirs(artifact["uri"], exist_ok=True)
    return shown


def report(result: dict[str, Any], shown: Mapping[str, Any]) -> None:
    """Puts TFX's executor output, in place, into the form that the launcher records."""
    for _, artifact in artifacts(result):
        artifact["uri"] = remote(artifact["uri"])
        artifact["metadata"] = {
            key: remote(value) if isinstance(value, str) else value
            for key, value in artifact.get("metadata", {}).items()
            if value is not None
        }
    for name, artifact in shown.items():
        show = _SHOWN.get(artifact["type"]["schemaTitle"])
        if show is None:
            continue
        path = staged(artifact["uri"])
        os.makedirs(os.path.dirname(path), exist_ok=True)
        metadata = show(path, result)
        listed = {"uri": artifact["uri"], "metadata": metadata}
        result["artifacts"][name] = {"artifacts": [listed]}


def note_cost(command: Command, result: dict[str, Any], stage: str, cost: Cost) -> None:
    """Puts what a stage and those before it took, in place, into TFX's executor output."""
    before = costs.read(
        artifact["metadata"].get(costs.PROPERTY, "")
        for _, artifact in artifacts(command.given["inputs"])
    )
    text = costs.write({**before, stage: cost})
    for _, artifact in artifacts(result):
        artifact.setdefault("metadata", {})[costs.PROPERTY] = text


def check_code(command: Command) -> None:
    """Raises ValueError if this image's code is not what the pipeline was compiled with."""
    parameters = command.given["inputs"]["parameterValues"]
    package, stage, *_ = command.executor.split(".")
    compiled = _compiled_version(parameters)
    if package != "components" or compiled is None:
        return
    of_stage = _VERSIONS.get(stage)
    here = of_stage(parameters["config"]) if of_stage else code_version(stage)
    if here != compiled:
        raise ValueError(
            f"code_version: the pipeline was compiled with {stage} {compiled}, but the image holds "
            f"{here}; compile the recipe with the code of the image, or build the image anew"
        )


def staged(uri: str) -> str:
    """The folder that the launcher stages a URI to; other paths as they are."""
    for scheme, folder in _STAGED.items():
        if uri.startswith(scheme):
            return folder + uri.removeprefix(scheme)
    return uri


def remote(path: str) -> str:
    """The inverse of `staged`."""
    for scheme, folder in _STAGED.items():
        if path.startswith(folder):
            return scheme + path.removeprefix(folder)
    return path


def artifacts(side: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The artifacts of one side, inputs or outputs, with their keys."""
    for name, listed in side.get("artifacts", {}).items():
        for artifact in listed["artifacts"]:
            yield name, artifact


def _unwrapped(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, dict) and len(value) == 1 and next(iter(value)) in _WRAPPERS:
        return next(iter(value.values()))
    return value


def _compiled_version(parameters: Mapping[str, Any]) -> str | None:
    if "code_version" in parameters:
        return parameters["code_version"]
    # TFX's Pusher has no parameter of ours.
    return json.loads(parameters.get("custom_config", "{}")).get("code_version")


def _apply_settings(parameters: dict[str, Any], spec: Mapping[str, Any]) -> None:
    """Replaces the values in `config` that the run's parameters name."""
    settings = {name: parameters.pop(name) for name in list(parameters) if name.startswith(SETTING)}
    if not settings:
        return
    config = json.loads(parameters["config"])
    for name, value in settings.items():
        *sections, last = name.removeprefix(SETTING).split(SEPARATOR)
        place = config
        for section in sections:
            place = place[section]
        # JSON has one kind of number.
        whole = spec["parameters"][name]["parameterType"] == "NUMBER_INTEGER"
        place[last] = int(value) if whole else value
    parameters["config"] = json.dumps(config)


def _show_report(path: str, result: Mapping[str, Any]) -> dict[str, Any]:
    """The report as the artifact's file."""
    evaluation = result["artifacts"]["evaluation"]["artifacts"][0]
    shutil.copyfile(os.path.join(staged(evaluation["uri"]), artifact_files.REPORT), path)
    return {}


def _show_scores(path: str, result: Mapping[str, Any]) -> dict[str, Any]:
    """The scores as the artifact's metadata; the artifact itself is an empty file."""
    files.write(path, b"")
    metadata = result["artifacts"]["evaluation"]["artifacts"][0]["metadata"]
    return {name: value for name, value in metadata.items() if isinstance(value, float)}


def _show_outcome(path: str, result: Mapping[str, Any]) -> dict[str, Any]:
    """The output parameter as a page."""
    files.write(path, result["parameterValues"]["outcome"].encode())
    return {}


# Each is given the artifact's file and the executor output, and returns the artifact's metadata.
_SHOWN: Mapping[str, Callable[[str, Mapping[str, Any]], dict[str, Any]]] = {
    "system.HTML": _show_report,
    "system.Metrics": _show_scores,
    "system.Markdown": _show_outcome,
}

if __name__ == "__main__":
    main(sys.argv[1:], os.environ)
