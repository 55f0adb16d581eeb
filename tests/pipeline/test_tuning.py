import io
import logging
import os
import sys

import pytest
from rich.console import Console

from components.tuner import search, studies
from pipeline import config, tuning

RECIPE = os.path.join(os.path.dirname(__file__), "..", "..", "data", "digits", "recipe.yaml")


@pytest.mark.parametrize(
    ("tuner", "error"),
    [
        ("{space: {batch_sise: {choices: [32, 64]}}}", "tuner: space: batch_sise: unknown key"),
        ("{space: {batch_size: {low: 64, high: 64}}}", "space: batch_size: low: 64 is not below"),
        ("{space: {loss: hinge}}", "tuner: space: nothing to search"),
        ("{space: {batch_size: {choices: [32, 1]}}}", "batch_size: input should be greater than"),
        ("{space: {latent_dim: {low: 1, high: 9999}}}", "space: latent_dim: input should be less"),
        ("{space: {networks: {choices: [{generator: dcgan}, {generator: mlq}]}}}", "'mlq'"),
        ("{space: {seed: {low: 1, high: 9}}}", "seed: decides how a trial is measured"),
        ("{space: digits}", "unknown space 'digits'"),
        ("{first: [{loss: hing}]}", "tuner: first.0: loss: unknown loss 'hing'"),
        ("{sampler: tpu}", "tuner.sampler: unknown sampler 'tpu': did you mean 'tpe'"),
        ("{pruner: hyperbond}", "tuner.pruner: unknown pruner 'hyperbond'"),
        ("{seeds: 1}", "tuner.seeds: input should be greater than or equal to 2"),
        ("{trails: 3}", "tuner.trails: unknown key; did you mean 'trials'"),
    ],
)
def test_a_search_that_cannot_be_is_refused_in_one_line(tuner, error):
    with pytest.raises(ValueError, match=error) as raised:
        config.load(RECIPE, [f"tuner={tuner}"])

    assert "\n" not in str(raised.value)


def test_without_a_section_there_is_no_search_unless_one_is_needed():
    assert config.load(RECIPE).tuner is None
    assert config.load(RECIPE, ["tuner.trials=7"], needs=["tuner"]).tuner.trials == 7


def test_without_optuna_nothing_is_run(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "optuna", None)
    recipe = config.load(RECIPE, needs=["tuner"])

    with pytest.raises(ModuleNotFoundError, match=r"pip install 'tfx-gan\[tune\]'"):
        tuning.tune(recipe, str(tmp_path / "root"), print)
    assert not (tmp_path / "root").exists()


def test_the_table_follows_the_search(tmp_path):
    study = studies.open_study(
        f"sqlite:///{tmp_path}/studies.db",
        "search",
        shared=False,
        sampler=studies.SAMPLERS.get("random")(0),
        pruner=studies.PRUNERS.get("none")(1),
    )
    studies.enter(study, [({"tree": {"batch_size": size}}, {}) for size in (16, 32, 64)])
    for number in range(2):
        trial = study.ask()
        trial.report(9.5 - number, 1000)
        trial.set_user_attr("scores", {"recall": 0.25, "coverage": 1.0})
        study.tell(trial, 9.5 - number)
    study.ask()
    console = Console(file=io.StringIO(), force_terminal=True, width=100)

    with tuning.shown_live(console):
        search.LIVE.debug("now", extra={"study": study})

    lines = [line for line in console.file.getvalue().splitlines() if "batch_size" in line]
    assert "2 of 3 trials have ended" in console.file.getvalue()
    # The recipe itself is no candidate.
    assert ["32" in lines[0], "64" in lines[1]] == [True, True]
    assert all(part in lines[0] for part in ("1,000", "8.5", "0.25", "1.00"))
    assert not search.LIVE.isEnabledFor(logging.DEBUG)


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("sqlite:////nowhere/studies.db", "sqlite:////nowhere/studies.db: unable to open"),
        ("oracle", "not the URL of a database"),
        ("postgresql://me:secret@127.0.0.1:1/optuna", r"postgresql://me:\*\*\*@127.0.0.1:1/optuna"),
    ],
)
def test_a_storage_that_cannot_be_reached_is_named_without_its_password(url, error):
    studies.require()
    sampler, pruner = studies.SAMPLERS.get("tpe")(0), studies.PRUNERS.get("none")(1)

    with pytest.raises(ConnectionError, match=f"tuner.storage: {error}") as raised:
        studies.open_study(url, "name", shared=True, sampler=sampler, pruner=pruner)

    assert "secret" not in str(raised.value)
