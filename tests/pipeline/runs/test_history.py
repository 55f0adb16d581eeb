import fcntl
import io
import json
import math
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from pipeline.runs import listing
from pipeline.runs import metadata
from pipeline.runs import history

METRICS = {"fid": 13.5, "kid": 0.25, "recall": 0.75}
STAGES = ("ImageExampleGen", "GANTrainer", "GANEvaluator", "Pusher")


def _shown(renderable):
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(renderable)
    return console.export_text()


def test_a_run_is_listed_with_its_metrics_gate_version_and_lineage(root):
    ids = root.complete("2026-11-22T09:47:36.5", METRICS)
    (row,) = history.rows(str(root.path))

    assert (row.id, row.pipeline, row.state) == ("2026-11-22T09:47:36.5", "digits", "complete")
    assert row.started.endswith("+00:00")
    assert row.metrics == METRICS
    assert row.blessed
    assert row.reasons == ""
    assert row.pushed == "1795341092"
    assert set(row.lineage) == {"examples", "schema", "extractor", "model", "evaluation"}
    assert row.lineage["evaluation"]["id"] == ids["evaluation"]
    assert row.lineage["examples"]["span"] == 0
    assert row.lineage["examples"]["code_version"] == "aaaaaaaaaaaaaaaa"
    assert row.lineage["schema"]["source"] == "/root/schemas/5c4e3a0000000000/schema.pbtxt"

    shown = _shown(listing.table([row]))
    for words in (
        "2026-11-22T09:47:36.5",
        "13.5",
        "0.75",
        "blessed",
        "pushed 1795341092",
        "examples 1@aaaaaaa",
        "  span 0",
        "schema 2@5c4e3a0",
    ):
        assert words in shown


def test_a_cached_evaluation_is_that_of_the_run_too(root):
    ids = root.complete("run 1", METRICS)
    root.stage("run 2", "GANEvaluator", "CACHED", outputs=ids)
    root.stage("run 2", "Pusher", "CACHED", outputs={})
    first, second = history.rows(str(root.path))

    assert second.metrics == first.metrics
    assert second.blessed
    assert second.lineage["evaluation"]["id"] == first.lineage["evaluation"]["id"]
    assert second.state == "complete"


def test_a_refused_run_says_why(root):
    root.complete("run", METRICS, reasons=("FID at most 10: 13.5, failed", "Recall: failed"))
    (row,) = history.rows(str(root.path))

    assert row.blessed is False
    assert row.pushed is None
    assert row.reasons == "FID at most 10: 13.5, failed; Recall: failed"
    shown = _shown(listing.table([row]))
    assert "refused: FID at most 10: 13.5, failed" in shown
    assert "Recall" not in shown


def test_a_model_that_does_not_load_is_refused_whatever_the_gate_says(root):
    root.stage("run", "GANEvaluator", outputs={"blessing": {"blessed": 1}})
    root.stage("run", "InfraValidator", outputs={"blessing": {"blessed": 0}})
    (row,) = history.rows(str(root.path))

    assert row.blessed is False
    assert "does not load" in row.reasons


@pytest.mark.parametrize(
    ("states", "in_use", "state"),
    [
        (("COMPLETE", "CACHED", "COMPLETE", "COMPLETE"), False, "complete"),
        (("COMPLETE", "FAILED"), False, "failed in GANTrainer"),
        (("COMPLETE", "FAILED"), True, "failed in GANTrainer"),
        (("COMPLETE", "RUNNING"), True, "running GANTrainer"),
        (("COMPLETE", "RUNNING"), False, "stopped in GANTrainer"),
        (("COMPLETE",), True, "running, after ImageExampleGen"),
        (("COMPLETE",), False, "stopped, after ImageExampleGen"),
        ((), False, "stopped, after the start"),
    ],
)
def test_states(root, states, in_use, state):
    root.context("pipeline_run", "run")
    for stage, name in zip(STAGES, states, strict=False):
        root.stage("run", stage, name)
    with open(root.path / ".lock", "w") as lock:
        if in_use:
            fcntl.flock(lock, fcntl.LOCK_EX)
        (row,) = history.rows(str(root.path))

    assert row.state == state


def test_only_the_newest_run_can_be_running(root):
    for run in ("run 1", "run 2"):
        root.stage(run, "GANTrainer", "RUNNING")
    with open(root.path / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = [row.state for row in history.rows(str(root.path))]

    assert found == ["stopped in GANTrainer", "running GANTrainer"]


def test_an_empty_folder_has_no_runs(tmp_path):
    assert history.rows(str(tmp_path)) == []
    assert os.listdir(tmp_path) == []


def test_metadata_without_runs_have_none(root):
    assert history.rows(str(root.path)) == []


@pytest.mark.parametrize(
    ("name", "reason"),
    [("nowhere", "no such folder"), ("other", "no metadata.sqlite; --root names")],
)
def test_a_folder_that_is_no_root_is_named_and_left_alone(tmp_path, name, reason):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").touch()
    with pytest.raises(FileNotFoundError, match=f"{name}: {reason}"):
        history.rows(str(tmp_path / name))
    assert os.listdir(tmp_path) == ["other"]
    assert os.listdir(tmp_path / "other") == ["notes.txt"]


IDS = ["2026-11-21T10:00:00", "2026-11-22T09:00:00", "2026-11-22T10:00:00"]


@pytest.fixture
def found(root):
    for run in IDS:
        root.stage(run, "ImageExampleGen")
    return metadata.runs(str(root.database))


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("latest", 2),
        ("latest~0", 2),
        ("latest~2", 0),
        ("2026-11-21", 0),
        ("2026-11-22T09", 1),
        ("2026-11-22T10:00:00", 2),
    ],
)
def test_a_run_is_chosen_by_its_beginning_or_its_age(found, name, index):
    assert history.choose(found, name).id == IDS[index]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("latest~3", "latest~3: no such run; there are 3"),
        ("2026-11-22", "2026-11-22: begins 2026-11-22T09:00:00, 2026-11-22T10:00:00; give more"),
        ("2026-11-22T11:00:00", "no such run; the nearest are 2026-11-22T"),
        ("", ": no such run; the nearest are 2026"),
    ],
)
def test_a_run_that_is_not_there_is_named(found, name, reason):
    with pytest.raises(ValueError, match=reason):
        history.choose(found, name)


def test_the_id_of_one_run_may_begin_that_of_another(root):
    for run in ("run", "run 2"):
        root.stage(run, "ImageExampleGen")
    assert history.choose(metadata.runs(str(root.database)), "run").id == "run"


def _compare(root):
    found = history.load(str(root.path))
    return history.compare(found[0], found[1])


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
    comparison = _compare(root)

    assert comparison.not_compared == []
    differences = {name: found["difference"] for name, found in comparison.metrics.items()}
    assert differences == {"density": None, "fid": -1.25, "recall": 0.0}
    trained = {
        key: values
        for key, values in comparison.config.items()
        if key.startswith("trainer.") and not key.endswith("code_version")
    }
    assert trained == {
        "trainer.generator_optimizer.beta_1": (0.5, 0.9),
        "trainer.penalties": ([], None),
        "trainer.penalties.0.name": (None, "r1"),
        "trainer.penalties.0.weight": (None, 2),
    }
    versions = {key for key in comparison.config if key.endswith("code_version")}
    assert {key.partition(".")[0] for key in versions} == {
        "data",
        "feature_extractor",
        "trainer",
        "evaluator",
    }
    assert len(comparison.config) == len(trained) + len(versions)

    shown = _shown(listing.tables(comparison))
    assert "-1.25" in shown
    assert ("13.5 [12.5, 14.5]" in shown) is intervals
    assert "trainer.generator_optimizer.beta_1" in shown


def test_a_cached_stage_has_the_data_of_the_one_before(root):
    """Its execution lacks what ImageExampleGen's driver notes, its output does not."""
    data = {"span": 0, "input_fingerprint": "split:eval,num_files:2"}
    ids = root.stage("a", "ImageExampleGen", properties=data, outputs={"examples": data})
    root.stage("b", "ImageExampleGen", "CACHED", outputs=ids)
    assert _compare(root).config == {}

    root.stage("c", "ImageExampleGen", outputs={"examples": {**data, "span": 1}})
    found = history.load(str(root.path))
    assert history.compare(found[0], found[2]).config == {"data.span": (0, 1)}


def test_equal_runs_do_not_differ(root):
    for run in "ab":
        root.complete(run, METRICS)
    comparison = _compare(root)

    assert comparison.config == {}
    assert {found["difference"] for found in comparison.metrics.values()} == {0.0}
    assert "configuration: no difference" in _shown(listing.tables(comparison))


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
    comparison = _compare(root)

    assert comparison.metrics == {}
    assert comparison.not_compared == [reason]
    assert comparison.config == {"trainer.batch_size": (64, 32)}
    shown = _shown(listing.tables(comparison))
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
    comparison = _compare(root)

    assert comparison.not_compared == ["b has no evaluation (failed in GANTrainer)"]
    assert comparison.config["trainer.batch_size"] == (64, 32)


def test_an_evaluation_whose_files_are_gone_is_named(root):
    for run in "ab":
        root.complete(run, METRICS)
    uri = history.load(str(root.path))[1].executions["GANEvaluator"].outputs["evaluation"].uri
    path = os.path.join(uri, "metrics.json")
    os.remove(path)

    assert _compare(root).not_compared == [f"{path} of b is gone"]


_leaves = st.none() | st.integers() | st.text(max_size=3) | st.lists(st.integers(), max_size=2)
_keys = st.sampled_from(["a", "b", "batch_size"])
_trees = st.dictionaries(
    _keys, st.recursive(_leaves, lambda tree: st.dictionaries(_keys, tree), max_leaves=8)
)


@settings(deadline=None, max_examples=50)
@given(_trees)
def test_dotted_keys_lead_to_the_leaves(tree):
    for key, leaf in history._flat(tree).items():
        found = tree
        for part in key.split("."):
            found = found[part]
        assert found == leaf


@settings(deadline=None, max_examples=50)
@given(_trees)
def test_a_tree_does_not_differ_from_itself(tree):
    assert history._differences(history._flat(tree), history._flat(tree)) == {}


def test_json_has_null_for_what_json_cannot_say():
    row = history.Row("run", "", "", "complete", {"fid": math.inf}, None, "", None, {})

    assert json.loads(history.to_json([row]))[0]["metrics"] == {"fid": None}
    assert json.loads(history.to_json([math.nan, (1.5, "a")])) == [None, [1.5, "a"]]
