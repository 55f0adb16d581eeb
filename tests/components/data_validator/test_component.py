"""The contract of the stage."""

import json

import pytest
from tfx import types
from tfx.types import standard_artifacts

from components.data.spec import DataSpec
from components.data_validator.component import DataValidator, SchemaGen
from components.data_validator.config import ValidationConfig


@pytest.mark.parametrize("with_previous", [True, False])
def test_the_stage_validates_examples(with_previous):
    statistics = types.Channel(type=standard_artifacts.ExampleStatistics)
    validator = DataValidator(
        examples=types.Channel(type=standard_artifacts.Examples),
        statistics=statistics,
        schema=types.Channel(type=standard_artifacts.Schema),
        previous=statistics if with_previous else None,
        config=ValidationConfig(max_duplicate_fraction=0.2).model_dump_json(),
        code_version="0123456789abcdef",
    )
    assert {key: channel.type_name for key, channel in validator.outputs.items()} == {
        "anomalies": "ExampleAnomalies"
    }
    assert ("previous" in validator.inputs) is with_previous
    assert json.loads(validator.exec_properties["config"])["max_duplicate_fraction"] == 0.2
    assert validator.exec_properties["code_version"] == "0123456789abcdef"


def test_the_stage_proposes_a_schema():
    proposer = SchemaGen(
        statistics=types.Channel(type=standard_artifacts.ExampleStatistics),
        data=DataSpec(columns=("wind",)).model_dump_json(),
        code_version="0123456789abcdef",
    )
    assert proposer.id == "SchemaGen"
    assert proposer.outputs["schema"].type_name == "Schema"
    assert json.loads(proposer.exec_properties["data"])["columns"] == ["wind"]
    assert proposer.exec_properties["code_version"] == "0123456789abcdef"
