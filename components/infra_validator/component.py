"""The InfraValidator's contract."""

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import standard_artifacts
from tfx.types.component_spec import ChannelParameter, ExecutionParameter

from components.common.code_version import code_version
from components.infra_validator.executor import Executor


class InfraValidatorSpec(types.ComponentSpec):
    """A generator in, an infra blessing for the Pusher out."""

    PARAMETERS = {
        "timeout": ExecutionParameter(type=int),
        "code_version": ExecutionParameter(type=str),
    }
    INPUTS = {"model": ChannelParameter(type=standard_artifacts.Model)}
    OUTPUTS = {"blessing": ChannelParameter(type=standard_artifacts.InfraBlessing)}


class InfraValidator(base_component.BaseComponent):
    """Loads and calls the generator in a clean process before it is pushed.

    TFX's own InfraValidator needs Docker or Kubernetes and does not compile for Kubeflow.
    """

    SPEC_CLASS = InfraValidatorSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(self, model: types.BaseChannel, timeout: int = 300) -> None:
        """Wires the stage.

        Args:
          model: the generator.
          timeout: seconds that the process may take to start, load the model and answer.
        """
        super().__init__(
            InfraValidatorSpec(
                model=model,
                blessing=types.Channel(type=standard_artifacts.InfraBlessing),
                timeout=timeout,
                code_version=code_version("infra_validator"),
            )
        )
