"""Generators of table rows: the stage on hand-made artifacts, and faults planted into real rows."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from sklearn.datasets import load_breast_cancer
from tfx.types import artifact_utils, standard_artifacts
from tfx.utils import path_utils

from components import features
from components.data import examples, vectors
from components.data.columns import Column
from components.data.spec import DataSpec
from components.evaluator import evaluate
from components.evaluator.component import GANEvaluator
from components.evaluator.config import EvaluatorConfig
from components.feature_extractor import FeatureExtractorConfig, make

WIDTH = 6
SETTINGS = {"kid_subsets": 5, "groups": 10}


@pytest.fixture(scope="module")
def cells():
    """Eval, train and further rows of cell nuclei, and the names of their columns."""
    data = load_breast_cancer()
    order = np.random.default_rng(0).permutation(len(data.target))
    rows, labels = data.data[order, :WIDTH].astype(np.float32), data.target[order].astype(np.int64)
    splits = [examples.Split(rows[a:b], labels[a:b]) for a, b in ((0, 180), (180, 380), (380, 569))]
    return splits, [str(name) for name in data.feature_names[:WIDTH]]


@pytest.fixture(scope="module")
def extractor(cells, tmp_path_factory):
    (real, train, _), _ = cells
    folder = str(tmp_path_factory.mktemp("extractor"))
    config = FeatureExtractorConfig(kind="identity")
    make(folder, {"train": train, "eval": real}, config, "cells")
    return folder


@pytest.fixture(scope="module")
def stage(cells, extractor, save_copier, tmp_path_factory):
    """Runs the stage on a generator that is as good as real; returns evaluation and blessing."""
    (real, train, good), names = cells
    folder = tmp_path_factory.mktemp("stage")

    def artifact(kind, name):
        made = kind()
        made.uri = str(folder / name)
        Path(made.uri).mkdir()
        return made

    data = artifact(standard_artifacts.Examples, "examples")
    data.split_names = artifact_utils.encode_split_names(["train", "eval"])
    for name, split in (("eval", real), ("train", train)):
        place = artifact_utils.get_split_uri([data], name)
        tf.io.gfile.makedirs(place)
        with tf.io.TFRecordWriter(f"{place}/data.gz", options="GZIP") as writer:
            for row, label in zip(split.data, split.labels, strict=True):
                record = vectors.VectorRecord(dict(zip(names, row, strict=True)), "cells", label)
                writer.write(vectors.to_example(record).SerializeToString())
    model = artifact(standard_artifacts.Model, "model")
    save_copier(good.data, path_utils.serving_model_dir(model.uri))
    run = artifact(standard_artifacts.ModelRun, "model_run")
    save_copier(np.zeros((1, WIDTH), np.float32), f"{run.uri}/untrained")
    Path(run.uri, "log.jsonl").write_text("")
    Path(run.uri, "configuration.json").write_text("{}")
    features_of = standard_artifacts.Model()
    features_of.uri = extractor
    evaluation = artifact(standard_artifacts.ModelEvaluation, "evaluation")
    blessing = artifact(standard_artifacts.ModelBlessing, "blessing")
    GANEvaluator.EXECUTOR_SPEC.executor_class().Do(
        {
            "examples": [data],
            "model": [model],
            "model_run": [run],
            "extractor": [features_of],
            "baseline": [],
            "best": [],
        },
        {"evaluation": [evaluation], "blessing": [blessing]},
        {
            "config": EvaluatorConfig(
                **SETTINGS, gate={"bounds": {"duplicates": None}}
            ).model_dump_json(),
            "data": DataSpec(columns=names).model_dump_json(),
            "data_name": "rows",
            "code_version": "test",
        },
    )
    return evaluation, blessing


def test_the_stage_writes_the_scores_of_every_column_and_the_samples(stage, cells):
    evaluation, blessing = stage
    (real, _, good), names = cells
    found = json.loads(Path(evaluation.uri, "metrics.json").read_text())

    assert blessing.get_int_custom_property("blessed") == 1
    assert list(found["references"]) == [
        "train",
        "untrained",
        "noise",
        "halves",
        "on_train",
    ]
    for name in ("column_distance", "correlation_difference", "two_sample_accuracy"):
        assert evaluation.get_float_custom_property(name) == found["metrics"][name]["value"]
        assert found["references"]["untrained"][name]["value"] > found["metrics"][name]["value"]
    assert not {"sliced_wasserstein", "modes"} & set(found["metrics"])
    assert [row["name"] for row in found["columns"]] == names
    for place, row in enumerate(found["columns"]):
        assert row["real_mean"] == pytest.approx(real.data[:, place].mean(), rel=1e-5)
        assert row["real_deviation"] == pytest.approx(real.data[:, place].std(), rel=1e-4)
        assert 0 <= row["distance"]["low"] <= row["distance"]["value"] <= row["distance"]["high"]
    assert np.mean([row["distance"]["value"] for row in found["columns"]]) == pytest.approx(
        found["metrics"]["column_distance"]["value"]
    )

    assert sorted(path.name for path in Path(evaluation.uri).iterdir()) == [
        "metrics.json",
        "report.html",
        "samples.csv",
    ]
    with open(Path(evaluation.uri, "samples.csv"), newline="") as file:
        head, *rows = csv.reader(file)
    assert head == names
    assert len(rows) == len(real)
    known = {row.tobytes() for row in good.data}
    assert all(row.tobytes() in known for row in np.array(rows, np.float32))


@pytest.fixture(scope="module")
def failed(cells, extractor):
    """Judges rows; returns the metrics whose rules are not kept."""
    (real, train, _), names = cells
    config = EvaluatorConfig(
        **SETTINGS,
        gate={
            "bounds": {
                "column_distance": {"max": 0.4},
                "correlation_difference": {"max": 0.2},
                "two_sample_accuracy": {"max": 0.7},
                "coverage": {"min": 0.7},
            }
        },
    )
    loaded = features.Extractor(extractor)
    columns = [Column(name=name) for name in names]

    def run(fakes):
        found = evaluate.evaluate(
            fakes,
            real,
            train,
            loaded,
            config,
            model="rows",
            columns=columns,
        )
        return {verdict.metric for verdict in found.verdicts if not verdict.passed}, found

    return run


def shifted(train, good):
    fakes = good.data.copy()
    fakes[:, 3] += 3 * fakes[:, 3].std()
    return fakes


def shuffled(train, good):
    return np.random.default_rng(0).permuted(good.data, axis=0)


def one_class(train, good):
    return good.data[good.labels == 1]


def copied(train, good):
    return train.data[: len(good)]


@pytest.mark.parametrize(
    ("fault", "for_it", "fine"),
    [
        (lambda train, good: good.data, set(), set()),
        (shifted, {"column_distance", "two_sample_accuracy"}, {"correlation_difference", "copies"}),
        (shuffled, {"correlation_difference", "two_sample_accuracy"}, {"column_distance"}),
        (one_class, {"coverage", "column_distance"}, {"copies"}),
        (copied, {"copies"}, {"column_distance", "coverage", "correlation_difference"}),
    ],
    ids=["real", "shifted", "shuffled", "one class", "copies"],
)
def test_a_planted_fault_is_refused_for_what_it_is(failed, cells, fault, for_it, fine):
    (_, train, good), names = cells

    reasons, found = failed(fault(train, good))

    assert for_it <= reasons
    assert not fine & reasons
    assert for_it or not reasons
    if fault is shifted:
        (worst,) = found.scores["model"]["column_distance"].details
        assert worst == f"worst: {names[3]}"
