"""The GANEvaluator stage."""

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from components.common.code_version import code_version
from components.data.spec import DataSpec
from components.evaluator.config import EvaluatorConfig
from components.evaluator.executor import Executor


class GANEvaluatorSpec(ComponentSpec):
    """What the stage reads and writes."""

    PARAMETERS = {
        "config": ExecutionParameter(type=str),
        "data": ExecutionParameter(type=str),
        "code_version": ExecutionParameter(type=str),
    }
    INPUTS = {
        "examples": ChannelParameter(type=standard_artifacts.Examples),
        "model": ChannelParameter(type=standard_artifacts.Model),
        "extractor": ChannelParameter(type=standard_artifacts.Model),
        "model_run": ChannelParameter(type=standard_artifacts.ModelRun),
        "baseline": ChannelParameter(type=standard_artifacts.Model, optional=True),
        "schema": ChannelParameter(type=standard_artifacts.Schema, optional=True),
    }
    OUTPUTS = {
        "evaluation": ChannelParameter(type=standard_artifacts.ModelEvaluation),
        "blessing": ChannelParameter(type=standard_artifacts.ModelBlessing),
    }


class GANEvaluator(base_component.BaseComponent):
    """Scores the generator against the eval split and blesses it if the gate's rules are kept.

    Args:
      examples: splits train and eval of the contract in `components.data.examples`.
      model: the generator.
      extractor: what turns the data into features.
      model_run: of the generator's training: log.jsonl, untrained/.
      config: the recipe's evaluator section.
      data: what one datum is.
      baseline: the last blessed generator; may resolve to none.
      schema: that the data were validated by, for the report's lineage.

    Outputs:
      evaluation: metrics.json, report.html, samples.png or samples.csv; every score of the
        generator is also a custom property, and the id of its extractor.
      blessing: what Pusher looks at; property `verdicts` has every rule of the gate, a line each,
        and `reasons` those that refused the generator.
    """

    SPEC_CLASS = GANEvaluatorSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        examples: types.BaseChannel,
        model: types.BaseChannel,
        extractor: types.BaseChannel,
        model_run: types.BaseChannel,
        config: EvaluatorConfig,
        data: DataSpec,
        baseline: types.BaseChannel | None = None,
        schema: types.BaseChannel | None = None,
    ) -> None:
        super().__init__(
            GANEvaluatorSpec(
                examples=examples,
                model=model,
                extractor=extractor,
                model_run=model_run,
                baseline=baseline,
                schema=schema,
                config=config.model_dump_json(),
                data=data.model_dump_json(),
                code_version=code_version("evaluator"),
                evaluation=types.Channel(type=standard_artifacts.ModelEvaluation),
                blessing=types.Channel(type=standard_artifacts.ModelBlessing),
            )
        )
