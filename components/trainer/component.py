"""The GANTrainer stage; training itself is in `training.py`."""

import hashlib
import os

from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.dsl.io import fileio
from tfx.types.standard_artifacts import ExampleAnomalies, Examples, Model, ModelRun
from tfx.utils import io_utils, path_utils

from components.common import artifact_files, files, plugins, saved_models, tfx
from components.common.code_version import code_version
from components.data.examples import TRAIN_SPLIT
from components.data.spec import DataSpec
from components.trainer import training
from components.trainer.callbacks import quality
from components.trainer.config import TrainerConfig
from components.trainer.data.scaling import Scaling


def trainer_version(config: TrainerConfig) -> str:
    """The stage's `code_version`, including the plugins named in `config`."""
    others = [plugins.source_file(name) for name in config.plugin_names]
    return code_version("trainer", others, ignoring=["components.common.grids"])


@component
def GANTrainer(
    examples: InputArtifact[Examples],
    anomalies: InputArtifact[ExampleAnomalies],
    model: OutputArtifact[Model],
    model_run: OutputArtifact[ModelRun],
    config: Parameter[str],
    data: Parameter[str],
    checkpoint_dir: Parameter[str],
    code_version: Parameter[str],
    extractor: InputArtifact[Model] = None,
) -> None:
    """Trains the GAN on the train split, and exports it with the log of the run.

    Args:
      examples: splits train and eval, in the format described in `components.data.examples`.
      anomalies: of all splits; any anomaly fails the stage.
      model: the best generator (`Format-Serving/`, signatures in `components.trainer.export`);
        with classes that have names, `assets.extra/classes.json` has them by label.
      model_run: log.jsonl, configuration.json, grids/ of images, tensorboard/, and untrained/, the
        generator before training.
      config: the recipe's section `trainer` as JSON.
      data: the `DataSpec` as JSON.
      checkpoint_dir: a folder that survives failed runs, which resume from it.
      code_version: from `trainer_version`.
      extractor: features for the metrics measured during training; default: pixels.
    """
    tfx.refuse_anomalies([anomalies])
    settings = TrainerConfig.model_validate_json(config)
    spec = DataSpec.model_validate_json(data)
    split = spec.read(tfx.split_files([examples], TRAIN_SPLIT))
    values, scaling = split.data, None
    if spec.columns:
        scaling = Scaling.learn(values, spec.columns)
        values = scaling.to_unit(values)
    dataset = values if split.labels is None else (values, split.labels)

    extract = None
    if extractor:
        extract = quality.load_extractor(path_utils.serving_model_dir(extractor.uri))
    trainer = training.GANTrainer.from_config(settings, dataset, extract=extract, scaling=scaling)
    trainer.export(os.path.join(model_run.uri, artifact_files.UNTRAINED))

    # Only a run with the same configuration, code and data may resume this training.
    parts = [config, data, code_version, examples.uri, extractor.uri if extractor else ""]
    key = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
    folder = os.path.join(checkpoint_dir, key)
    trainer.train(settings.images, folder)
    trainer.export(path_utils.serving_model_dir(model.uri))
    if settings.conditioning and split.class_names:
        saved_models.save_class_names(path_utils.serving_model_dir(model.uri), split.class_names)
    _copy_all(os.path.join(folder, training.LOG_FOLDER), model_run.uri)
    if settings.quality.every_images:
        # The record says which score the default was.
        used = settings.quality.model_copy(update={"select_by": trainer.select_by})
        settings = settings.model_copy(update={"quality": used})
    configuration = settings.model_dump_json(by_alias=True, indent=2)
    files.write(os.path.join(model_run.uri, artifact_files.CONFIGURATION), configuration.encode())
    model.set_string_custom_property("code_version", code_version)


def _copy_all(source: str, destination: str) -> None:
    """Copies the contents of `source` into `destination`."""
    for name in fileio.listdir(source):
        copy = io_utils.copy_dir if fileio.isdir(os.path.join(source, name)) else io_utils.copy_file
        copy(os.path.join(source, name), os.path.join(destination, name))
