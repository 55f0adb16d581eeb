"""Artifacts in, artifacts out; the training itself is in `training.py`."""

import hashlib
import json
import os
from typing import Any

from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils
from tfx.utils import io_utils, path_utils

from components import examples, stage
from components.trainer.checkpoints import Checkpoints
from components.trainer.config import TrainerConfig
from components.trainer.runlog import RunLog
from components.trainer.training import GANTrainer

UNTRAINED_FOLDER = "untrained"


class Executor(base_executor.BaseExecutor):
    """Trains, exports and leaves the run's log."""

    def Do(  # noqa: N802
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """See `component.GANTrainer`."""
        stage.refuse_anomalies(input_dict["anomalies"])
        config = TrainerConfig.model_validate_json(exec_properties["config"])
        files = stage.split_files(input_dict["examples"], examples.TRAIN_SPLIT)
        dataset = examples.read_images(files, json.loads(exec_properties["image_shape"])).images

        folder = os.path.join(exec_properties["checkpoint_dir"], _key(input_dict, exec_properties))
        log_folder = os.path.join(folder, "log")
        trainer = GANTrainer.from_config(config, dataset)
        trainer.train(
            config.images,
            log=RunLog(log_folder),
            checkpoints=Checkpoints(os.path.join(folder, "checkpoints")),
            log_every_images=config.log_every_images,
            grid_every_images=config.grid_every_images,
            checkpoint_every_images=config.checkpoint_every_images,
        )

        model = artifact_utils.get_single_instance(output_dict["model"])
        model_run = artifact_utils.get_single_instance(output_dict["model_run"])
        trainer.export(path_utils.serving_model_dir(model.uri))
        io_utils.copy_dir(log_folder, model_run.uri)
        trainer.export_untrained(os.path.join(model_run.uri, UNTRAINED_FOLDER))


def _key(input_dict: dict[str, list[types.Artifact]], exec_properties: dict[str, Any]) -> str:
    """Names what is trained: another configuration, code or data must not resume this training."""
    parts = [exec_properties[name] for name in ("config", "image_shape", "code_version")]
    parts += [artifact.uri for artifact in input_dict["examples"]]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
