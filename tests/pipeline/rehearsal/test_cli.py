"""`tfx-gan rehearse`, with a pipeline of tiny stages in place of the recipe's."""

from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from pipeline.cli import cluster
from pipeline.kubeflow import compiling
from pipeline.rehearsal import pod

DIGITS = Path(__file__).parents[3] / "data" / "digits" / "recipe.yaml"


@pytest.fixture
def invoke(make, monkeypatch, tmp_path):
    try:
        pod.check()
    except RuntimeError as error:
        pytest.skip(str(error))

    def run(code, *arguments):
        definition = {"n": {"parameterType": "NUMBER_INTEGER", "defaultValue": 1}}
        inputs = {"parameters": {"n": {"componentInputParameter": "n"}}}
        components = {
            "S": make.component("S", code, parameters=definition),
            "T": make.component("T", ""),
        }
        tasks = {"S": make.task("S", inputs=inputs), "T": make.task("T", after=["S"])}
        documents = make.pipeline(components, tasks, parameters=definition)
        monkeypatch.setattr(
            compiling,
            "compile_recipe",
            lambda recipe, out, **_: Path(out).write_text(yaml.safe_dump_all(documents)),
        )
        (tmp_path / "work").mkdir()
        given = [str(DIGITS), "--work", str(tmp_path / "work"), *arguments]
        return CliRunner().invoke(cluster.rehearse, given)

    return run


def test_a_line_for_each_stage_and_a_verdict(invoke):
    result = invoke("assert parameters['n'] == 2", "--parameter", "n=2")

    assert result.exit_code == 0, result.output
    assert [line.split(",")[0] for line in result.output.splitlines()] == [
        "S: ok",
        "T: ok",
        "all 2 stages ran as on 2.17",
    ]


def test_a_failure_shows_the_stages_words_and_what_did_not_run(invoke):
    result = invoke("raise ValueError('no images')")

    assert result.exit_code == 1
    assert "  ValueError: no images\n" in result.output
    assert "S failed: failed to execute component: exit status 1; see " in result.output
    assert result.output.endswith("not run: T\n")


def test_an_option_without_an_equals_sign_is_wrong_usage(invoke):
    result = invoke("", "--volume", "claim")

    assert result.exit_code == 2
    assert "'claim': expected CLAIM=FOLDER" in result.output


def test_a_volume_needs_a_folder(invoke, tmp_path):
    result = invoke("", "--volume", f"gan={tmp_path}/none")

    assert result.exit_code == 1
    assert f"--volume gan={tmp_path}/none: no such folder" in result.output
