"""The GANTuner stage; the search itself is in `search.py`."""

import hashlib
import json
import logging
import os

import tensorflow as tf
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types.standard_artifacts import (
    ExampleAnomalies,
    Examples,
    HyperParameters,
    Model,
    TunerResults,
)

from components.common import artifact_files, files, tfx
from components.common.code_version import code_version
from components.data.spec import DataSpec
from components.features import Extractor
from components.trainer.callbacks.checkpoints import FREE_OPTIONS
from components.trainer.component import trainer_version
from components.trainer.config import TrainerConfig
from components.trainer.data import loading
from components.tuner import page, results, search
from components.tuner.config import TunerConfig
from components.tuner.task import Task

_log = logging.getLogger(__name__)

# Options that do not change what a trial is, so that a search can go on with others.
_FREE = {"trials", "jobs", "storage", "finalists", "seeds", "samples"}


def tuner_version(config: TrainerConfig) -> str:
    """The stage's `code_version`, including the plugins named in `config`."""
    own = code_version("tuner")
    return hashlib.sha256((own + trainer_version(config)).encode()).hexdigest()[:16]


@component
def GANTuner(
    examples: InputArtifact[Examples],
    anomalies: InputArtifact[ExampleAnomalies],
    extractor: InputArtifact[Model],
    hyperparameters: OutputArtifact[HyperParameters],
    tuner_results: OutputArtifact[TunerResults],
    config: Parameter[str],
    trainer: Parameter[str],
    data: Parameter[str],
    searches_dir: Parameter[str],
    code_version: Parameter[str],
    mirror: Parameter[int] = 0,
) -> None:
    """Searches for values of the section `trainer` that make a better generator.

    Args:
      examples: splits train and eval, of which the search sees train alone.
      anomalies: of all splits; any anomaly fails the stage.
      extractor: features by which trials are scored.
      hyperparameters: best_hyperparameters.txt, as TFX's Tuner writes it: JSON whose `values` hold,
        by dotted key, what to change in the section `trainer`; none if the recipe was not beaten.
      tuner_results: tuner_results.json, all trials, finalists and the verdict; tuning.html, the
        same as a page.
      config: the recipe's section `tuner` as JSON.
      trainer: the recipe's section `trainer` as JSON.
      data: the `DataSpec` as JSON.
      searches_dir: a folder that survives failed runs, from which the same search goes on.
      code_version: from `tuner_version`.
      mirror: as of GANTrainer.
    """
    tfx.refuse_anomalies([anomalies])
    settings = TunerConfig.model_validate_json(config)
    start = TrainerConfig.model_validate_json(trainer)
    spec = DataSpec.model_validate_json(data)
    names = loading.needed(spec, tfx.split_names([examples]))
    listed = {name: tfx.split_files([examples], name) for name in names}
    parts = [
        settings.model_dump_json(exclude=_FREE),
        start.model_dump_json(exclude=FREE_OPTIONS),
        spec.model_dump_json(),
        code_version,
        Extractor(extractor.uri).id,
        str(mirror),
        *(files.digest(os.path.dirname(paths[0])) for _, paths in sorted(listed.items())),
    ]
    key = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
    folder = os.path.join(searches_dir, key)
    tf.io.gfile.makedirs(folder)
    task = Task(
        name=key,
        tuner=settings,
        trainer=start,
        data=spec,
        files=listed,
        mirror=bool(mirror),
        extractor=extractor.uri,
        folder=folder,
        storage=settings.storage or f"sqlite:///{os.path.abspath(folder)}/studies.db",
        shared=settings.storage is not None,
    )
    gpus = len(tf.config.list_physical_devices("GPU"))
    outcome = search.run(task, processes=settings.jobs, gpus=gpus)
    _log.info("GANTuner: %s", outcome.words)
    for artifact, name, content in (
        (hyperparameters, artifact_files.HYPERPARAMETERS, json.dumps(results.best(outcome))),
        (tuner_results, artifact_files.TRIALS, json.dumps(results.report(task, outcome), indent=2)),
        (tuner_results, artifact_files.SEARCH_PAGE, page.render(task, outcome)),
    ):
        files.write(os.path.join(artifact.uri, name), content.encode())
    tuner_results.set_string_custom_property("words", outcome.words)
    tuner_results.set_int_custom_property("winner", outcome.winner)
