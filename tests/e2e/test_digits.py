"""Whole pipelines on the digits, as a user runs them: real processes, one root, real kills."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from components.evaluator.metrics.registry import METRICS

PROJECT = Path(__file__).parents[2]
# The generators of these short trainings are below every standard.
NO_STANDARDS = ", ".join(f"{name}: null" for name in METRICS.names() if name != "fid")
QUICK = {
    "trainer.images": 30_000,
    "trainer.checkpoint_every_images": 6_400,
    "feature_extractor.images": 10_000,
    "evaluator.gate": f"{{bounds: {{{NO_STANDARDS}, fid: null}}, "
    "not_worse_than_blessed: {fid: 100}}",
}


class Project:
    """Copies of the digits and of the source, a root, and the command line on them."""

    def __init__(self, folder: Path) -> None:
        for package in ("components", "pipeline"):
            shutil.copytree(PROJECT / package, folder / "source" / package)
        shutil.copytree(PROJECT / "data" / "digits", folder / "digits")
        self.source = folder / "source"
        self.data = folder / "digits"
        self.root = folder / "root"

    def start(self, **overrides: object) -> subprocess.Popen:
        settings = [f"{key}={value}" for key, value in {**QUICK, **overrides}.items()]
        arguments = [part for setting in settings for part in ("--set", setting)]
        command = [sys.executable, "-m", "pipeline.cli", "run", self.data / "recipe.yaml"]
        return subprocess.Popen(
            [*command, "--root", self.root, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # `python -m` imports from here before the installed package.
            cwd=self.source,
        )

    def run(self, **overrides: object) -> tuple[int, str, str]:
        process = self.start(**overrides)
        out, err = process.communicate(timeout=400)
        return process.returncode, out, err

    def kill_in(self, line: str) -> None:
        """Kills a run once it has said `line`."""
        process = self._until(line)
        process.kill()
        process.communicate()

    def stop_in_training(self) -> tuple[int, str]:
        """Asks a run to stop once it has a checkpoint; how it ended, and what it said then."""
        process = self._until("GANTrainer …")
        while not list(self.root.glob("checkpoints/*/checkpoints/*.index")):
            assert process.poll() is None, process.communicate()[1][-2000:]
            time.sleep(0.01)
        process.terminate()
        _, err = process.communicate(timeout=60)
        return process.returncode, err

    def _until(self, line: str) -> subprocess.Popen:
        process = self.start()
        for said in process.stderr:
            if line in said:
                return process
        pytest.fail(f"the run never said {line!r}")

    @property
    def versions(self) -> list[str]:
        serving = self.root / "serving"
        return sorted(os.listdir(serving)) if serving.exists() else []


def _ended(stderr: str) -> dict[str, str]:
    """How each stage ended: done, cached or failed."""
    return dict(re.findall(r"^(\w+) (done|cached|failed)\b", stderr, re.MULTILINE))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A project whose run was killed, stopped and then finished; and what that run said."""
    project = Project(tmp_path_factory.mktemp("digits"))
    project.kill_in("ImageExampleGen …")
    code, err = project.stop_in_training()
    assert code == 75
    assert "the same command resumes from here" in err
    assert project.versions == []
    return project, project.run()


def test_a_killed_root_serves_the_next_run(finished):
    project, (code, out, err) = finished

    assert code == 0, err
    assert {"StatisticsGen", "GANTrainer", "Pusher"} <= set(_ended(err))
    assert _ended(err)["ImageExampleGen"] == "cached"
    assert set(_ended(err).values()) <= {"done", "cached"}
    # The training took up from its last checkpoint, and its log is whole.
    (log,) = project.root.glob("artifacts/GANTrainer/model_run/*/log.jsonl")
    images = [json.loads(line)["images"] for line in log.read_text().splitlines()]
    assert images == sorted(set(images))
    assert images[-1] == 30_016


def test_the_summary_says_where_everything_is(finished):
    project, (_, out, _) = finished

    assert "\nblessed\n" in out
    places = dict(re.findall(r"^(model|report|samples) +(\S+)$", out, re.MULTILINE))
    assert Path(places["model"]) == project.root / "serving" / project.versions[0]
    assert sorted(places) == ["model", "report", "samples"]
    for place in places.values():
        assert Path(place).exists()
    for metric in ("fid", "kid", "precision", "recall"):
        assert re.search(rf"{metric}\W+\d", out)


def test_the_pushed_generator_is_plain_tensorflow(finished):
    import tensorflow as tf

    project, _ = finished
    model = tf.saved_model.load(str(project.root / "serving" / project.versions[0]))
    outputs = model.signatures["sample"](seeds=tf.range(16, dtype=tf.int64))
    images = outputs["images"].numpy()

    assert images.shape == (16, 8, 8, 1)
    assert images.dtype == np.uint8
    assert images.std() > 20


def test_every_stage_of_an_identical_run_is_cached_and_nothing_is_pushed_again(finished):
    project, _ = finished
    before = project.versions
    code, out, err = project.run()

    assert code == 0, err
    stages = _ended(err)
    assert set(stages.values()) == {"cached"}
    assert len(stages) == 13
    assert project.versions == before


def test_a_refused_model_is_not_pushed_and_the_exit_code_says_so(finished):
    project, _ = finished
    before = project.versions
    strict = {"evaluator.gate": f"{{bounds: {{{NO_STANDARDS}, fid: {{max: 0.001}}}}}}"}
    code, out, err = project.run(**strict)

    assert code == 3, err
    assert re.search(r"^refused: FID at most 0\.001: ", out, re.MULTILINE)
    assert "model   not pushed" in out
    assert _ended(err)["GANTrainer"] == "cached"
    assert project.versions == before


def test_an_edited_stage_runs_again_and_the_model_that_is_served_is_not_pushed_again(finished):
    project, _ = finished
    before = project.versions
    with (project.source / "components" / "evaluator" / "gate.py").open("a") as file:
        file.write("\n# edited\n")
    code, out, err = project.run()

    assert code == 0, err
    done = {stage for stage, ending in _ended(err).items() if ending == "done"}
    assert done == {"GANEvaluator", "Pusher"}
    assert project.versions == before
    assert f"model   {project.root / 'serving' / before[0]}" in out


def test_another_model_is_compared_with_the_blessed_one_and_pushed(finished):
    project, _ = finished
    before = project.versions
    code, out, err = project.run(**{"trainer.seed": 1, "trainer.images": 31_000})

    assert code == 0, err
    assert _ended(err)["FeatureExtractor"] == "cached"
    assert len(project.versions) == len(before) + 1
    report = re.search(r"^report +(\S+)$", out, re.MULTILINE)[1]
    metrics = json.loads(Path(report).with_name("metrics.json").read_text())
    assert "baseline" in metrics["references"]
    (rule,) = [rule for rule in metrics["gate"] if "last blessed" in rule["rule"]]
    assert "a change of" in rule["found"]
    assert metrics["changes"]["fid"]["low"] < metrics["changes"]["fid"]["high"]
