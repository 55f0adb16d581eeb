"""The stage on hand-made artifacts: blessed, refused, and what it leaves behind."""

import json
import re
import shutil
from pathlib import Path

import pytest
from PIL import Image
from tfx.types import standard_artifacts
from tfx.utils import path_utils

from components.common import files, saved_models
from components.data.spec import DataSpec
from components.evaluator.component import GANEvaluator
from components.evaluator.config import EvaluatorConfig
from components.evaluator.metrics.registry import METRICS


@pytest.fixture
def evaluate(split_examples, extractor, model_run, tmp_path):
    """Runs the executor; returns its evaluation and blessing."""

    def run(model, baseline=None, best=None, image_shape=(8, 8, 1), **config):
        outputs = {}
        for name, kind in {
            "evaluation": standard_artifacts.ModelEvaluation,
            "blessing": standard_artifacts.ModelBlessing,
        }.items():
            outputs[name] = kind()
            outputs[name].uri = str(tmp_path / name)
            Path(outputs[name].uri).mkdir()
        inputs = {
            "examples": [split_examples],
            "model": [model],
            "extractor": [extractor],
            "model_run": [model_run],
        }
        GANEvaluator.EXECUTOR_SPEC.executor_class().Do(
            inputs,
            {name: [artifact] for name, artifact in outputs.items()},
            {
                "config": EvaluatorConfig(kid_subsets=20, **config).model_dump_json(),
                "data": DataSpec(image_shape=image_shape).model_dump_json(),
                "data_name": "digits",
                "code_version": "test",
                "baseline": path_utils.serving_model_dir(baseline.uri) if baseline else "",
                "best": path_utils.serving_model_dir(best.uri) if best else "",
            },
        )
        return outputs["evaluation"], outputs["blessing"]

    return run


def test_a_good_generator_is_blessed(evaluate, generator, split_examples):
    model = generator(noise=0.0)
    model.id = 7
    model.set_string_custom_property("code_version", "abc")
    split_examples.set_int_custom_property("span", 4)

    evaluation, blessing = evaluate(
        model, baseline=generator(0.3), gate={"bounds": {"fid": {"max": 2}, "duplicates": None}}
    )

    assert not blessing.has_custom_property("reasons"), blessing.get_string_custom_property(
        "reasons"
    )
    assert blessing.get_int_custom_property("blessed") == 1
    assert blessing.get_string_custom_property("current_model") == model.uri
    assert not blessing.has_custom_property("reasons")
    assert "FID at most 2: " in blessing.get_string_custom_property("verdicts")
    assert [file.name for file in Path(blessing.uri).iterdir()] == ["BLESSED"]
    assert Image.open(Path(evaluation.uri, "samples.png")).size == (71, 71)

    found = json.loads(Path(evaluation.uri, "metrics.json").read_text())
    assert list(found["references"]) == [
        "baseline",
        "train",
        "untrained",
        "noise",
        "halves",
        "on_train",
    ]
    for name, score in found["metrics"].items():
        assert evaluation.get_float_custom_property(name) == score["value"]
    assert evaluation.get_string_custom_property("extractor_id") == "0123456789abcdef"
    assert blessing.get_string_custom_property("extractor_id") == "0123456789abcdef"
    assert blessing.get_float_custom_property("fid") == found["metrics"]["fid"]["value"]
    lineage = found["lineage"]
    assert lineage["model artifact"] == 7
    assert lineage["model code"] == "abc"
    assert lineage["data span"] == 4
    assert "hinge" in Path(evaluation.uri, "report.html").read_text()


def test_a_generator_with_an_onnx_file_gets_a_page(evaluate, untrained, tmp_path):
    model = standard_artifacts.Model()
    model.uri = str(tmp_path / "converted")
    path = shutil.copytree(untrained(False), path_utils.serving_model_dir(model.uri))
    # tests/components/serving/page runs real ones.
    files.write(f"{path}/assets.extra/serving_default.onnx", b"a model")
    difference = {"runtime": "onnx", "difference": "at most 0 grey levels apart in 64 rows"}
    saved_models.describe_further(path, conversions={"serving_default.onnx": difference})

    evaluation, _ = evaluate(model, page_neighbours=5)

    report = Path(evaluation.uri, "report.html").read_text()
    assert '<a href="generator.html">' in report
    assert "at most 0 grey levels apart in 64 rows" in report
    written = Path(evaluation.uri, "generator.html").read_text()
    assert "<title>digits</title>" in written
    found = json.loads(re.search('<script[^>]*id="page">(.*?)</script>', written, re.S)[1])
    assert found["neighbours"] == [5, 8, 8, 1]
    scores = json.loads(Path(evaluation.uri, "metrics.json").read_text())["metrics"]
    assert found["metrics"]["FID"]["value"] == scores["fid"]["value"]


def test_the_best_blessed_generator_is_scored_beside_the_last(evaluate, generator):
    last, best = generator(0.3), generator(0.1)
    # Of its standards nothing is asked here.
    alone = dict.fromkeys(METRICS.names())
    rules = {"not_worse_than_blessed": {"fid": 0.3}, "bounds": alone}

    evaluation, blessing = evaluate(generator(0.3), baseline=last, best=best, gate=rules)

    found = json.loads(Path(evaluation.uri, "metrics.json").read_text())
    assert found["references"]["best"]["fid"]["value"] < found["metrics"]["fid"]["value"]
    (reason,) = blessing.get_string_custom_property("reasons").split("; ")
    assert reason.startswith("FID at most 30 % worse than the best blessed model's: ")
    assert "last blessed model's: " in blessing.get_string_custom_property("verdicts")
    assert "Best blessed" in Path(evaluation.uri, "report.html").read_text()


def test_the_last_blessed_generator_is_not_scored_twice(evaluate, generator):
    last = generator(0.3)

    evaluation, _ = evaluate(generator(0.2), baseline=last, best=last)

    found = json.loads(Path(evaluation.uri, "metrics.json").read_text())
    assert "baseline" in found["references"]
    assert "best" not in found["references"]


def test_noise_is_refused_and_the_reason_said(evaluate, generator):
    evaluation, blessing = evaluate(
        generator(noise=1.0),
        gate={"bounds": {"fid": {"max": 0.5}, "recall": None, "coverage": None, "modes": None}},
    )
    found = json.loads(Path(evaluation.uri, "metrics.json").read_text())
    fid = found["metrics"]["fid"]["value"]

    assert blessing.get_int_custom_property("blessed") == 0
    assert f"FID at most 0.5: {fid:.4g} [" in blessing.get_string_custom_property("reasons")
    assert [file.name for file in Path(blessing.uri).iterdir()] == ["NOT_BLESSED"]
    assert found["blessed"] is False


def test_examples_of_another_size_are_refused(evaluate, generator):
    with pytest.raises(ValueError, match="train#0: the image is 8x8x1"):
        evaluate(generator(noise=0.2), image_shape=(28, 28, 1))
