"""The stages' contract and the artifacts they leave; what is checked: test_checks.py."""

import json

import numpy as np
import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2
from tfx import types
from tfx.types import artifact_utils, standard_artifacts

from components.common import files
from components.data import examples
from components.data.spec import DataSpec
from components.data_validator.component import DataValidator, ImportSchemaGen, SchemaGen
from components.data_validator.config import ValidationConfig


def test_the_stage_validates_examples():
    statistics = types.Channel(type=standard_artifacts.ExampleStatistics)
    validator = DataValidator(
        examples=types.Channel(type=standard_artifacts.Examples),
        statistics=statistics,
        schema=types.Channel(type=standard_artifacts.Schema),
        previous="",
        good_spans_folder="/state/good_spans",
        config=ValidationConfig(max_duplicate_fraction=0.2).model_dump_json(),
        code_version="0123456789abcdef",
    )
    assert {key: channel.type_name for key, channel in validator.outputs.items()} == {
        "anomalies": "ExampleAnomalies"
    }
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


def test_a_schema_is_passed_on_by_its_text(tmp_path):
    schema = artifact(standard_artifacts.Schema, tmp_path / "schema")
    ImportSchemaGen.EXECUTOR_SPEC.executor_class().Do(
        {}, {"schema": [schema]}, {"text": "feature {}", "code_version": "test"}
    )
    assert (tmp_path / "schema" / "schema.pbtxt").read_text() == "feature {}"


SPLITS = artifact_utils.encode_split_names(["train", "eval"])


def artifact(kind, folder):
    folder.mkdir()
    made = kind()
    made.uri = str(folder)
    return made


def test_anomalies_are_left_as_example_validator_leaves_them(tmp_path, statistics_of):
    found = {
        split: statistics_of(
            [examples.to_example(examples.from_array(image, "a.png")).SerializeToString()]
        )
        for split, image in {
            "train": np.eye(8, dtype=np.uint8),
            "eval": np.eye(9, dtype=np.uint8),
        }.items()
    }
    given = artifact(standard_artifacts.Examples, tmp_path / "examples")
    given.set_int_custom_property("span", 3)
    statistics = artifact(standard_artifacts.ExampleStatistics, tmp_path / "statistics")
    statistics.split_names = SPLITS
    for split, each in found.items():
        files.write(f"{statistics.uri}/Split-{split}/FeatureStats.pb", each.SerializeToString())
    schema = artifact(standard_artifacts.Schema, tmp_path / "schema")
    inferred = tfdv.infer_schema(found["train"], max_string_domain_size=0)
    tfdv.set_domain(inferred, examples.HEIGHT, schema_pb2.IntDomain(min=8, max=8))
    tfdv.write_schema_text(inferred, f"{schema.uri}/schema.pbtxt")
    anomalies = artifact(standard_artifacts.ExampleAnomalies, tmp_path / "anomalies")

    inputs = {"examples": [given], "statistics": [statistics], "schema": [schema]}
    good_spans = tmp_path / "good_spans"
    properties = {
        "config": ValidationConfig().model_dump_json(),
        "good_spans_folder": str(good_spans),
        "previous": "",
        "code_version": "test",
    }
    DataValidator.EXECUTOR_SPEC.executor_class().Do(inputs, {"anomalies": [anomalies]}, properties)

    assert anomalies.split_names == SPLITS
    assert anomalies.span == 3
    assert anomalies.get_int_custom_property("blessed_train") == 1
    assert anomalies.get_int_custom_property("blessed_eval") == 0
    assert not good_spans.exists()
    for split, names in (("train", set()), ("eval", {examples.HEIGHT})):
        content = (tmp_path / "anomalies" / f"Split-{split}" / "SchemaDiff.pb").read_bytes()
        assert anomalies_pb2.Anomalies.FromString(content).anomaly_info.keys() == names
