"""Each case edits a copy of the sources and asks a process of its own, which imports the copy."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import components

_STAGES = ("example_gen", "trainer", "evaluator", "infra_validator")
_ASK = f"""
from components.common.code_version import code_version
for stage in {_STAGES}:
    print(code_version(stage, ignoring=["components.common.grids"] if stage == "trainer" else []))
"""


def _versions(folder):
    done = subprocess.run(
        [sys.executable, "-c", _ASK], cwd=folder, capture_output=True, text=True, check=True
    )
    return dict(zip(_STAGES, done.stdout.split(), strict=True))


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sources")
    shutil.copytree(Path(components.__file__).parent, folder / "components")
    return folder, _versions(folder)


@pytest.mark.parametrize(
    ("edited", "stages"),
    [
        ("evaluator/report/report.html.jinja", {"evaluator"}),
        ("evaluator/metrics/functions.py", {"evaluator"}),
        ("trainer/gan/step.py", {"trainer"}),
        ("example_gen/formats/idx.py", {"example_gen"}),
        # An edit to how PNG grids look must not retrain.
        ("common/grids.py", {"evaluator"}),
        ("features/distances.py", {"trainer", "evaluator"}),
        ("data/examples.py", {"example_gen", "trainer", "evaluator"}),
        ("common/files.py", set(_STAGES)),
    ],
)
def test_an_edit_changes_the_version_of_the_stages_that_import_it_and_no_other(
    edited, stages, original, tmp_path
):
    folder, before = original
    assert all(len(version) == 16 for version in before.values())
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    with (tmp_path / "components" / edited).open("a") as file:
        file.write("\n")

    after = _versions(tmp_path)

    assert {stage for stage in _STAGES if after[stage] != before[stage]} == stages
