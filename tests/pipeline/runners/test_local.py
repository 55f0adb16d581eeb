import fcntl
import logging
import re
import shutil
import tempfile
from pathlib import Path

import pytest

from pipeline import config
from pipeline.runners import local

DIGITS = Path(__file__).parents[3] / "data" / "digits"


@pytest.fixture
def recipe(tmp_path):
    shutil.copytree(DIGITS, tmp_path / "digits")
    return config.load(str(tmp_path / "digits" / "recipe.yaml"))


def test_two_runs_do_not_share_a_root(recipe, tmp_path):
    with open(tmp_path / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(BlockingIOError, match="another run uses this root"):
            local.run(recipe, str(tmp_path), print)


@pytest.mark.parametrize("name", ["q[x]", "a*b", "a?", "a\\b"])
def test_a_folder_that_stages_would_take_for_a_pattern_is_named(
    recipe, tmp_path, monkeypatch, name
):
    root = str(tmp_path / name)
    (sign,) = set(name) & set("[*?\\")
    message = re.escape(f"{root}: the path holds {sign}, which stages take for a pattern; choose")
    with pytest.raises(ValueError, match=f"--root: {message}"):
        local.run(recipe, root, print)
    with pytest.raises(ValueError, match=f"--root: {message}"):
        local.inspect(recipe.data, print, root=root)
    monkeypatch.setattr(tempfile, "tempdir", root)
    with pytest.raises(ValueError, match=f"TMPDIR: {message}"):
        local.inspect(recipe.data, print)
    assert not (tmp_path / name).exists()


def test_a_root_that_cannot_be_made_is_named(recipe, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match="file/root"):
        local.run(recipe, str(tmp_path / "file" / "root"), print)


def test_an_edited_file_has_another_path(recipe, tmp_path):
    def pinned():
        return local.pinned(recipe, str(tmp_path)).validation.reference

    first, again = pinned(), pinned()
    before = Path(recipe.validation.reference).read_bytes()
    Path(recipe.validation.reference).write_bytes(before + b"# curated\n")
    edited = pinned()

    assert first == again != edited
    assert Path(edited).read_bytes() == before + b"# curated\n"
    assert Path(first).read_bytes() == before


def test_the_log_has_everything_and_the_terminal_only_warnings_of_the_stages(tmp_path, capsys):
    before = logging.getLogger().handlers
    with local.log_to_file(str(tmp_path)):
        logging.getLogger("absl").info("TFX says")
        logging.getLogger("components.evaluator.component").info("gate: FID")
        logging.getLogger("apache_beam").warning("Beam says")
        logging.getLogger("components.example_gen.executor").warning("a.png: does not decode")
    (log,) = (tmp_path / "logs").iterdir()

    for said in ("TFX says", "gate: FID", "Beam says", "a.png: does not decode"):
        assert said in log.read_text()
    told = capsys.readouterr().err
    assert "a.png: does not decode" in told
    assert "Beam says" not in told
    assert "gate: FID" not in told
    assert logging.getLogger().handlers == before
