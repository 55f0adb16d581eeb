import contextlib
import shutil
import threading
import time

import pytest

from components.pusher.versions import rollback
from components.serving.server.versions import Versions


@pytest.fixture
def folder(half_folder, tmp_path):
    """A serving folder with the version 123, and 124 aside."""
    shutil.copytree(half_folder / "123", tmp_path / "serving" / "123")
    shutil.copytree(half_folder / "124", tmp_path / "124")
    return tmp_path / "serving"


def push(folder):
    """As a push does it: by renaming."""
    (folder.parent / "124").rename(folder / "124")


def until(condition):
    """Waits for what another thread does; the test's own limit ends it."""
    while not condition():
        time.sleep(0.01)


def states(versions):
    return {each.version: each.state for each in versions.states()}


class Stream:
    """Requests without end, of some clients; their answers as a set."""

    def __init__(self, client):
        self._client = client
        self._stopped = threading.Event()
        self.answers = []
        self._threads = [threading.Thread(target=self._run) for _ in range(4)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def _run(self):
        while not self._stopped.is_set():
            self.answers.append(self._client.predict({"instances": [2.0]}))

    def until(self, value):
        answer = (200, {"predictions": [value]})
        start = len(self.answers)
        until(lambda: answer in self.answers[start:])


def test_a_push_and_a_rollback_drop_no_request(folder, serving):
    with serving(folder, "half") as (client, versions), Stream(client) as stream:
        stream.until(3.0)
        push(folder)
        stream.until(4.0)
        until(lambda: states(versions) == {124: "AVAILABLE"})
        assert client.get("/versions/123")[0] == 404
        rollback(str(folder), None)
        stream.until(3.0)
        until(lambda: states(versions) == {123: "AVAILABLE"})
    assert {status for status, _ in stream.answers} == {200}


def test_a_version_in_use_stays(folder):
    versions = Versions(str(folder), "half")
    versions.start()
    with contextlib.closing(contextlib.ExitStack()) as stack:
        stack.callback(versions.stop)
        with versions.use() as servable:
            push(folder)
            until(lambda: states(versions) == {123: "UNLOADING", 124: "AVAILABLE"})
            assert servable("serving_default", {"x": 2.0})["y"] == 3.0
            with versions.use() as newest:
                assert newest.version == 124
        until(lambda: states(versions) == {124: "AVAILABLE"})


@pytest.mark.parametrize("what", ["saved_model.pb", "variables/variables.data-00000-of-00001"])
def test_a_broken_version_is_reported_and_the_old_one_stays(folder, what):
    sound = (folder.parent / "124" / what).read_bytes()
    (folder.parent / "124" / what).write_bytes(sound[: len(sound) // 2])
    lines = []
    versions = Versions(str(folder), "half", seconds=0.05, log=lines.append)
    versions.start()
    with contextlib.closing(contextlib.ExitStack()) as stack:
        stack.callback(versions.stop)
        push(folder)
        until(lambda: states(versions) == {123: "AVAILABLE", 124: "END"})
        (broken,) = versions.states(124)
        assert broken.error
        assert any(line.startswith("version 124 cannot be served: ") for line in lines)
        # It is not tried again and again, but when its files have changed.
        time.sleep(0.2)
        assert sum("124 cannot be served" in line for line in lines) == 1
        (folder / "124" / what).write_bytes(sound)
        until(lambda: states(versions) == {124: "AVAILABLE"})
        with versions.use() as servable:
            assert servable("serving_default", {"x": 2.0})["y"] == 4.0


def test_a_version_without_a_graph_is_still_on_its_way(folder):
    (folder / "999").mkdir()
    versions = Versions(str(folder), "half")
    versions.refresh()
    assert states(versions) == {123: "AVAILABLE"}


def test_what_is_loaded_outlives_its_folder(folder, serving):
    lines = []
    with serving(folder, "half") as (client, versions):
        versions._log = lines.append
        folder.rename(folder.parent / "away")
        until(lambda: lines)
        assert client.predict({"instances": [2.0]}) == (200, {"predictions": [3.0]})
        (folder.parent / "away").rename(folder)
        push(folder)
        until(lambda: states(versions) == {124: "AVAILABLE"})


def test_labels_keep_a_version(folder, save_half):
    push(folder)
    save_half(folder / "125", 4.0)
    versions = Versions(str(folder), "half", newest=1, labels={"stable": 123, "gone": 7})
    versions.refresh()

    assert states(versions) == {125: "AVAILABLE", 123: "AVAILABLE"}
    with versions.use(label="stable") as servable:
        assert servable.version == 123


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: None, "no such folder"),
        (lambda path: path.mkdir(), "no version to serve; expected folders named by numbers"),
        (
            lambda path: [(path / "1").mkdir(parents=True), (path / "1/saved_model.pb").touch()],
            "found broken ones: 1: ",
        ),
    ],
)
def test_a_folder_without_versions_is_refused(tmp_path, make, words):
    make(tmp_path / "serving")
    with pytest.raises(FileNotFoundError, match=words):
        Versions(str(tmp_path / "serving"), "half").start()
