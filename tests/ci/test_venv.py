"""Which lane .ci/venv picks, with a stand-in for every program whose answer decides it."""

import os
import re
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]


@pytest.fixture
def set_up(tmp_path):
    """Runs a copy of .ci/venv where only the given programs and Pythons exist."""

    def run(glibc, pythons=(), compiler=True, uv_fetches=()):
        project, programs = tmp_path / "project", tmp_path / "bin"
        (project / ".ci").mkdir(parents=True)
        programs.mkdir()
        shutil.copy(PROJECT / ".ci" / "venv", project / ".ci" / "venv")

        def program(path, script):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"#!/bin/bash\n{script}\n")
            path.chmod(path.stat().st_mode | stat.S_IXUSR)

        def python(path, version):
            # Answers the one question that .ci/venv asks a Python: are you this version?
            program(
                path,
                f'[ "$1" = -V ] && {{ echo "Python {version}.1"; exit; }}\n'
                f'[[ "$2" == *"print("* ]] && {{ echo {version}; exit; }}\n'
                f"""[[ "$2" == *"== '{version}'"* ]]""",
            )

        for tool in ("bash", "env", "dirname", "mkdir", "flock", "uname", "awk", "sort", "head"):
            os.symlink(shutil.which(tool), programs / tool)
        for tool in ("ls", "touch"):
            os.symlink(shutil.which(tool), programs / tool)
        program(programs / "getconf", f"echo glibc {glibc}")
        if compiler:
            program(programs / "c++", "")
        for version in pythons:
            python(programs / f"python{version}", version)
        fetched = tmp_path / "fetched"
        for version in uv_fetches:
            python(fetched / version, version)
        program(
            programs / "uv",
            f'echo "$@" >> {tmp_path}/uv.log\n'
            f'[ "$1 $2" = "python install" ] && {{ [ -e {fetched}/$3 ]; exit; }}\n'
            f'[ "$1 $2" = "python find" ] && echo {fetched}/$4\n'
            "exit 0",
        )
        ended = subprocess.run(
            [project / ".ci" / "venv"],
            env={"PATH": str(programs), "HOME": str(tmp_path), "PYENV_ROOT": str(tmp_path / "no")},
            capture_output=True,
            text=True,
        )
        log = tmp_path / "uv.log"
        calls = log.read_text().splitlines() if log.exists() else []
        return ended, calls, (project / ".venv" / ".ready").exists()

    return run


LANES = {
    "new machine": ({"glibc": "2.41", "pythons": ["3.10", "3.12", "3.13"]}, "TFX 1.21", "3.13"),
    "new machine, older Python": ({"glibc": "2.39", "pythons": ["3.11"]}, "TFX 1.21", "3.11"),
    "new machine, oldest Python": ({"glibc": "2.41", "pythons": ["3.10"]}, "TFX 1.16", "3.10"),
    "old machine": ({"glibc": "2.36", "pythons": ["3.10", "3.13"]}, "TFX 1.16", "3.10"),
    "fetched": ({"glibc": "2.36", "uv_fetches": ["3.10"]}, "TFX 1.16", "3.10"),
    "newest fetched": (
        {"glibc": "2.41", "pythons": ["3.10"], "uv_fetches": ["3.13"]},
        "TFX 1.21",
        "3.13",
    ),
}


@pytest.mark.parametrize(("machine", "lane", "version"), LANES.values(), ids=LANES)
def test_the_newest_lane_that_loads_is_taken_and_said(set_up, machine, lane, version):
    ended, calls, ready = set_up(**machine)

    assert ended.returncode == 0, ended.stderr
    assert f"set-up: {lane} on Python {version}.1, found in" in ended.stderr
    assert any("pip sync" in call and "--require-hashes" in call for call in calls)
    assert ready


NO_LANE = {
    "no Python": ({"glibc": "2.36"}, "no lane fits: .* here is glibc 2.36"),
    "too old": ({"glibc": "2.12", "pythons": ["3.10"]}, "no lane fits: .* here is glibc 2.12"),
    "no compiler": ({"glibc": "2.41", "pythons": ["3.13"], "compiler": False}, "no C.. compiler"),
}


@pytest.mark.parametrize(("machine", "sentence"), NO_LANE.values(), ids=NO_LANE)
def test_a_machine_without_a_lane_gets_one_sentence(set_up, machine, sentence):
    ended, calls, ready = set_up(**machine)

    assert ended.returncode == 1
    assert len(ended.stderr.splitlines()) == 1
    assert re.search(sentence, ended.stderr)
    assert not any("pip" in call for call in calls)
    assert not ready
