"""The InfraValidator stage: a clean process loads and calls the generator before it is pushed."""

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
    """Blesses a generator that the probe passes, in the way TFX's own InfraValidator does.

    TFX's needs Docker or Kubernetes and does not compile for Kubeflow. A model that fails is not
    an error of the run: the Pusher does not push it.

    Args:
      model: the generator.
      blessing: custom properties: int `blessed`, and `reasons` if that is 0.
      code_version: puts the stage's code into TFX's cache key.
      timeout: seconds that the process may take to start, load the model and answer.
    """
    reason = _objection(path_utils.serving_model_dir(model.uri), timeout)
    if reason:
        _log.warning("InfraValidator: %s: %s", model.uri, reason)
        blessing.set_string_custom_property("reasons", reason)
    blessing.set_int_custom_property("blessed", int(not reason))
    marker = "INFRA_NOT_BLESSED" if reason else "INFRA_BLESSED"
    files.write(os.path.join(blessing.uri, marker), reason.encode())


def _objection(model_dir: str, timeout: int) -> str:
    """Why the model cannot be served; empty if the probe passes it within `timeout` seconds."""
    if "://" not in model_dir:
        model_dir = os.path.abspath(model_dir)
    # This process may hold all GPU memory, and a server must not need a GPU anyway.
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
            return f"the model did not load and answer within {timeout} seconds"
    if ended.returncode == 0:
        _log.info("InfraValidator: %s", ended.stdout.strip())
        return ""
    if ended.returncode == 1:
        return ended.stderr.strip().splitlines()[-1]
    return f"the process that loads the model ended with exit code {ended.returncode}"
