import json
import os
from pathlib import Path

import pytest
import tensorflow as tf
from tfx import types
from tfx.proto import pusher_pb2
from tfx.types import standard_artifacts
from tfx.utils import io_utils, path_utils

from components.common import files, saved_models
from components.pusher.component import Executor, Pusher


def test_contract():
    filesystem = pusher_pb2.PushDestination.Filesystem(base_directory="/serving")
    pusher = Pusher(
        model=types.Channel(type=standard_artifacts.Model),
        model_blessing=types.Channel(type=standard_artifacts.ModelBlessing),
        infra_blessing=types.Channel(type=standard_artifacts.InfraBlessing),
        evaluation=types.Channel(type=standard_artifacts.ModelEvaluation),
        push_destination=pusher_pb2.PushDestination(filesystem=filesystem),
        custom_config={},
    )

    assert pusher.id == "Pusher"
    assert pusher.outputs["pushed_model"].type_name == "PushedModel"
    assert pusher.executor_spec.executor_class is Executor


NOW = 1_700_000_000
EVALUATION = {
    "metrics": {"fid": {"value": 12.5, "low": 11.0, "high": 14.0, "details": {}}},
    "lineage": {"data span": 3},
    "gate": [],
}


@pytest.fixture
def model(tmp_path):
    module = tf.Module()
    module.double = tf.function(
        lambda x: {"y": 2 * x}, input_signature=[tf.TensorSpec([], tf.float32, name="x")]
    )
    artifact = standard_artifacts.Model()
    artifact.uri = str(tmp_path / "model")
    path = path_utils.serving_model_dir(artifact.uri)
    tf.saved_model.save(module, path, signatures={"serving_default": module.double})
    return artifact


@pytest.fixture
def change(model):
    """Changes the model."""

    def do():
        path = Path(path_utils.serving_model_dir(model.uri)) / "assets" / "notes"
        path.parent.mkdir(exist_ok=True)
        path.write_text((path.read_text() if path.exists() else "") + "x")

    return do


@pytest.fixture
def serving(tmp_path):
    return tmp_path / "serving"


@pytest.fixture
def push(model, serving, tmp_path, monkeypatch):
    """Runs the stage, always within the same second, and returns the artifact `pushed_model`."""
    monkeypatch.setattr("time.time", lambda: NOW + 0.5)

    def do(blessed=1, **custom_config):
        blessing = standard_artifacts.ModelBlessing()
        blessing.set_int_custom_property("blessed", blessed)
        blessing.set_float_custom_property("fid", 12.5)
        blessing.set_string_custom_property("extractor_id", "e")
        evaluation = standard_artifacts.ModelEvaluation()
        evaluation.uri = str(tmp_path / "evaluation")
        files.write(f"{evaluation.uri}/metrics.json", json.dumps(EVALUATION).encode())
        destination = {"filesystem": {"base_directory": str(serving)}}
        pushed = standard_artifacts.PushedModel()
        pushed.uri = str(tmp_path / "pushed")
        Executor().Do(
            {"model": [model], "model_blessing": [blessing], "evaluation": [evaluation]},
            {"pushed_model": [pushed]},
            {
                "push_destination": json.dumps(destination),
                "custom_config": json.dumps(custom_config),
            },
        )
        return pushed

    return do


def names(folder):
    return sorted(path.name for path in Path(folder).iterdir())


def test_a_blessed_model_becomes_a_version(push, model, serving):
    pushed = push()

    assert names(serving) == [str(NOW)]
    assert pushed.get_int_custom_property("pushed") == 1
    assert pushed.get_string_custom_property("pushed_version") == str(NOW)
    destination = pushed.get_string_custom_property("pushed_destination")
    assert destination == str(serving / str(NOW))
    assert names(destination) == sorted(
        ["assets.extra", *names(path_utils.serving_model_dir(model.uri))]
    )
    assert saved_models.blessing(destination) == {"fid": 12.5, "extractor_id": "e"}
    served = tf.saved_model.load(destination).signatures["serving_default"]
    assert served(x=tf.constant(21.0))["y"] == 42


def test_the_model_says_how_it_was_evaluated(push, model, tmp_path):
    saved_models.write_description(f"{path_utils.serving_model_dir(model.uri)}/assets", {"a": 1})
    files.write(str(tmp_path / "evaluation" / "generator.html"), b"a page")

    destination = push().get_string_custom_property("pushed_destination")
    assert saved_models.description(destination) == {
        "a": 1,
        "blessing": {"fid": 12.5, "extractor_id": "e"},
        "metrics": EVALUATION["metrics"],
        "lineage": EVALUATION["lineage"],
    }
    assert files.read(f"{destination}/assets.extra/generator.html") == b"a page"

    # Another evaluation of the same model.
    files.write(str(tmp_path / "evaluation" / "generator.html"), b"another page")
    assert push().get_string_custom_property("pushed_destination") == destination


def test_a_refused_model_leaves_nothing(push, serving):
    pushed = push(blessed=0)

    assert pushed.get_int_custom_property("pushed") == 0
    assert not serving.exists()


def test_pushes_within_one_second_are_versions_in_order(push, change, serving):
    versions = []
    for _ in range(3):
        change()
        versions.append(push().get_string_custom_property("pushed_version"))

    assert versions == names(serving) == [str(NOW), str(NOW + 1), str(NOW + 2)]


def test_the_model_that_is_served_is_not_pushed_again(push, change, serving):
    push()
    again = push()

    assert names(serving) == [str(NOW)]
    assert again.get_int_custom_property("pushed") == 1
    assert again.get_string_custom_property("pushed_destination") == str(serving / str(NOW))

    change()
    push()
    assert names(serving) == [str(NOW), str(NOW + 1)]


def test_a_push_becomes_the_highest_version(push, serving):
    (serving / str(NOW + 500)).mkdir(parents=True)

    assert push().get_string_custom_property("pushed_version") == str(NOW + 501)


def test_a_killed_push_is_no_version_and_is_cleared_away(push, change, serving, monkeypatch):
    class Killed(BaseException):
        pass

    copied = []

    def copy_then_die(source, destination, *args, **kwargs):
        copied.append(destination)
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        # TFX copies saved_model.pb last.
        patch.setattr(io_utils, "copy_file", copy_then_die)
        push()
    assert copied
    assert not [name for name in names(serving) if name.isdecimal()]

    push()
    # Perhaps of a push that goes on.
    (left,) = (name for name in names(serving) if not name.isdecimal())
    os.utime(serving / left, (NOW - 90_000, NOW - 90_000))
    change()
    push()
    assert names(serving) == [str(NOW), str(NOW + 1)]


def test_the_last_versions_are_kept(push, change, serving):
    for _ in range(4):
        change()
        pushed = push(keep_last=2)

    assert names(serving) == [str(NOW + 2), str(NOW + 3)]
    assert pushed.get_string_custom_property("pushed_version") == str(NOW + 3)
