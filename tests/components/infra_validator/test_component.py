import os
import shutil
from pathlib import Path

import pytest
from tfx import types
from tfx.components.util import model_utils
from tfx.types import standard_artifacts
from tfx.utils import path_utils

from components.infra_validator.component import InfraValidator
from components.infra_validator.config import InfraValidatorConfig


@pytest.fixture
def judge(tmp_path, monkeypatch):
    """Runs the stage on a SavedModel and returns the blessing."""
    # Relative, as a pipeline root may be.
    monkeypatch.chdir(tmp_path)

    def do(saved_model=None, **limits):
        model = standard_artifacts.Model()
        model.uri = "model"
        if saved_model:
            shutil.copytree(saved_model, path_utils.serving_model_dir(model.uri))
        blessing = standard_artifacts.InfraBlessing()
        blessing.uri = "blessing"
        Path(blessing.uri).mkdir()
        config = InfraValidatorConfig(**limits).model_dump_json()
        InfraValidator.EXECUTOR_SPEC.executor_class().Do(
            {"model": [model]}, {"blessing": [blessing]}, {"config": config, "code_version": "test"}
        )
        return blessing

    return do


def test_a_sound_generator_is_blessed(plant, judge):
    blessing = judge(plant())

    assert model_utils.is_infra_validated(blessing)
    assert [path.name for path in Path(blessing.uri).iterdir()] == ["INFRA_BLESSED"]


@pytest.mark.parametrize(
    ("fault", "limits", "reason"),
    [
        ("needs Python", {}, "pyfunc"),
        (None, {"seconds": 1}, "the model did not load and respond within 1 seconds"),
        ("crashing", {}, "the process that loads the model ended with exit code -6"),
        ("hanging", {"seconds": 20}, "the model did not load and respond within 20 seconds"),
        ("voracious", {"memory_gb": 2}, "serving the model takes more than 2 GB"),
        (None, {"rows_per_second": 1e9}, "rows a second, expected 1e+09 or more"),
    ],
)
def test_what_cannot_be_served_is_not_blessed(plant, judge, fault, limits, reason):
    blessing = judge(plant(fault), **limits)

    assert not model_utils.is_infra_validated(blessing)
    assert reason in blessing.get_string_custom_property("reasons")
    assert [path.name for path in Path(blessing.uri).iterdir()] == ["INFRA_NOT_BLESSED"]


@pytest.mark.parametrize(
    ("lacking", "reason"),
    [
        ("", "Format-Serving: no description; export the generator with contract 2"),
        ("saved_model.pb", "SavedModel file does not exist"),
        ("assets.extra", "tf_serving_warmup_requests; No such file"),
    ],
)
def test_half_a_model_is_not_blessed(plant, judge, tmp_path, lacking, reason):
    if lacking:
        shutil.copytree(plant(), tmp_path / "half")
        remove = shutil.rmtree if (tmp_path / "half" / lacking).is_dir() else os.remove
        remove(tmp_path / "half" / lacking)
    blessing = judge(tmp_path / "half" if lacking else None)

    assert not model_utils.is_infra_validated(blessing)
    found = blessing.get_string_custom_property("reasons")
    assert reason in found
    assert "\n" not in found


def test_contract():
    component = InfraValidator(
        model=types.Channel(type=standard_artifacts.Model),
        config="{}",
        code_version="0123456789abcdef",
    )

    assert component.outputs["blessing"].type_name == "InfraBlessing"
    assert component.exec_properties["code_version"] == "0123456789abcdef"
