"""What .ci/run makes of the checks it calls, with a stand-in for each."""

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]


def program(path, script):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/bash\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.mark.parametrize(
    ("oracles", "ci", "code", "said"),
    [
        (0, "", 0, "== tests on TFX 1.21"),
        (77, "", 0, "The reference implementations were skipped: their packages cannot be had"),
        (77, "true", 1, "The reference implementations did not run, and CI needs them."),
        (1, "", 1, "values differ"),
    ],
)
def test_the_reference_values_are_checked_and_skipped_only_aloud(tmp_path, oracles, ci, code, said):
    (tmp_path / ".ci").mkdir()
    shutil.copy(PROJECT / ".ci" / "run", tmp_path / ".ci" / "run")
    for name in ("make", "chromium", "chromedriver", "ip"):
        program(tmp_path / "bin" / name, "")
    program(tmp_path / ".ci" / "debian13", "")
    program(tmp_path / ".ci" / "crds", "")
    program(
        tmp_path / ".ci" / "oracles",
        f'[ "$1" = --check ] || exit 5\n[ {oracles} = 1 ] && echo values differ\nexit {oracles}',
    )

    done = subprocess.run(
        [tmp_path / ".ci" / "run"],
        env={"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "CI": ci, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )

    assert done.returncode == code, done.stderr
    assert said in done.stdout
    assert ("== tests on TFX 1.21" in done.stdout) is (code == 0)


@pytest.mark.parametrize(("ci", "code"), [("", 0), ("true", 1)])
def test_manifests_are_not_checked_without_schemas_only_aloud(tmp_path, ci, code):
    (tmp_path / ".ci").mkdir()
    shutil.copy(PROJECT / ".ci" / "run", tmp_path / ".ci" / "run")
    for name in ("make", "chromium", "chromedriver"):
        program(tmp_path / "bin" / name, "")
    for name, exit_code in {"crds": 77, "oracles": 0, "debian13": 0}.items():
        program(tmp_path / ".ci" / name, f"exit {exit_code}")

    done = subprocess.run(
        [tmp_path / ".ci" / "run"],
        env={"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "CI": ci, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )

    assert done.returncode == code
    assert ("not be checked against the schemas" in done.stdout) is (code == 0)


@pytest.mark.parametrize("pip", ["exit 1", None])
def test_oracles_say_that_their_packages_cannot_be_had(tmp_path, pip):
    """Where pip fails, or no Python makes an environment."""
    (tmp_path / ".ci").mkdir()
    shutil.copy(PROJECT / ".ci" / "oracles", tmp_path / ".ci" / "oracles")
    for name in ("python3.10", "python3.11", "python3.12", "python3.13"):
        # Called as: python -m venv FOLDER.
        make = f'mkdir -p "$3/bin"; echo "{pip}" >"$3/bin/pip"; chmod +x "$3/bin/pip"'
        program(tmp_path / "bin" / name, make if pip else "exit 1")

    done = subprocess.run(
        [tmp_path / ".ci" / "oracles", "--check"],
        env={
            "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
            "XDG_CACHE_HOME": str(tmp_path / "cache"),
        },
        capture_output=True,
        text=True,
    )

    assert done.returncode == 77, done.stderr
    assert "oracles: no environment on this machine: " in done.stderr
    assert not list(tmp_path.glob("cache/**/.complete"))
