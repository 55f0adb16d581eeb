"""What the Dockerfile promises, as far as can be seen without building it."""

import fnmatch
import importlib.metadata
import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement

PROJECT = Path(__file__).parents[2]
PINNED = re.compile(
    r"^([a-z0-9._-]+)==(\S+)((?: ;[^\\\n]*)?)((?: \\\n +--hash=sha256:[0-9a-f]{64})+)$"
)


def stages():
    """Name of each stage to what it is built from, and its instructions."""
    text = (PROJECT / "Dockerfile").read_text("utf-8")
    joined = re.sub(r"\\\n\s*", "", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE))
    found = {}
    for line in filter(None, joined.splitlines()):
        instruction, _, rest = line.partition(" ")
        if instruction == "FROM":
            source, _, name = rest.partition(" AS ")
            found[name] = (source, instructions := [])
        elif found:
            instructions.append((instruction, rest))
    return found


STAGES = stages()


def inherited(stage, instruction):
    """Every such instruction of the stage and those that it is built on, oldest first."""
    if stage not in STAGES:
        return []
    source, own = STAGES[stage]
    return inherited(source, instruction) + [rest for name, rest in own if name == instruction]


def pins(path):
    """Name and marker to version, of a file in which every line has to be pinned with hashes."""
    entries = re.split(r"\n(?=\S)", (PROJECT / path).read_text("utf-8").strip())
    matches = [(entry, PINNED.fullmatch(entry)) for entry in entries if not entry.startswith("#")]
    assert [entry for entry, match in matches if not match] == []
    return {(match[1], match[3]): match[2] for _, match in matches}


def ignored(path):
    """Whether .dockerignore keeps it from the builder: the last pattern that fits decides."""
    out = False
    for line in (PROJECT / ".dockerignore").read_text("utf-8").splitlines():
        pattern = line.removeprefix("!")
        parts = path.split("/")
        prefixes = ["/".join(parts[: end + 1]) for end in range(len(parts))]
        if pattern.startswith("**/"):
            fits = any(fnmatch.fnmatchcase(part, pattern[3:]) for part in parts)
        else:
            fits = any(fnmatch.fnmatchcase(prefix, pattern) for prefix in prefixes)
        if fits and not line.startswith("#"):
            out = not line.startswith("!")
    return out


@pytest.mark.parametrize("target", ["cpu", "gpu"])
def test_an_image_runs_as_a_numbered_user_with_a_home_of_its_own(target):
    user = inherited(target, "USER")[-1]
    (home,) = (value for value in inherited(target, "ENV") if value.startswith("HOME="))

    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)
    assert inherited(target, "WORKDIR")[-1] == home.removeprefix("HOME=")
    # Or the user could change what it runs.
    assert not any("--chown" in copied for copied in inherited(target, "COPY"))


def test_the_last_stage_is_the_default_and_needs_no_gpu():
    assert list(STAGES)[-1] == "cpu"
    assert not any("gpu.txt" in command for command in inherited("cpu", "RUN"))
    assert any("gpu.txt" in command for command in inherited("gpu", "RUN"))


def test_both_images_share_the_layer_of_packages():
    layer = "--from=build /opt/tfx-gan /opt/tfx-gan"

    assert inherited("cpu", "COPY")[0] == inherited("gpu", "COPY")[0] == layer
    assert len([c for c in inherited("cpu", "COPY") if "--from=build" in c]) == 1


def test_whatever_is_copied_exists_and_reaches_the_builder():
    mounted = re.compile(r"--mount=type=bind,source=(\S+?),")
    sources = [
        source
        for _, instructions in STAGES.values()
        for name, rest in instructions
        for source in (
            (rest.split()[:-1] if "--from" not in rest else [])
            if name == "COPY"
            else mounted.findall(rest)
        )
    ]

    assert {"requirements.txt", "pipeline", "components", "deploy/image/gpu.txt"} <= set(sources)
    assert [s for s in sources if not (PROJECT / s).exists() or ignored(s)] == []
    for path in (".git", ".venv", "data", "tests/deploy", "deploy/kubeflow", "runs"):
        assert ignored(path), path
    assert ignored("pipeline/cli/__pycache__")


def test_every_package_is_pinned_and_hashed():
    commands = [
        command
        for _, instructions in STAGES.values()
        for name, rest in instructions
        if name == "RUN"
        for command in re.findall(r"pip install [^&]*", rest)
    ]
    own, uv = ([command for command in commands if marker in command] for marker in (" .", '"uv=='))

    assert len(commands) == 4
    assert own and all("--no-deps" in command for command in own)
    for command in commands:
        assert command in [*own, *uv] or "--require-hashes" in command
    version = re.search(r"UV_VERSION=(\S+)", (PROJECT / ".ci/venv").read_text("utf-8"))[1]
    assert inherited("build", "ARG") == [f"UV_VERSION={version}"]


def test_the_gpu_image_adds_nvidia_s_libraries_to_the_same_tensorflow():
    base, added = pins("requirements.txt"), pins("deploy/image/gpu.txt")
    newest = base["tensorflow", " ; python_full_version >= '3.11'"]

    assert added.pop(("tensorflow", "")) == newest
    assert {name.partition("-")[0] for name, _ in added} == {"nvidia"}
    assert not {name for name, _ in added} & {name for name, _ in base}


@pytest.mark.skipif(
    importlib.metadata.version("tensorflow") != pins("deploy/image/gpu.txt")["tensorflow", ""],
    reason="the images are of the other lane",
)
def test_nvidia_s_libraries_are_those_that_tensorflow_asks_for():
    added = pins("deploy/image/gpu.txt")
    asked = [Requirement(line) for line in importlib.metadata.requires("tensorflow")]
    asked = [r for r in asked if r.marker and r.marker.evaluate({"extra": "and-cuda"})]
    asked = [r for r in asked if not r.marker.evaluate({"extra": ""})]

    assert asked
    assert [str(r) for r in asked if added.get((r.name, "")) not in r.specifier] == []
