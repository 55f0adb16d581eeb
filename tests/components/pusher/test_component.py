from tfx import types
from tfx.proto import pusher_pb2
from tfx.types import standard_artifacts

from components.pusher.component import Executor, Pusher


def test_contract():
    filesystem = pusher_pb2.PushDestination.Filesystem(base_directory="/serving")
    pusher = Pusher(
        model=types.Channel(type=standard_artifacts.Model),
        model_blessing=types.Channel(type=standard_artifacts.ModelBlessing),
        infra_blessing=types.Channel(type=standard_artifacts.InfraBlessing),
        push_destination=pusher_pb2.PushDestination(filesystem=filesystem),
    )

    assert pusher.id == "Pusher"
    assert pusher.outputs["pushed_model"].type_name == "PushedModel"
    assert pusher.executor_spec.executor_class is Executor
