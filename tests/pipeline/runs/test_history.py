import fcntl
import io
import os

import pytest
from rich.console import Console

from pipeline.runs import history, listing, metadata

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
    assert row.lineage["schema"]["content"] == "07a36d59c7d2da30"

    shown = _shown(listing.table([row]))
    for words in (
        "2026-11-22T09:47:36.5",
        "13.5",
        "0.75",
        "blessed",
        "pushed 1795341092",
        "examples 1@aaaaaaa",
        "  span 0",
        "schema 2@07a36d5",
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
        ("2026-11-22", "2026-11-22: .*2026-11-22T09:00:00, 2026-11-22T10:00:00"),
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
