import contextlib
import os
import sqlite3

import pytest
from ml_metadata.metadata_store import metadata_store

from components.common import costs
from components.common.costs import Cost
from pipeline.runs import metadata


def test_a_file_that_is_no_database_is_named(tmp_path):
    path = tmp_path / "metadata.sqlite"
    path.write_text("garbage " * 200)
    for read in (metadata.connection_config, metadata.runs):
        with pytest.raises(ValueError, match="metadata.sqlite: file is not a database; move it"):
            read(str(path))


def test_a_stage_that_never_ran_is_named(tmp_path):
    connection = metadata.connection_config(str(tmp_path / "metadata.sqlite"))
    with pytest.raises(LookupError, match="Pusher of digits has not run yet"):
        metadata.last_execution(connection, "digits", "Pusher")


def test_the_last_execution_is_that_of_the_last_run(root):
    root.stage("run 1", "GANTrainer", outputs={"model": {"note": "old"}})
    made = root.stage("run 2", "GANTrainer", outputs={"model": {"note": "new", "share": 0.5}})
    root.stage("run 2", "GANTrainer", pipeline="other", outputs={"model": {}})
    connection = metadata.connection_config(str(root.database))
    execution = metadata.last_execution(connection, "digits", "GANTrainer")

    assert not execution.cached
    assert execution.outputs["model"].id == made["model"]
    assert execution.outputs["model"].properties == {"note": "new", "share": 0.5}


def test_what_a_stage_took_is_noted_with_the_stages_before_it(root):
    config = metadata.connection_config(str(root.database))
    ids = root.stage("run", "Maker", outputs={"examples": {}})
    assert metadata.note_cost(config, "digits", "Maker", Cost(1.5, 0.25, "run"))
    root.stage("run", "Learner", outputs={"model": {}}, inputs={"examples": ids["examples"]})
    assert metadata.note_cost(config, "digits", "Learner", Cost(60.0, 1.0, "run"))
    root.stage("run", "Cached", state="CACHED", outputs={"model": ids["examples"]})
    assert not metadata.note_cost(config, "digits", "Cached", Cost(0.1, 1.0, "run"))

    (run,) = metadata.runs(str(root.database))
    found = {stage: execution.cost for stage, execution in run.executions.items()}
    assert found == {
        "Maker": Cost(1.5, 0.25, "run"),
        "Learner": Cost(60.0, 1.0, "run"),
        "Cached": None,
    }
    assert not run.executions["Learner"].properties
    written = [
        costs.read([artifact.custom_properties[costs.PROPERTY].string_value])
        for artifact in root.store.get_artifacts()
    ]
    assert written == [
        {"Maker": Cost(1.5, 0.25, "run")},
        {"Maker": Cost(1.5, 0.25, "run"), "Learner": Cost(60.0, 1.0, "run")},
    ]


def test_runs_come_in_order_with_their_stages_parameters_and_outputs(root):
    made = root.stage("b", "ImageExampleGen", properties={"span": 3}, outputs={"examples": {}})
    root.stage("b", "GANTrainer", "FAILED", properties={"config": '{"images": 5}'})
    root.stage("a", "ImageExampleGen", "CACHED", outputs={"examples": made["examples"]})
    root.stage("a", "GANTrainer", "RUNNING")
    root.context("pipeline_run", "no stage yet")
    first, second, third = metadata.runs(str(root.database))

    assert [run.id for run in (first, second, third)] == ["b", "a", "no stage yet"]
    assert [run.pipeline for run in (first, second, third)] == ["digits", "digits", ""]
    assert first.started <= second.started <= third.started
    assert list(first.executions) == list(second.executions) == ["ImageExampleGen", "GANTrainer"]
    assert first.executions["ImageExampleGen"].properties == {"span": 3}
    assert first.executions["GANTrainer"].properties == {"config": '{"images": 5}'}
    assert first.executions["GANTrainer"].state == "failed"
    assert second.executions["GANTrainer"].state == "running"
    cached = second.executions["ImageExampleGen"]
    assert cached.cached
    assert cached.outputs == first.executions["ImageExampleGen"].outputs
    assert third.executions == {}


def test_reading_changes_nothing(root):
    root.complete("run", {"fid": 3.0})
    before = root.database.read_bytes(), sorted(os.listdir(root.path))
    metadata.runs(str(root.database))

    assert (root.database.read_bytes(), sorted(os.listdir(root.path))) == before


def test_a_database_that_is_not_there_is_not_made(tmp_path):
    with pytest.raises(FileNotFoundError, match="metadata.sqlite: no such file"):
        metadata.runs(str(tmp_path / "metadata.sqlite"))
    assert os.listdir(tmp_path) == []


def test_what_another_run_is_writing_is_read_once_it_is_whole(root):
    root.complete("run", {"fid": 3.0})
    with contextlib.closing(sqlite3.connect(root.database, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("UPDATE Context SET name = 'half done' WHERE name = 'run'")
        assert [run.id for run in metadata.runs(str(root.database))] == ["run"]
        writer.execute("COMMIT")
        assert [run.id for run in metadata.runs(str(root.database))] == ["half done"]


def test_an_older_layout_is_read_and_stays_as_it_is(root):
    root.complete("run", {"fid": 3.0})
    metadata_store.downgrade_schema(metadata.connection_config(str(root.database)), 6)
    before = root.database.read_bytes()
    (run,) = metadata.runs(str(root.database))

    assert run.executions["GANEvaluator"].outputs["evaluation"].properties["fid"] == 3.0
    assert root.database.read_bytes() == before


def test_a_newer_layout_is_refused_in_words(root):
    with contextlib.closing(sqlite3.connect(root.database)) as database:
        database.execute("UPDATE MLMDEnv SET schema_version = 1000")
        database.commit()
    with pytest.raises(ValueError, match="metadata.sqlite: "):
        metadata.runs(str(root.database))
