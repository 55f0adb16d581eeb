"""The GANTrainer stage; training itself is in `training.py`."""

import hashlib
import json
import os

from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.dsl.io import fileio
from tfx.types.standard_artifacts import (
    ExampleAnomalies,
    Examples,
    HyperParameters,
    Model,
    ModelRun,
)
from tfx.utils import io_utils, path_utils

from components.common import artifact_files, files, plugins, saved_models, tfx
from components.common.code_version import code_version
from components.data.examples import Split
from components.data.spec import DataSpec
from components.features import Extractor, data_id
from components.trainer import devices, training
from components.trainer.callbacks import quality
from components.trainer.callbacks.checkpoints import FREE_OPTIONS
from components.trainer.config import TrainerConfig
from components.trainer.data import loading
from components.trainer.workers import Workers


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
    hyperparameters: InputArtifact[HyperParameters] = None,
    mirror: Parameter[int] = 0,
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
      checkpoint_dir: a folder that survives failed runs; a run with the same configuration, code
        and data resumes from it, whatever its artifacts' URIs. Several workers share it.
      code_version: from `trainer_version`.
      extractor: features for the metrics measured during training; default: pixels.
      hyperparameters: from GANTuner; their values replace those of `config`.
      mirror: 1 if each image is its mirror image half of the time (the key `data.mirror`), else 0;
        TFX compiles a bool into a number, which Kubeflow would not take for one.
    """
    settings = TrainerConfig.model_validate_json(config)
    if hyperparameters:
        found = files.read(os.path.join(hyperparameters.uri, artifact_files.HYPERPARAMETERS))
        settings = settings.with_values(json.loads(found)["values"])
    settings = settings.settled()
    # Before TensorFlow is used for anything, or a cluster could not be joined any more.
    strategy = devices.strategy(settings.wait_for_workers_minutes)
    workers = Workers(strategy)
    tfx.refuse_anomalies([anomalies])
    spec = DataSpec.model_validate_json(data)
    names = loading.needed(spec, tfx.split_names([examples]))
    listed = {name: tfx.split_files([examples], name) for name in names}
    judge = Extractor(extractor.uri) if extractor else None
    loaded = loading.load(
        spec,
        listed,
        judge=judge,
        mirror=bool(mirror),
        **settings.loading,
    )
    split = loaded.split
    key = _key(settings, spec, code_version, split, judge.id if judge else "", bool(mirror))
    folder = os.path.join(checkpoint_dir, key)
    with workers.watched():
        trainer = training.GANTrainer.from_config(
            settings,
            loaded.source,
            strategy=strategy,
            extract=quality.ExtractWith(judge) if judge else None,
            encoding=loaded.encoding,
        )
        trainer.export(os.path.join(model_run.uri, artifact_files.UNTRAINED))
        trainer.train(settings.images, folder)
        trainer.export(path_utils.serving_model_dir(model.uri))
        if devices.is_chief(strategy):
            _describe(settings, trainer, split, folder, model.uri, model_run.uri)
        # Before the chief has written everything, nobody leaves.
        workers.meet()
    model.set_string_custom_property("code_version", code_version)


def _key(
    settings: TrainerConfig,
    spec: DataSpec,
    code_version: str,
    split: Split,
    extractor_id: str,
    mirror: bool,
) -> str:
    """Equal for trainings that may resume each other, wherever their artifacts lie.

    On Kubeflow every run has URIs of its own, so the content counts: 16 hexadecimal digits.
    """
    parts = [
        settings.model_dump_json(exclude=FREE_OPTIONS),
        spec.model_dump_json(),
        code_version,
        data_id(split.data),
        "" if split.labels is None else data_id(split.labels),
        extractor_id,
        *(["mirror"] if mirror else []),
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _describe(
    settings: TrainerConfig,
    trainer: training.GANTrainer,
    split: Split,
    folder: str,
    model: str,
    model_run: str,
) -> None:
    """Writes what lies beside the generator: its classes, the log and the configuration."""
    _copy_all(os.path.join(folder, training.LOG_FOLDER), model_run)
    if settings.quality.every_images:
        # The record says which score the default was.
        used = settings.quality.model_copy(update={"select_by": trainer.select_by})
        settings = settings.model_copy(update={"quality": used})
    named = bool(settings.conditioning and split.class_names)
    saved_models.describe_further(
        path_utils.serving_model_dir(model),
        recipe=settings.model_dump(mode="json", by_alias=True),
        **({"class_names": split.class_names} if named else {}),
    )
    configuration = settings.model_dump_json(by_alias=True, indent=2)
    files.write(os.path.join(model_run, artifact_files.CONFIGURATION), configuration.encode())


def _copy_all(source: str, destination: str) -> None:
    """Copies the contents of `source` into `destination`."""
    for name in fileio.listdir(source):
        copy = io_utils.copy_dir if fileio.isdir(os.path.join(source, name)) else io_utils.copy_file
        copy(os.path.join(source, name), os.path.join(destination, name))
