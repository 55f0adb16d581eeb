"""A search as a user runs it: real processes, one of them killed, and a run with its winner."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras_tuner
import pytest
import yaml

PROJECT = Path(__file__).parents[2]
RECIPE = PROJECT / "data" / "digits" / "recipe.yaml"
TUNER = {
    "trials": 4,
    "images": 12_000,
    "finalists": 1,
    "samples": 500,
    # After a ninth of so short a trial nobody is ahead.
    "pruner": "none",
    "space": {
        "generator_optimizer": {"learning_rate": {"low": 5.0e-4, "high": 2.0e-3, "log": True}},
        "penalties": {"choices": [[], [{"name": "r1", "weight": {"low": 0.01, "high": 1.0}}]]},
    },
    "first": [{"discriminator_optimizer": {"learning_rate": 1.0e-3}}],
}
# So slow that it learns nothing.
OVERRIDES = {
    "trainer.generator_optimizer.learning_rate": 1.0e-7,
    "trainer.images": 12_000,
    "feature_extractor.images": 10_000,
    "tuner": json.dumps(TUNER),
    "evaluator.gate": "{bounds: {fid: null}, not_worse_than_blessed: {fid: 100}}",
}


def start(command: str, root: Path, *more: str) -> subprocess.Popen:
    settings = [part for key, value in OVERRIDES.items() for part in ("--set", f"{key}={value}")]
    return subprocess.Popen(
        [sys.executable, "-m", "pipeline.cli", command, RECIPE, "--root", root, *settings, *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=PROJECT,
    )


def report(root: Path) -> dict:
    (found,) = root.glob("artifacts/GANTuner/tuner_results/*/tuner_results.json")
    return json.loads(found.read_text())


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    root = tmp_path_factory.mktemp("whole")
    process = start("tune", root)
    out, err = process.communicate(timeout=500)
    assert process.returncode == 0, err
    return root, out, err


def test_a_search_beats_a_poor_start_and_says_how(searched):
    root, out, err = searched

    found = report(root)
    assert [trial["trial"] for trial in found["trials"]] == [0, 1, 2, 3]
    # Not in the space, as its rate is below: it was tried as it is.
    assert found["trials"][0]["values"] == {}
    assert found["trials"][1]["values"] == {"discriminator_optimizer.learning_rate": 1.0e-3}
    assert found["winner"] > 0
    recipe, winner = found["finalists"]
    assert max(winner["values"]) < min(recipe["values"])
    assert found["words"] in out
    assert "generator_optimizer.learning_rate: 1e-07 -> " in out
    assert re.search(r"4 of 4: trial \d scored|4 of 4: trial \d ended", err)
    page = Path(re.search(r"^page +(\S+)$", out, re.MULTILINE)[1]).read_text()
    for part in ("Finals", "Samples", "History", "Slices", "plotly-graph-div"):
        assert part in page


def test_the_best_recipe_differs_in_what_was_found(searched):
    root, out, _ = searched

    (values,) = root.glob("artifacts/GANTuner/hyperparameters/*/best_hyperparameters.txt")
    found = json.loads(values.read_text())
    assert keras_tuner.HyperParameters.from_config(found).values == found["values"]
    best = yaml.safe_load((root / "best.yaml").read_text())
    rate = found["values"].get("generator_optimizer.learning_rate", 1.0e-7)
    assert best["trainer"]["generator_optimizer"]["learning_rate"] == rate
    assert best["tuner"] is None


def test_a_killed_search_goes_on_and_ends_with_the_same_best(searched, tmp_path):
    process = start("tune", tmp_path)
    _until_trial(tmp_path, 1)
    # As the kernel does without memory: the process alone, whose trial goes on.
    os.kill(_worker(process.pid), signal.SIGKILL)
    _until_trial(tmp_path, 2)
    worker = _worker(process.pid)
    process.kill()
    process.communicate()
    _until_gone(worker)

    process = start("tune", tmp_path)
    _, err = process.communicate(timeout=500)
    assert process.returncode == 0, err

    whole, resumed = report(searched[0]), report(tmp_path)
    keys = ("trial", "state", "values", "score")
    assert [[trial[key] for key in keys] for trial in resumed["trials"]] == [
        [trial[key] for key in keys] for trial in whole["trials"]
    ]
    assert resumed["winner"] == whole["winner"]


def test_a_run_trains_with_the_winner_of_the_same_search(searched):
    root, _, _ = searched
    process = start("run", root)
    _, err = process.communicate(timeout=500)

    assert "GANTuner cached" in err
    (values,) = root.glob("artifacts/GANTuner/hyperparameters/*/best_hyperparameters.txt")
    (configuration,) = root.glob("artifacts/GANTrainer/model_run/*/configuration.json")
    trained = json.loads(configuration.read_text())
    for key, value in json.loads(values.read_text())["values"].items():
        at = trained
        for part in key.split("."):
            at = at[part]
        if not isinstance(value, list | dict):
            assert at == value


def _until_trial(root: Path, number: int) -> None:
    """Waits until a trial has a checkpoint, so that it can go on."""
    deadline = time.monotonic() + 300
    while not list(root.glob(f"tuning/*/trials/{number}/training/checkpoints/*.index")):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _worker(parent: int) -> int:
    found = subprocess.run(
        ["pgrep", "-P", str(parent), "-f", "components.tuner.worker"],
        capture_output=True,
        text=True,
        check=True,
    )
    return int(found.stdout.split()[0])


def _until_gone(process: int) -> None:
    deadline = time.monotonic() + 60
    while os.path.exists(f"/proc/{process}"):
        assert time.monotonic() < deadline
        time.sleep(0.1)
