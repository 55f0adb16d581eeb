"""The contract of the stage."""

import json

from tfx import types
from tfx.types import standard_artifacts

from components.data.spec import DataSpec
from components.evaluator.component import GANEvaluator
from components.evaluator.config import EvaluatorConfig

CONFIG = EvaluatorConfig(gate={"bounds": {"fid": {"max": 60}}})


def test_the_stage_judges_a_model():
    component = GANEvaluator(
        examples=types.Channel(type=standard_artifacts.Examples),
        model=types.Channel(type=standard_artifacts.Model),
        extractor=types.Channel(type=standard_artifacts.Model),
        model_run=types.Channel(type=standard_artifacts.ModelRun),
        config=CONFIG.model_dump_json(),
        data=DataSpec(image_shape=(28, 28, 1)).model_dump_json(),
        data_name="digits",
        code_version="0123456789abcdef",
    )

    assert {key: channel.type_name for key, channel in component.outputs.items()} == {
        "evaluation": "ModelEvaluation",
        "blessing": "ModelBlessing",
    }
    assert component.inputs.keys() == {"examples", "model", "extractor", "model_run"}
    assert json.loads(component.exec_properties["config"])["gate"]["bounds"]["fid"]["max"] == 60
    assert component.id == "GANEvaluator"
    assert component.exec_properties["code_version"] == "0123456789abcdef"
