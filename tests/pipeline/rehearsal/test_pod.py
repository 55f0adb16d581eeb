"""What a stage sees of the machine."""

import ast
import os
import sys
import time

import pytest

from pipeline.rehearsal import pod
from pipeline.rehearsal.pod import Image, Pod


@pytest.fixture(autouse=True, params=["root", "user namespace"])
def _kind(request, monkeypatch):
    """Both kinds of pods, where this machine allows them."""
    user_namespace = request.param == "user namespace"
    if not user_namespace and os.getuid() != 0:
        pytest.skip("pods without a user namespace need root")
    if reason := pod._refusal(user_namespace):
        pytest.skip(f"no pods by {request.param} here: {reason}")
    monkeypatch.setattr(pod, "_needs_user_namespace", lambda: user_namespace)


def _see(tmp_path, expression, image=None, volumes=None, environment=None):
    made = Pod(str(tmp_path / "pod"), image or Image(), volumes or {})
    code = made.run(
        ["python", "-c", f"import os, sys; print(repr({expression}))"], environment or {}
    )
    output = (tmp_path / "pod" / pod.LOG).read_text()
    assert code == 0, output
    return ast.literal_eval(output)


def _readable(folder):
    # Of pytest's folders, only their owner may read.
    folder.mkdir()
    folder.chmod(0o755)
    return folder


def test_the_stage_is_an_ordinary_user_in_an_empty_working_folder(tmp_path):
    # /tmp holds nothing but the way to an interpreter that lies there.
    ways = {path.split("/")[2] for path in pod._interpreter() if path.startswith("/tmp/")}
    seen = _see(
        tmp_path,
        "(os.getuid(), os.getgid(), os.getcwd(), os.listdir('.'), set(os.listdir('/tmp')),"
        " [os.listdir(x) for x in ('/minio', '/s3', '/gcs', '/home')])",
    )
    assert seen == (1000, 1000, "/workdir", [], ways, [[], [], [], []])


def test_the_stage_sees_only_the_containers_variables(tmp_path, monkeypatch):
    monkeypatch.setenv("SHELL_SECRET", "1")
    seen = _see(tmp_path, "dict(os.environ)", environment={"GIVEN": "value"})
    known = {"PATH", "HOME", "KFP_POD_NAME", "KFP_POD_UID", "GIVEN"}

    # The first two are the shell's and Python's own.
    assert seen.keys() - {"PWD", "LC_CTYPE"} == known
    assert seen["GIVEN"] == "value"


def test_python_is_this_interpreter(tmp_path):
    assert _see(tmp_path, "(sys.version_info[:], sys.prefix)") == (
        tuple(sys.version_info),
        os.path.realpath(sys.prefix),
    )


def test_code_is_importable_and_read_only(tmp_path):
    code = _readable(tmp_path / "code")
    (code / "module_of_mine.py").write_text("value = 7\n")
    seen = _see(
        tmp_path,
        "(__import__('module_of_mine').value, os.access('/code/0', os.W_OK),"
        f" os.path.exists({str(code)!r}))",
        Image(code=[str(code)]),
    )
    assert seen == (7, False, False)


@pytest.mark.parametrize("place", ["/code/0/x", "/usr/x", "/etc/x", "/x"])
def test_writing_outside_the_writable_folders_fails(place, tmp_path):
    code = _readable(tmp_path / "code")
    made = Pod(str(tmp_path / "pod"), Image(code=[str(code)]), {})

    assert made.run(["python", "-c", f"open({place!r}, 'w')"], {}) == 1
    assert "Error" in (tmp_path / "pod" / pod.LOG).read_text()
    assert list(code.iterdir()) == []


def test_folders_of_the_image_and_volumes_lie_at_their_paths(tmp_path):
    data, volume = _readable(tmp_path / "data"), _readable(tmp_path / "volume")
    (data / "file").write_text("read")
    seen = _see(
        tmp_path,
        f"(open({str(data / 'file')!r}).read(), open('/mnt/claim/new', 'w').write('abc'))",
        Image(folders=[str(data)]),
        {"/mnt/claim": str(volume)},
    )
    assert seen == ("read", 3)
    assert (volume / "new").read_text() == "abc"


def test_a_program_that_is_not_there_is_the_stages_failure(tmp_path):
    made = Pod(str(tmp_path / "pod"), Image(), {})

    assert made.run(["no-such-program"], {}) != 0
    assert (
        "'no-such-program': executable file not found in $PATH"
        in (tmp_path / "pod" / pod.LOG).read_text()
    )


def test_what_cannot_be_mounted_is_named_and_is_not_the_stages_failure(tmp_path):
    made = Pod(str(tmp_path / "pod"), Image(folders=["/no/such/folder"]), {})

    with pytest.raises(RuntimeError, match="no pod could be made: .*/no/such/folder"):
        made.run(["true"], {})


def test_the_end_of_a_pod_ends_what_the_stage_left_running(tmp_path):
    code = (
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(child.pid)"
    )
    made = Pod(str(tmp_path / "pod"), Image(), {})
    made.run(["python", "-c", code], {})
    child = (tmp_path / "pod" / pod.LOG).read_text().strip()

    # The kernel delivers the signal in its own time.
    deadline = time.monotonic() + 30
    while _runs(child):
        assert time.monotonic() < deadline, f"process {child} still runs"
        time.sleep(0.01)


def _runs(process):
    try:
        with open(f"/proc/{process}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] not in ("Z", "X")
    except (FileNotFoundError, ProcessLookupError):
        return False
