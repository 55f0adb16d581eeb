"""The InfraValidator stage: a clean process loads and calls the generator before pushing."""

import logging
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types.standard_artifacts import InfraBlessing, Model
from tfx.utils import path_utils

from components.common import files

_log = logging.getLogger(__name__)

_PROBE = Path(__file__).with_name("probe.py").resolve()


@component
def InfraValidator(
    model: InputArtifact[Model],
    blessing: OutputArtifact[InfraBlessing],
    code_version: Parameter[str],
    timeout: Parameter[int] = 300,
) -> None:
    """Blesses a generator that passes `probe.py`, like TFX's own InfraValidator.

    TFX's needs Docker or Kubernetes, and does not compile for Kubeflow. A model that fails does not
    fail the run, but the Pusher does not push it.

    Args:
      model: the generator.
      blessing: custom properties: int `blessed`, and `reasons` if that is 0.
      code_version: makes the stage's code part of TFX's cache key.
      timeout: seconds for the process to start, load the model and call it.
    """
    reason = _objection(path_utils.serving_model_dir(model.uri), timeout)
    if reason:
        _log.warning("InfraValidator: %s: %s", model.uri, reason)
        blessing.set_string_custom_property("reasons", reason)
    blessing.set_int_custom_property("blessed", int(not reason))
    marker = "INFRA_NOT_BLESSED" if reason else "INFRA_BLESSED"
    files.write(os.path.join(blessing.uri, marker), reason.encode())


def _objection(model_dir: str, timeout: int) -> str:
    """Why the model cannot be served; empty if it passes the probe within `timeout` seconds."""
    if "://" not in model_dir:
        model_dir = os.path.abspath(model_dir)
    # This process may hold all GPU memory, and serving must not require a GPU anyway.
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    with tempfile.TemporaryDirectory() as empty:
        try:
            ended = subprocess.run(
                [sys.executable, "-I", str(_PROBE), model_dir],
                cwd=empty,
                env=environment,
                capture_output=True,
                text=True,
                timeout=timeout,
            )
        except subprocess.TimeoutExpired:
            return f"the model did not load and respond within {timeout} seconds"
    if ended.returncode == 0:
        _log.info("InfraValidator: %s", ended.stdout.strip())
        return ""
    if ended.returncode == 1:
        return ended.stderr.strip().splitlines()[-1]
    return f"the process that loads the model ended with exit code {ended.returncode}"
