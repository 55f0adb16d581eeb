"""Generators of mixed tables: the stages on examples, and faults planted into real days."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tfx.types import artifact_utils, standard_artifacts
from tfx.utils import path_utils

from components import features
from components.data import vectors
from components.data.columns import values_of
from components.data.examples import Split
from components.data.spec import DataSpec
from components.evaluator import evaluate
from components.evaluator.component import GANEvaluator
from components.evaluator.config import EvaluatorConfig
from components.feature_extractor import FeatureExtractorConfig, make
from components.feature_extractor.component import FeatureExtractor

SETTINGS = {"kid_subsets": 5, "groups": 10}


@pytest.fixture(scope="module")
def days(weather):
    """Days of Seattle as splits; the eval split lacks snow."""
    (splits, columns) = weather
    codes = splits["Seattle"].data[np.random.default_rng(0).permutation(1461)]
    snow = splits["Seattle"].categories["weather"].index("snow")
    real = codes[:300]
    parts = {"eval": real[real[:, 6] != snow], "train": codes[300:700], "other": codes[700:1100]}
    categories = splits["Seattle"].categories
    return {name: Split(data, None, {}, categories) for name, data in parts.items()}, columns


def artifact(kind, folder):
    made = kind()
    made.uri = str(folder)
    Path(made.uri).mkdir()
    return made


@pytest.fixture(scope="module")
def stages(days, save_copier, tmp_path_factory):
    """Runs FeatureExtractor and GANEvaluator; returns their artifacts."""
    splits, columns = days
    folder = tmp_path_factory.mktemp("stages")
    data = artifact(standard_artifacts.Examples, folder / "examples")
    data.split_names = artifact_utils.encode_split_names(["train", "eval"])
    for name in ("eval", "train"):
        place = artifact_utils.get_split_uri([data], name)
        tf.io.gfile.makedirs(place)
        values = [
            values_of(splits[name].data[:, at], c, splits[name].categories)
            for at, c in enumerate(columns)
        ]
        with tf.io.TFRecordWriter(f"{place}/data.gz", options="GZIP") as writer:
            for row in zip(*values, strict=True):
                named = {column.name: value for column, value in zip(columns, row, strict=True)}
                example = vectors.to_example(vectors.VectorRecord(named, "weather"))
                writer.write(example.SerializeToString())
    spec = DataSpec(columns=columns).model_dump_json()
    of_data = {"data": spec, "data_name": "days", "code_version": "test"}
    anomalies = artifact(standard_artifacts.ExampleAnomalies, folder / "anomalies")
    anomalies.split_names = artifact_utils.encode_split_names([])
    extractor = artifact(standard_artifacts.Model, folder / "extractor")
    FeatureExtractor.EXECUTOR_SPEC.executor_class().Do(
        {"examples": [data], "anomalies": [anomalies]},
        {"extractor": [extractor]},
        {"config": FeatureExtractorConfig(kind="identity").model_dump_json(), **of_data},
    )
    model = artifact(standard_artifacts.Model, folder / "model")
    # One from before tables had types, which makes float32 in the codes of the data.
    save_copier(splits["other"].data.astype(np.float32), path_utils.serving_model_dir(model.uri))
    run = artifact(standard_artifacts.ModelRun, folder / "run")
    save_copier(np.zeros((1, len(columns)), np.float32), f"{run.uri}/untrained")
    Path(run.uri, "log.jsonl").write_text("")
    Path(run.uri, "configuration.json").write_text("{}")
    evaluation = artifact(standard_artifacts.ModelEvaluation, folder / "evaluation")
    blessing = artifact(standard_artifacts.ModelBlessing, folder / "blessing")
    GANEvaluator.EXECUTOR_SPEC.executor_class().Do(
        {
            "examples": [data],
            "model": [model],
            "model_run": [run],
            "extractor": [extractor],
            "baseline": [],
            "best": [],
        },
        {"evaluation": [evaluation], "blessing": [blessing]},
        {"config": EvaluatorConfig(**SETTINGS).model_dump_json(), **of_data},
    )
    return extractor, evaluation


def test_the_stages_read_the_splits_with_the_same_categories(stages, days):
    extractor, _ = stages
    splits, columns = days
    described = features.Extractor(extractor.uri).description

    categories = splits["train"].categories
    assert described["categories"] == {name: list(each) for name, each in categories.items()}
    assert not extractor.has_custom_property("categories")
    for name in ("train", "eval"):
        assert features.load(extractor.uri, name)[1] == features.data_id(splits[name].data)


def test_metrics_json_tells_every_column(stages, days):
    _, evaluation = stages
    splits, columns = days
    found = json.loads(Path(evaluation.uri, "metrics.json").read_text())

    rows = {row["name"]: row for row in found["columns"]}
    assert [row["type"] for row in found["columns"]] == [column.type for column in columns]
    assert rows["wind"]["real_missing"] == pytest.approx(np.isnan(splits["eval"].data[:, 5]).mean())
    assert rows["weather"]["real_mean"] is rows["frost"]["fake_deviation"] is None
    assert rows["date"]["real_mean"] == pytest.approx(splits["eval"].data[:, 0].mean())
    new = {"column_shapes", "pair_trends", "utility", "closest_record"}
    assert new <= set(found["metrics"])
    for name in new:
        assert evaluation.get_float_custom_property(name) == found["metrics"][name]["value"]


@pytest.fixture(scope="module")
def judged(days, tmp_path_factory):
    splits, columns = days
    folder = str(tmp_path_factory.mktemp("extractor"))
    parts = {name: splits[name] for name in ("train", "eval")}
    make(folder, parts, FeatureExtractorConfig(kind="identity"), "days", columns)
    extractor = features.Extractor(folder)
    untrained = Split(splits["other"].data[:1].repeat(300, axis=0), None)

    def run(candidate):
        return evaluate.evaluate(
            candidate,
            splits["eval"],
            splits["train"],
            extractor,
            EvaluatorConfig(**SETTINGS),
            model="days",
            columns=columns,
            references={"untrained": untrained.data},
        )

    return run


def changed(codes, place, value):
    made = codes.copy()
    made[:, place] = value
    return made


@pytest.mark.parametrize(
    ("fault", "reasons"),
    [
        pytest.param(lambda other, train: other, set(), id="other days"),
        pytest.param(lambda other, train: train, {"copies", "nearer_to_train"}, id="copies"),
        pytest.param(
            lambda other, train: np.concatenate([train[:120], other[:180]]),
            {"copies"},
            id="copies among others",
        ),
        pytest.param(
            lambda other, train: other[:20].repeat(20, axis=0), {"duplicates"}, id="twenty days"
        ),
        pytest.param(
            lambda other, train: np.random.default_rng(0).permuted(other, axis=0),
            {"precision"},
            id="columns shuffled",
        ),
    ],
)
def test_what_is_wrong_with_a_table_is_refused(judged, days, fault, reasons):
    splits, _ = days

    found = judged(fault(splits["other"].data, splits["train"].data))

    failed = {verdict.metric for verdict in found.verdicts if not verdict.passed}
    assert reasons <= failed
    assert bool(failed) == bool(reasons)


def test_samples_are_written_as_the_data_have_them(judged, days, tmp_path):
    splits, columns = days
    renamed = ("missing from the data", *splits["other"].categories["weather"][1:])
    candidate = Split(
        splits["other"].data, None, {}, {**splits["other"].categories, "weather": renamed}
    )

    found = judged(candidate)
    evaluate.write(found, str(tmp_path))

    with open(tmp_path / "samples.csv", newline="") as file:
        head, *rows = csv.reader(file)
    assert head == [column.name for column in columns]
    values = [
        values_of(candidate.data[:, place], column, candidate.categories)
        for place, column in enumerate(columns)
    ]
    for row, expected in zip(rows, zip(*values, strict=True), strict=True):
        read = [column.value(cell) for column, cell in zip(columns, row, strict=True)]
        # Numbers have 32 bits.
        read = [np.float32(value) if isinstance(value, float) else value for value in read]
        assert read == list(expected)
    page = (tmp_path / "report.html").read_text()
    assert "missing from" in page
    assert "Cramér" in page
