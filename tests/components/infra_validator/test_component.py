from pathlib import Path

import pytest
from tfx import types
from tfx.components.util import model_utils
from tfx.types import standard_artifacts
from tfx.utils import path_utils

from components.infra_validator.component import InfraValidator


@pytest.fixture
def judge(tmp_path, monkeypatch):
    """Runs the stage on the model below `tmp_path` and returns the blessing."""
    # Relative, as a pipeline root may be.
    monkeypatch.chdir(tmp_path)

    def do(timeout=300):
        model = standard_artifacts.Model()
        model.uri = "model"
        blessing = standard_artifacts.InfraBlessing()
        blessing.uri = "blessing"
        Path(blessing.uri).mkdir()
        InfraValidator.EXECUTOR_SPEC.executor_class().Do(
            {"model": [model]},
            {"blessing": [blessing]},
            {"timeout": timeout, "code_version": "test"},
        )
        return blessing

    return do


def test_a_sound_generator_is_blessed(export, judge, tmp_path):
    export(path_utils.serving_model_dir(str(tmp_path / "model")))

    blessing = judge()

    assert model_utils.is_infra_validated(blessing)
    assert [path.name for path in Path(blessing.uri).iterdir()] == ["INFRA_BLESSED"]


def test_a_generator_that_needs_this_process_is_not_blessed(export, judge, tmp_path):
    export(path_utils.serving_model_dir(str(tmp_path / "model")), "needs Python")

    blessing = judge()

    assert not model_utils.is_infra_validated(blessing)
    assert "pyfunc" in blessing.get_string_custom_property("reasons")
    assert [path.name for path in Path(blessing.uri).iterdir()] == ["INFRA_NOT_BLESSED"]


def test_a_missing_model_is_not_blessed(judge):
    blessing = judge()

    assert not model_utils.is_infra_validated(blessing)
    reason = blessing.get_string_custom_property("reasons")
    assert "Format-Serving" in reason
    assert "\n" not in reason


def test_a_model_that_does_not_answer_in_time_is_not_blessed(export, judge, tmp_path):
    export(path_utils.serving_model_dir(str(tmp_path / "model")))

    blessing = judge(timeout=1)

    assert not model_utils.is_infra_validated(blessing)
    assert "within 1 seconds" in blessing.get_string_custom_property("reasons")


def test_contract():
    component = InfraValidator(
        model=types.Channel(type=standard_artifacts.Model),
        timeout=20,
        code_version="0123456789abcdef",
    )

    assert component.outputs["blessing"].type_name == "InfraBlessing"
    assert component.exec_properties["timeout"] == 20
    assert component.exec_properties["code_version"] == "0123456789abcdef"
