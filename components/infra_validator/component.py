"""The InfraValidator stage: a clean process loads and calls the generator before pushing."""

import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types.standard_artifacts import InfraBlessing, Model
from tfx.utils import path_utils

from components.common import files, saved_models
from components.infra_validator.config import InfraValidatorConfig
from components.serving import numpy_draws, warmup

_log = logging.getLogger(__name__)

# Of the SavedModel, and of what it has for other runtimes.
_PROBES = ("infra_validator.probe", "infra_validator.probe_files")
# Finds them without this project's other packages.
_RUN = f"import runpy, sys; sys.path.append({str(Path(__file__).resolve().parents[1])!r})"
_WITNESS = "witness.npz"
_SEEDS = 32
_SECONDS_BETWEEN_LOOKS = 0.2


@component
def InfraValidator(
    model: InputArtifact[Model],
    blessing: OutputArtifact[InfraBlessing],
    code_version: Parameter[str],
    config: Parameter[str] = "{}",
) -> None:
    """Blesses a generator that passes `probe` and `probe_files`, like TFX's InfraValidator.

    TFX's needs Docker or Kubernetes, and does not compile for Kubeflow. A model that fails does not
    fail the run, but the Pusher does not push it.

    Args:
      model: the generator.
      blessing: custom properties: int `blessed`, and `reasons` if that is 0.
      code_version: makes the stage's code part of TFX's cache key.
      config: JSON of `InfraValidatorConfig`.
    """
    limits = InfraValidatorConfig.model_validate_json(config)
    reason = _objection(path_utils.serving_model_dir(model.uri), limits)
    if reason:
        _log.warning("InfraValidator: %s: %s", model.uri, reason)
        blessing.set_string_custom_property("reasons", reason)
    blessing.set_int_custom_property("blessed", int(not reason))
    marker = "INFRA_NOT_BLESSED" if reason else "INFRA_BLESSED"
    files.write(os.path.join(blessing.uri, marker), reason.encode())


def witness(model_dir: str) -> Mapping[str, np.ndarray]:
    """What `probe` compares a model with, from its description and its warm-up requests.

    Raises:
      ValueError: for a SavedModel without a description.
      OSError, tensorflow.errors.OpError: if files are missing.
    """
    description = saved_models.description(model_dir)
    if not description:
        raise ValueError(f"{model_dir}: no description; export the generator with contract 2")
    seeds = np.arange(_SEEDS, dtype=np.int64)
    found = {
        "seeds": seeds,
        "latents": numpy_draws.latents(seeds, description["latent_dim"]),
        "classes": np.flatnonzero(description.get("class_shares", [])).astype(np.int64),
        "max_rows": np.array(description["max_rows"]),
    }
    for number, (signature, inputs) in enumerate(warmup.read(model_dir)):
        place = f"warmup/{number}/{signature}"
        named = {f"{place}/{name}": value for name, value in inputs.items()}
        found |= named or {place: np.array(0)}
    return found


def _objection(model_dir: str, limits: InfraValidatorConfig) -> str:
    """Why the model cannot be served; empty if it passes the probe within the limits."""
    if "://" not in model_dir:
        model_dir = os.path.abspath(model_dir)
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        try:
            np.savez(os.path.join(folder, _WITNESS), **witness(model_dir))
            probes = (
                _PROBES if saved_models.description(model_dir).get("conversions") else _PROBES[:1]
            )
        # Whatever a model lacks, or cannot be read, is a reason not to push it.
        except Exception as error:  # noqa: BLE001
            return f"{type(error).__name__}: {' '.join(str(error).split())}"
        for probe in probes:
            reason, said = _run(probe, model_dir, folder, limits)
            if reason:
                return reason
            found.update(json.loads(said))
    _log.info("InfraValidator: %s", found)
    if found["rows_per_second"] < limits.rows_per_second:
        return (
            f"sample makes {found['rows_per_second']:g} rows a second, expected "
            f"{limits.rows_per_second:g} or more (infra_validator.rows_per_second)"
        )
    return ""


def command(probe: str) -> list[str]:
    """What runs the module of a probe, alone in a process, before its two arguments."""
    code = f"{_RUN}; runpy.run_module({probe!r}, run_name='__main__')"
    return [sys.executable, "-I", "-c", code]


def _run(probe: str, model_dir: str, folder: str, limits: InfraValidatorConfig) -> tuple[str, str]:
    """Why the probe refuses the model, or empty, and the last line that it wrote."""
    # This process may hold all GPU memory, and serving must not require a GPU anyway.
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    with open(os.path.join(folder, "said"), "w+", encoding="utf-8") as output:
        process = psutil.Popen(
            [*command(probe), model_dir, os.path.join(folder, _WITNESS)],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
        reason = _watch(process, limits)
        output.seek(0)
        lines = output.read().strip().splitlines()
    said = lines[-1] if lines else ""
    if not reason and process.returncode == 1:
        reason = said
    elif not reason and process.returncode:
        reason = f"the process that loads the model ended with exit code {process.returncode}"
    return reason, said


def _watch(process: psutil.Popen, limits: InfraValidatorConfig) -> str:
    """Waits for the process, and kills it beyond the limits; which one, or empty."""
    deadline = time.monotonic() + limits.seconds
    reason = ""
    while process.poll() is None and not reason:
        if time.monotonic() > deadline:
            reason = f"the model did not load and respond within {limits.seconds} seconds"
        elif _resident_gb(process) > limits.memory_gb:
            reason = f"serving the model takes more than {limits.memory_gb:g} GB"
        else:
            time.sleep(_SECONDS_BETWEEN_LOOKS)
    if reason:
        process.kill()
        process.wait()
    return reason


def _resident_gb(process: psutil.Popen) -> float:
    try:
        return process.memory_info().rss / 1e9
    except psutil.NoSuchProcess:
        return 0.0
