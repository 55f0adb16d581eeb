"""Versions come and go whole."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from components.common import saved_models
from components.pusher import versions


@pytest.fixture
def serving(tmp_path):
    """A folder with three versions, and names that are none to a server."""
    folder = tmp_path / "serving"
    for name in ("7", "8", "9", "99999999999999999999", "٣", "notes", ".staging-1"):
        (folder / name).mkdir(parents=True)
        (folder / name / "saved_model.pb").write_text(name)
    return folder


def model(tmp_path, content):
    folder = tmp_path / f"model {content}"
    folder.mkdir()
    (folder / "saved_model.pb").write_text(str(content))
    return str(folder)


def test_names_that_no_server_reads_are_no_versions(serving):
    assert saved_models.versions(str(serving)) == ["7", "8", "9"]


def test_a_model_becomes_the_highest_version_once(serving, tmp_path):
    assert versions.publish(model(tmp_path, "a"), str(serving), 5) == "10"
    assert versions.publish(model(tmp_path, "b"), str(serving), 50) == "50"
    again = tmp_path / "again"
    again.mkdir()
    assert versions.publish(model(again, "b"), str(serving), 60) == "50"


def test_pushes_at_once_all_become_versions(serving, tmp_path):
    models = [model(tmp_path, number) for number in range(12)]
    with ThreadPoolExecutor(12) as pool:
        found = list(pool.map(lambda path: versions.publish(path, str(serving), 20), models))

    assert sorted(map(int, found)) == list(range(20, 32))
    served = {(serving / version / "saved_model.pb").read_text() for version in found}
    assert served == set(map(str, range(12)))


def test_stagings_are_apart_and_stale_ones_are_cleared(serving):
    first, second = (Path(versions.staging(str(serving))) for _ in range(2))
    assert first != second
    assert (serving / ".staging-1").exists()

    os.utime(serving / ".staging-1", (0, 0))
    os.utime(serving / "notes", (0, 0))
    versions.staging(str(serving))
    assert not (serving / ".staging-1").exists()
    assert (serving / "notes").exists()
    # One that is removed by another push between being listed and looked at.
    (serving / ".staging-2").symlink_to(serving / "gone")
    versions.staging(str(serving))
    # Before the first push there is no folder.
    assert versions.staging("/nowhere").startswith("/nowhere/.staging-")


def test_pushes_at_once_may_prune_too(serving, tmp_path):
    def push(path):
        version = versions.publish(path, str(serving), 20)
        versions.prune(str(serving), 1)
        return version

    models = [model(tmp_path, number) for number in range(12)]
    with ThreadPoolExecutor(12) as pool:
        found = list(pool.map(push, models))

    assert saved_models.versions(str(serving)) == [max(found, key=int)]


@pytest.mark.parametrize(("keep", "gone"), [(1, ["7", "8"]), (2, ["7"]), (3, []), (5, [])])
def test_old_versions_go(serving, keep, gone):
    before = {path.name for path in serving.iterdir()}

    assert versions.prune(str(serving), keep) == gone
    assert {path.name for path in serving.iterdir()} == before - set(gone)


@pytest.mark.parametrize(
    ("to", "served", "withdrawn"), [(None, "8", ["9"]), ("7", "7", ["9", "8"]), ("9", "9", [])]
)
def test_a_rollback_withdraws_what_is_newer(serving, to, served, withdrawn):
    assert versions.rollback(str(serving), to) == (served, withdrawn)

    assert saved_models.versions(str(serving))[-1] == served
    for version in withdrawn:
        content = (serving / f".withdrawn-{version}" / "saved_model.pb").read_text()
        assert content == version
    # The next push is above what is left, and serves what was pushed.
    assert saved_models.find(str(serving)) == str(serving / served)


def test_a_rollback_needs_somewhere_to_go(serving, tmp_path):
    with pytest.raises(ValueError, match="--to 5: .* has the versions 7, 8, 9"):
        versions.rollback(str(serving), "5")
    versions.rollback(str(serving), "7")
    with pytest.raises(ValueError, match="1 version, and none to roll back to"):
        versions.rollback(str(serving))
    with pytest.raises(FileNotFoundError, match="nowhere: no such folder"):
        versions.rollback(str(tmp_path / "nowhere"))
