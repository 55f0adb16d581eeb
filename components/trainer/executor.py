"""Artifacts in, artifacts out; the training itself is in `training.py`."""

import hashlib
import os
from typing import Any

from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.dsl.io import fileio
from tfx.types import artifact_utils
from tfx.utils import io_utils, path_utils

from components.common import files, tfx
from components.data import examples
from components.data.spec import DataSpec
from components.trainer.callbacks import quality
from components.trainer.config import TrainerConfig
from components.trainer.data.scaling import Scaling
from components.trainer.training import LOG_FOLDER, GANTrainer

UNTRAINED_FOLDER = "untrained"
CONFIGURATION_FILE = "configuration.json"


class Executor(base_executor.BaseExecutor):
    """Trains, exports and leaves the run's log."""

    def Do(  # noqa: N802
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """See `component.GANTrainer`."""
        tfx.refuse_anomalies(input_dict["anomalies"])
        config = TrainerConfig.model_validate_json(exec_properties["config"])
        paths = tfx.split_files(input_dict["examples"], examples.TRAIN_SPLIT)
        spec = DataSpec.model_validate_json(exec_properties["data"])
        split = spec.read(paths)
        data, scaling = split.data, None
        if spec.columns:
            scaling = Scaling.learn(data, spec.columns)
            data = scaling.to_unit(data)
        dataset = data if split.labels is None else (data, split.labels)

        extract = None
        for extractor in input_dict.get("extractor", []):
            extract = quality.load_extractor(path_utils.serving_model_dir(extractor.uri))
        trainer = GANTrainer.from_config(config, dataset, extract=extract, scaling=scaling)
        model = artifact_utils.get_single_instance(output_dict["model"])
        model_run = artifact_utils.get_single_instance(output_dict["model_run"])
        trainer.export(os.path.join(model_run.uri, UNTRAINED_FOLDER))

        folder = os.path.join(exec_properties["checkpoint_dir"], _key(input_dict, exec_properties))
        trainer.train(config.images, folder)
        trainer.export(path_utils.serving_model_dir(model.uri))
        _copy_all(os.path.join(folder, LOG_FOLDER), model_run.uri)
        configuration = config.model_dump_json(by_alias=True, indent=2)
        files.write(os.path.join(model_run.uri, CONFIGURATION_FILE), configuration.encode())
        model.set_string_custom_property("code_version", exec_properties["code_version"])


def _copy_all(source: str, destination: str) -> None:
    """Adds what `source` holds to `destination`."""
    for name in fileio.listdir(source):
        copy = io_utils.copy_dir if fileio.isdir(os.path.join(source, name)) else io_utils.copy_file
        copy(os.path.join(source, name), os.path.join(destination, name))


def _key(input_dict: dict[str, list[types.Artifact]], exec_properties: dict[str, Any]) -> str:
    """Names what is trained: another configuration, code or data must not resume this training."""
    parts = [exec_properties[name] for name in ("config", "data", "code_version")]
    for name in ("examples", "extractor"):
        parts += [artifact.uri for artifact in input_dict.get(name, [])]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
