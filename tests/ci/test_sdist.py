"""What remote Beam workers are given."""

import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

PROJECT = Path(__file__).parents[2]
BUILT = ("components", "pipeline")
BUILD = "import setuptools.build_meta; setuptools.build_meta.build_sdist('.')"


def test_the_source_distribution_holds_every_module_and_template(tmp_path):
    for name in ("pyproject.toml", "MANIFEST.in", "README.md", "LICENSE"):
        shutil.copy(PROJECT / name, tmp_path)
    for name in BUILT:
        ignored = shutil.ignore_patterns("__pycache__", "node_modules")
        shutil.copytree(PROJECT / name, tmp_path / name, ignore=ignored)
    subprocess.run([sys.executable, "-c", BUILD], cwd=tmp_path, check=True, capture_output=True)
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        held = {name.partition("/")[2] for name in opened.getnames()}
    wanted = {
        str(path.relative_to(tmp_path))
        for name in BUILT
        for path in (tmp_path / name).rglob("*")
        if path.is_file()
    }
    assert wanted
    assert wanted <= held
