"""The Pusher stage."""

from tfx.components.pusher import component
from tfx.dsl.components.base import executor_spec

from components.pusher.executor import Executor


class Pusher(component.Pusher):
    """TFX's Pusher with an executor whose versions appear whole."""

    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)
