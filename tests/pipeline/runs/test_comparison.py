import io
import json
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from pipeline.runs import comparison, history, listing

METRICS = {"fid": 13.5, "kid": 0.25, "recall": 0.75}


def _shown(renderable):
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(renderable)
    return console.export_text()


def _compare(root):
    found = history.load(str(root.path))
    return comparison.compare(found[0], found[1])


@pytest.mark.parametrize("intervals", [True, False])
def test_differences_in_metrics_and_configuration(root, intervals):
    trainer = {"batch_size": 64, "generator_optimizer": {"beta_1": 0.5}, "penalties": []}
    root.complete("a", {"fid": 13.5, "recall": 0.5}, trainer=trainer, intervals=intervals)
    trainer = {
        "batch_size": 64,
        "generator_optimizer": {"beta_1": 0.9},
        "penalties": [{"name": "r1", "weight": 2}],
    }
    metrics = {"fid": 12.25, "recall": 0.5, "density": 1.0}
    root.complete(
        "b", metrics, trainer=trainer, intervals=intervals, code_version="bbbbbbbbbbbbbbbb"
    )
    compared = _compare(root)

    assert compared.not_compared == []
    differences = {name: found["difference"] for name, found in compared.metrics.items()}
    assert differences == {"density": None, "fid": -1.25, "recall": 0.0}
    trained = {
        key: values
        for key, values in compared.config.items()
        if key.startswith("trainer.") and not key.endswith("code_version")
    }
    assert trained == {
        "trainer.generator_optimizer.beta_1": (0.5, 0.9),
        "trainer.penalties": ([], None),
        "trainer.penalties.0.name": (None, "r1"),
        "trainer.penalties.0.weight": (None, 2),
    }
    versions = {key for key in compared.config if key.endswith("code_version")}
    assert {key.partition(".")[0] for key in versions} == {
        "data",
        "feature_extractor",
        "trainer",
        "evaluator",
    }
    assert len(compared.config) == len(trained) + len(versions)

    shown = _shown(listing.tables(compared))
    assert "-1.25" in shown
    assert ("13.5 [12.5, 14.5]" in shown) is intervals
    assert "trainer.generator_optimizer.beta_1" in shown


def test_what_the_stages_repeat_is_said_once(root):
    found = {"span": 0, "fingerprint": "0f"}
    for run, span in (("a", 0), ("b", 1)):
        values = {**found, "span": span}
        root.stage(run, "FindData", properties={"config": "{}", "found": json.dumps(values)})
        root.stage(run, "ImageExampleGen", properties={**values, "splits": f'{{"all": "{span}"}}'})
        root.stage(run, "LatestGoodSpan", properties={"folder": "f", "span": span})

    assert _compare(root).config == {"data.span": (0, 1)}


def test_equal_runs_do_not_differ(root):
    for run in "ab":
        root.complete(run, METRICS)
    compared = _compare(root)

    assert compared.config == {}
    assert {found["difference"] for found in compared.metrics.values()} == {0.0}
    assert "configuration: no difference" in _shown(listing.tables(compared))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"extractor": {"id": "ffff"}}, "the extractors differ (0123456789abcdef and ffff)"),
        ({"counts": {"eval": 100, "model": 359}}, "count eval differs (359 and 100)"),
        ({"counts": {"eval": 359, "model": 9}}, "count model differs (359 and 9)"),
        ({"settings": {"seed": 1, "kid_subsets": 100}}, "setting seed differs (0 and 1)"),
        ({"settings": {"seed": 0}}, "setting kid_subsets differs (100 and –)"),
        ({"real": "ffff"}, "the real data differ (aaaa and ffff)"),
    ],
)
def test_scores_of_different_protocols_are_not_compared(root, protocol, change, reason):
    root.complete("a", METRICS)
    root.complete("b", METRICS, trainer={"batch_size": 32}, protocol={**protocol, **change})
    compared = _compare(root)

    assert compared.metrics == {}
    assert compared.not_compared == [reason]
    assert compared.config == {"trainer.batch_size": (64, 32)}
    shown = _shown(listing.tables(compared))
    assert reason in shown
    assert "13.5" not in shown


def test_a_baseline_that_only_one_has_does_not_matter(root, protocol):
    counts = {**protocol["counts"], "baseline": 359}
    root.complete("a", METRICS)
    root.complete("b", METRICS, protocol={**protocol, "counts": counts})

    assert _compare(root).not_compared == []


def test_a_run_without_an_evaluation_differs_in_configuration_only(root):
    root.complete("a", METRICS)
    root.stage("b", "GANTrainer", "FAILED", properties={"config": '{"batch_size": 32}'})
    compared = _compare(root)

    assert compared.not_compared == ["b has no evaluation (failed in GANTrainer)"]
    assert compared.config["trainer.batch_size"] == (64, 32)


def test_an_evaluation_whose_files_are_gone_is_named(root):
    for run in "ab":
        root.complete(run, METRICS)
    uri = history.load(str(root.path))[1].executions["GANEvaluator"].outputs["evaluation"].uri
    path = os.path.join(uri, "metrics.json")
    os.remove(path)

    assert _compare(root).not_compared == [f"{path} of b is gone"]


@settings(deadline=None, max_examples=50)
@given(st.dictionaries(st.text(max_size=3), st.none() | st.integers() | st.lists(st.integers())))
def test_a_configuration_does_not_differ_from_itself(config):
    assert comparison.differences(config, dict(config)) == {}
