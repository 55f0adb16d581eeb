"""The FeatureExtractor's contract."""

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import standard_artifacts
from tfx.types.component_spec import ChannelParameter, ExecutionParameter

from components.common.code_version import code_version
from components.data.spec import DataSpec
from components.feature_extractor import base
from components.feature_extractor.config import FeatureExtractorConfig
from components.feature_extractor.executor import Executor


class FeatureExtractorSpec(types.ComponentSpec):
    """Examples and their anomalies in, the extractor out."""

    PARAMETERS = {
        "config": ExecutionParameter(type=str),
        "data": ExecutionParameter(type=str),
        "data_name": ExecutionParameter(type=str),
        "code_version": ExecutionParameter(type=str),
    }
    INPUTS = {
        "examples": ChannelParameter(type=standard_artifacts.Examples),
        "anomalies": ChannelParameter(type=standard_artifacts.ExampleAnomalies),
    }
    OUTPUTS = {"extractor": ChannelParameter(type=standard_artifacts.Model)}


class FeatureExtractor(base_component.BaseComponent):
    """Makes the extractor whose features the trainer and the evaluator measure generators with.

    It depends on the data alone, so that TFX serves it from the cache while generators change.
    """

    SPEC_CLASS = FeatureExtractorSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        examples: types.BaseChannel,
        anomalies: types.BaseChannel,
        config: FeatureExtractorConfig,
        data: DataSpec,
        data_name: str,
    ) -> None:
        """Wires the stage.

        Args:
          examples: splits `train` and `eval` of the contract in `components.data.spec`.
          anomalies: of the same examples; any anomaly fails the stage.
          config: the kind of extractor and its options.
          data: what one datum is.
          data_name: what reports call the data.
        """
        super().__init__(
            FeatureExtractorSpec(
                examples=examples,
                anomalies=anomalies,
                extractor=types.Channel(type=standard_artifacts.Model),
                config=config.model_dump_json(),
                data=data.model_dump_json(),
                data_name=data_name,
                code_version=code_version(
                    "feature_extractor", base.find(config.kind).files(config)
                ),
            )
        )
