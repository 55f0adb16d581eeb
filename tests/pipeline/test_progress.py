"""Progress of a folder that others fill."""

import io
import threading

import pytest
from rich.console import Console

from pipeline import progress

ROWS = {"a.npz": 50, "b.npz": 50, "c": 15}


class Screen(io.StringIO):
    """Lets a test wait for what is written."""

    def __init__(self):
        super().__init__()
        self._changed = threading.Condition()

    def write(self, text):
        with self._changed:
            super().write(text)
            self._changed.notify_all()
        return len(text)

    def wait_for(self, text):
        with self._changed:
            assert self._changed.wait_for(lambda: text in self.getvalue(), timeout=60)


@pytest.fixture(autouse=True)
def often(monkeypatch):
    monkeypatch.setattr(progress, "_SECONDS", 0.01)


def test_lines_follow_the_files_that_appear(tmp_path):
    screen = Screen()
    (tmp_path / "a.npz").touch()
    with progress.shown(str(tmp_path), ROWS, Console(file=screen)):
        # Neither a file that is being written nor one of somebody else counts.
        (tmp_path / ".b.npz.part").touch()
        (tmp_path / "generation.json").touch()
        (tmp_path / "b.npz").touch()
        screen.wait_for("100 of 115")
        (tmp_path / "c").mkdir()

    first, *lines, last = screen.getvalue().splitlines()
    assert first == "  50 of 115 samples are there already"
    assert lines[0].startswith("  100 of 115 samples, ")
    assert lines[0].endswith(" s left")
    assert last.startswith("  115 of 115 samples, ")


def test_all_there_is_one_line(tmp_path):
    screen = Screen()
    (tmp_path / "c").mkdir()
    with progress.shown(str(tmp_path), {"c": 15}, Console(file=screen)):
        pass

    assert screen.getvalue() == "  15 of 15 samples are there already\n"


def test_a_line_is_updated_on_a_terminal(tmp_path):
    screen = Screen()
    with progress.shown(str(tmp_path), ROWS, Console(file=screen, force_terminal=True, width=90)):
        (tmp_path / "a.npz").touch()
        screen.wait_for(" 43% of 115 samples")
        (tmp_path / "b.npz").touch()
        screen.wait_for(" 87% of 115 samples")
        (tmp_path / "c").touch()

    shown = screen.getvalue()
    assert "\x1b[2K" in shown, "no line was cleared"
    assert "115 of 115 samples" in shown.splitlines()[-1]


def test_a_failure_stays_the_last_word(tmp_path):
    screen = Screen()
    with (
        pytest.raises(KeyboardInterrupt),
        progress.shown(str(tmp_path), ROWS, Console(file=screen)),
    ):
        raise KeyboardInterrupt
    assert screen.getvalue() == ""
    assert progress._THREAD not in [thread.name for thread in threading.enumerate()]


def test_a_folder_that_cannot_be_listed_for_a_while_ends_nothing(tmp_path):
    screen, folder = Screen(), tmp_path / "out"
    folder.mkdir()
    with progress.shown(str(folder), ROWS, Console(file=screen)):
        folder.rename(tmp_path / "gone")
        for _ in range(5):
            threading.Event().wait(0.01)
        (tmp_path / "gone").rename(folder)
        (folder / "b.npz").touch()
        screen.wait_for("50 of 115")
