"""The stages DataValidator and, for data without a schema of their own, SchemaGen."""

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from components.common.code_version import code_version
from components.data.spec import DataSpec
from components.data_validator.config import ValidationConfig
from components.data_validator.executor import Executor, SchemaExecutor


class DataValidatorSpec(ComponentSpec):
    """What the stage reads and writes."""

    PARAMETERS = {
        "config": ExecutionParameter(type=str),
        "code_version": ExecutionParameter(type=str),
    }
    INPUTS = {
        "examples": ChannelParameter(type=standard_artifacts.Examples),
        "statistics": ChannelParameter(type=standard_artifacts.ExampleStatistics),
        "schema": ChannelParameter(type=standard_artifacts.Schema),
        "previous": ChannelParameter(type=standard_artifacts.ExampleStatistics, optional=True),
    }
    OUTPUTS = {"anomalies": ChannelParameter(type=standard_artifacts.ExampleAnomalies)}


class DataValidator(base_component.BaseComponent):
    """Judges the examples by their schema, by what they were, and by what ExampleGen noted.

    It does what TFX's ExampleValidator does, whose place it takes, and compares: eval with train,
    train with the span before and with the data that the schema was made from.

    Args:
      examples: for what ExampleGen noted about them.
      statistics: of the examples, from StatisticsGen with `statistics.options`.
      schema: of the examples.
      config: the recipe's section `validation`.
      previous: statistics of an earlier span; may resolve to none.

    Outputs:
      anomalies: laid out as ExampleValidator's; property `blessed` has 1 for each split without
        any, `statistics_id` the id of the statistics, `span` that of the examples.
    """

    SPEC_CLASS = DataValidatorSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        examples: types.BaseChannel,
        statistics: types.BaseChannel,
        schema: types.BaseChannel,
        config: ValidationConfig,
        previous: types.BaseChannel | None = None,
    ) -> None:
        super().__init__(
            DataValidatorSpec(
                examples=examples,
                statistics=statistics,
                schema=schema,
                previous=previous,
                config=config.model_dump_json(),
                code_version=code_version("data_validator"),
                anomalies=types.Channel(type=standard_artifacts.ExampleAnomalies),
            )
        )


class SchemaGenSpec(ComponentSpec):
    """What the stage reads and writes."""

    PARAMETERS = {
        "data": ExecutionParameter(type=str),
        "code_version": ExecutionParameter(type=str),
    }
    INPUTS = {"statistics": ChannelParameter(type=standard_artifacts.ExampleStatistics)}
    OUTPUTS = {"schema": ChannelParameter(type=standard_artifacts.Schema)}


class SchemaGen(base_component.BaseComponent):
    """Proposes a schema from the data themselves, as `tfx-gan schema` does.

    TFX's own takes labels that are counted as classes for strings.

    Args:
      statistics: of the examples, from StatisticsGen with `statistics.options`.
      data: what one datum is.

    Outputs:
      schema: schema.pbtxt.
    """

    SPEC_CLASS = SchemaGenSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(SchemaExecutor)

    def __init__(self, statistics: types.BaseChannel, data: DataSpec) -> None:
        super().__init__(
            SchemaGenSpec(
                statistics=statistics,
                data=data.model_dump_json(),
                code_version=code_version("data_validator"),
                schema=types.Channel(type=standard_artifacts.Schema),
            )
        )
