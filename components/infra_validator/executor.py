"""A generator in, the judgement of a clean process on it out."""

import logging
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils
from tfx.utils import path_utils

from components.common import files

_log = logging.getLogger(__name__)

_PROBE = Path(__file__).with_name("probe.py").resolve()


class Executor(base_executor.BaseExecutor):
    """Runs the probe and blesses what it passes, in the way TFX's own InfraValidator does."""

    def Do(  # noqa: N802
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Sets the custom properties of `blessing`: int `blessed`, and `reasons` where it is 0.

        A model that fails is not an error of the run: the Pusher leaves it where it is.
        """
        model = artifact_utils.get_single_instance(input_dict["model"])
        blessing = artifact_utils.get_single_instance(output_dict["blessing"])
        reason = _objection(path_utils.serving_model_dir(model.uri), exec_properties["timeout"])
        if reason:
            _log.warning("InfraValidator: %s: %s", model.uri, reason)
            blessing.set_string_custom_property("reasons", reason)
        blessing.set_int_custom_property("blessed", int(not reason))
        marker = "INFRA_NOT_BLESSED" if reason else "INFRA_BLESSED"
        files.write(os.path.join(blessing.uri, marker), reason.encode())


def _objection(model_dir: str, timeout: int) -> str:
    """Why the model cannot be served; empty where the probe passes it within `timeout` seconds."""
    if "://" not in model_dir:
        model_dir = os.path.abspath(model_dir)
    # This process may hold all the memory of the GPUs; a server has to do without them anyway.
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
