"""The GANTrainer stage."""

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from components.common import plugins
from components.common.code_version import code_version
from components.data.spec import DataSpec
from components.trainer.config import TrainerConfig
from components.trainer.executor import Executor


class GANTrainerSpec(ComponentSpec):
    """What the stage reads and writes."""

    PARAMETERS = {
        "config": ExecutionParameter(type=str),
        "data": ExecutionParameter(type=str),
        "checkpoint_dir": ExecutionParameter(type=str),
        "code_version": ExecutionParameter(type=str),
    }
    INPUTS = {
        "examples": ChannelParameter(type=standard_artifacts.Examples),
        "anomalies": ChannelParameter(type=standard_artifacts.ExampleAnomalies),
        "extractor": ChannelParameter(type=standard_artifacts.Model, optional=True),
    }
    OUTPUTS = {
        "model": ChannelParameter(type=standard_artifacts.Model),
        "model_run": ChannelParameter(type=standard_artifacts.ModelRun),
    }


class GANTrainer(base_component.BaseComponent):
    """Trains the GAN on the train split; refuses data with anomalies.

    Args:
      examples: splits train and eval of the contract in `components.data.examples`.
      anomalies: of all splits.
      config: the recipe's trainer section.
      data: what one datum is.
      checkpoint_dir: stable folder, outside the artifacts: a failed run resumes from there.
      extractor: features for what is measured while training goes on; default: pixels.

    Outputs:
      model: the best generator (`Format-Serving/`, signatures in `components.trainer.export`).
      model_run: log.jsonl, configuration.json, grids/ of images, tensorboard/, and untrained/, the
        generator before training.
    """

    SPEC_CLASS = GANTrainerSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        examples: types.BaseChannel,
        anomalies: types.BaseChannel,
        config: TrainerConfig,
        data: DataSpec,
        checkpoint_dir: str,
        extractor: types.BaseChannel | None = None,
    ) -> None:
        super().__init__(
            GANTrainerSpec(
                examples=examples,
                anomalies=anomalies,
                extractor=extractor,
                config=config.model_dump_json(),
                data=data.model_dump_json(),
                checkpoint_dir=checkpoint_dir,
                code_version=code_version(
                    "trainer",
                    [plugins.source_file(name) for name in config.plugins],
                    ignoring=["components.common.grids"],
                ),
                model=types.Channel(type=standard_artifacts.Model),
                model_run=types.Channel(type=standard_artifacts.ModelRun),
            )
        )
