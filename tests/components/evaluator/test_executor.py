"""The stage on hand-made artifacts: blessed, refused, and what it leaves behind."""

import html
import json
import re
import shutil
from pathlib import Path

import pytest
from PIL import Image
from tfx.types import standard_artifacts

from components.evaluator.config import EvaluatorConfig
from components.evaluator.executor import Executor
from components.evaluator.scores import METRICS

REFERENCES = ["train", "untrained", "noise"]


@pytest.fixture
def evaluate(split_examples, extractor, model_run, tmp_path):
    """Runs the executor; returns its evaluation and blessing."""

    def run(model, baseline=None, extractor=extractor, image_shape=(8, 8, 1), **config):
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
            "baseline": [baseline] if baseline else [],
        }
        Executor().Do(
            inputs,
            {name: [artifact] for name, artifact in outputs.items()},
            {
                "config": EvaluatorConfig(kid_subsets=20, **config).model_dump_json(),
                "image_shape": json.dumps(image_shape),
                "code_version": "test",
            },
        )
        return outputs["evaluation"], outputs["blessing"]

    return run


def metrics_of(evaluation):
    return json.loads(Path(evaluation.uri, "metrics.json").read_text())


def report_of(evaluation):
    return Path(evaluation.uri, "report.html").read_text()


def test_a_good_generator_is_blessed(evaluate, generator):
    model = generator(noise=0.0)
    model.id = 7

    evaluation, blessing = evaluate(model, gate={"bounds": {"fid": {"max": 0.5}}})

    assert blessing.get_int_custom_property("blessed") == 1
    assert blessing.get_string_custom_property("current_model") == model.uri
    assert blessing.get_int_custom_property("current_model_id") == 7
    assert not blessing.has_custom_property("reasons")
    assert [file.name for file in Path(blessing.uri).iterdir()] == ["BLESSED"]
    assert sorted(file.name for file in Path(evaluation.uri).iterdir()) == [
        "metrics.json",
        "report.html",
        "samples.png",
    ]
    assert Image.open(Path(evaluation.uri, "samples.png")).size == (71, 71)


def test_the_scores_stand_beside_their_protocol(evaluate, generator):
    evaluation, _ = evaluate(
        generator(noise=0.2), num_fake=200, seed=3, gate={"bounds": {"fid": {"max": 100}}}
    )
    found = metrics_of(evaluation)

    assert list(found["metrics"]) == METRICS.names()
    assert list(found["references"]) == REFERENCES
    for name, score in found["metrics"].items():
        assert evaluation.get_float_custom_property(name) == score["value"]
    fid = {name: scores["fid"]["value"] for name, scores in found["references"].items()}
    assert fid["train"] < found["metrics"]["fid"]["value"] < fid["untrained"] < fid["noise"]
    assert found["protocol"]["counts"] == {
        "eval": 300,
        "model": 200,
        "train": 300,
        "untrained": 200,
        "noise": 200,
    }
    assert found["protocol"]["extractor"]["id"] == "0123456789abcdef"
    assert found["protocol"]["settings"]["seed"] == 3
    assert found["gate"] == [
        {
            "rule": "FID at most 100",
            "value": found["metrics"]["fid"]["value"],
            "limit": 100.0,
            "passed": True,
        }
    ]


def test_noise_is_refused_and_the_reason_said(evaluate, generator):
    evaluation, blessing = evaluate(
        generator(noise=1.0), gate={"bounds": {"fid": {"max": 0.5}, "recall": {"min": 0}}}
    )
    fid = metrics_of(evaluation)["metrics"]["fid"]["value"]

    assert blessing.get_int_custom_property("blessed") == 0
    reason = f"FID at most 0.5: {fid:.4g}, failed"
    assert blessing.get_string_custom_property("reasons") == reason
    assert [file.name for file in Path(blessing.uri).iterdir()] == ["NOT_BLESSED"]
    assert metrics_of(evaluation)["blessed"] is False
    assert f"<li>FID at most 0.5; it is {fid:.4g}.</li>" in report_of(evaluation)


@pytest.mark.parametrize(
    ("noise", "baseline_noise", "blessed"),
    [(0.1, 0.1, 1), (0.05, 0.3, 1), (0.3, 0.05, 0)],
    ids=["as good", "better", "worse"],
)
def test_a_generator_must_not_be_worse_than_the_last_blessed_one(
    evaluate, generator, noise, baseline_noise, blessed
):
    evaluation, blessing = evaluate(
        generator(noise), generator(baseline_noise), gate={"not_worse_than_blessed": {"fid": 0.1}}
    )
    found = metrics_of(evaluation)

    assert blessing.get_int_custom_property("blessed") == blessed
    assert list(found["references"]) == ["baseline", *REFERENCES]
    limit = 1.1 * found["references"]["baseline"]["fid"]["value"]
    assert found["gate"][0]["limit"] == pytest.approx(limit)
    assert "Last blessed" in report_of(evaluation)


def test_the_report_holds_every_number_and_needs_no_network(evaluate, generator):
    evaluation, _ = evaluate(generator(noise=0.2), gate={"bounds": {"fid": {"max": 1}}})
    found, page = metrics_of(evaluation), report_of(evaluation)
    cells = re.findall(r"<td[^>]*>([-\d.e+]+)(?: <small>± ([-\d.e+]+)</small>)?</td>", page)
    for scores in [found["metrics"], *found["references"].values()]:
        for score in scores.values():
            value, spread = score["value"], score["uncertainty"]
            assert (f"{value:.4g}", "" if spread is None else f"{spread:.2g}") in cells
    assert not re.search(r"""(src|href)=["'](?!data:|#)""", page)
    assert not re.search(r"url\((?!#)|@import|<script|<link", page)
    assert "digits classifier" in page
    for part in ("prefers-color-scheme: dark", 'name="viewport"', "<svg", "generator</text>"):
        assert part in page
    assert "0123456789abcdef" in page
    identifiers = re.findall(r'\bid="([^"]+)"', page)
    assert len(identifiers) == len(set(identifiers))


def test_names_from_outside_are_escaped(evaluate, generator, extractor, tmp_path):
    name = "<script>alert(1)</script>"
    other = standard_artifacts.Model()
    other.uri = str(shutil.copytree(extractor.uri, tmp_path / "extractor"))
    description = tmp_path / "extractor" / "extractor.json"
    description.write_text(json.dumps(json.loads(description.read_text()) | {"name": name}))

    evaluation, _ = evaluate(
        generator(noise=0.2), extractor=other, gate={"bounds": {"fid": {"max": 1}}}
    )

    assert name not in report_of(evaluation)
    assert html.escape(name) in report_of(evaluation)


def test_the_same_inputs_give_the_same_numbers(evaluate, generator, tmp_path):
    model = generator(noise=0.2)
    first = metrics_of(evaluate(model, gate={"bounds": {"fid": {"max": 1}}})[0])
    for name in ("evaluation", "blessing"):
        (tmp_path / name).rename(tmp_path / f"first-{name}")
    second = metrics_of(evaluate(model, gate={"bounds": {"fid": {"max": 1}}})[0])

    assert first == second


def test_examples_of_another_size_are_refused(evaluate, generator):
    with pytest.raises(ValueError, match="train#0: the image is 8x8x1"):
        evaluate(
            generator(noise=0.2), image_shape=(28, 28, 1), gate={"bounds": {"fid": {"max": 1}}}
        )
