"""A pod without a container engine: a process with a root file system of its own."""

import dataclasses
import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

from pipeline.rehearsal import enter
from pipeline.rehearsal.values import STAGED

UID = 1000
"""User of every stage; the image must work with any."""

LOG = "log"
"""File in a pod's folder: what the stage wrote to standard output and error."""

_HOME, _WORKING_FOLDER, _CODE, _PROGRAMS = "/home", "/workdir", "/code", "/opt/rehearsal/bin"
_WRITABLE = ("/tmp", _HOME, _WORKING_FOLDER, *(folder.rstrip("/") for folder in STAGED.values()))
_ANYONE = 0o1777


@dataclasses.dataclass(frozen=True)
class Image:
    """What a container image would hold.

    Attributes:
      code: folders of Python code, read-only at a place of their own and in PYTHONPATH.
      folders: folders that are read-only at their own path.
      environment: variables that the image sets.
    """

    code: Sequence[str] = ()
    folders: Sequence[str] = ()
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Plan:
    """What `enter` is told.

    Attributes:
      root: empty folder to mount the root file system at.
      mounts: the pod's path to (path on this machine, whether read-only).
      command: program and arguments.
      environment: all variables of the stage.
      working_folder: where the stage starts.
      uid: the stage's user and group.
      user_namespace: whether to mount as an ordinary user.
      error: file for what went wrong before the stage started.
    """

    root: str
    mounts: Mapping[str, tuple[str, bool]]
    command: Sequence[str]
    environment: Mapping[str, str]
    working_folder: str
    uid: int
    user_namespace: bool
    error: str


class Pod:
    """One attempt of a stage.

    Args:
      folder: the pod's disk, which must not exist: its paths are those of the pod, below `disk`.
      image: what the stage finds beside it.
      volumes: the pod's path to a folder of this machine.
    """

    def __init__(self, folder: str, image: Image, volumes: Mapping[str, str]) -> None:
        self.folder = os.path.abspath(folder)
        self.disk = os.path.join(self.folder, "disk")
        self._image = image
        self._volumes = volumes
        for path in _WRITABLE:
            os.makedirs(self.disk + path)
        os.makedirs(os.path.join(self.folder, "root"))

    def path(self, path: str) -> str:
        """Where this machine finds the pod's `path`."""
        return self.disk + path

    def run(self, command: Sequence[str], environment: Mapping[str, str]) -> int:
        """Runs the stage to its end; returns its exit code, or minus the signal that ended it.

        Args:
          command: program and arguments.
          environment: the container's variables.

        Raises:
          RuntimeError: if this machine does not allow a pod, or lacks something that it mounts.
        """
        error = os.path.join(self.folder, "error")
        plan = Plan(
            os.path.join(self.folder, "root"),
            self._mounts(),
            command,
            self._environment(environment),
            _WORKING_FOLDER,
            UID,
            _needs_user_namespace(),
            error,
        )
        self._give_to_stage()
        file = Path(self.folder, "plan.json")
        file.write_text(json.dumps(dataclasses.asdict(plan), indent=1), encoding="utf-8")
        with open(os.path.join(self.folder, LOG), "wb") as log:
            stage = subprocess.Popen(
                [sys.executable, "-I", "-S", enter.__file__, str(file)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                code = stage.wait()
            finally:
                _end(stage)
        if os.path.exists(error):
            raise RuntimeError(f"no pod could be made: {Path(error).read_text(encoding='utf-8')}")
        return code

    def remove_disk(self) -> None:
        """Removes everything that the pod wrote but its log."""
        shutil.rmtree(self.disk)

    def _mounts(self) -> dict[str, tuple[str, bool]]:
        mounts = {path: (self.path(path), False) for path in _WRITABLE}
        programs = os.path.join(self.folder, "bin")
        _write_programs(programs)
        mounts[_PROGRAMS] = (programs, True)
        for path in (*_interpreter(), *map(os.path.abspath, self._image.folders)):
            mounts[path] = (path, True)
        for index, path in enumerate(self._image.code):
            mounts[f"{_CODE}/{index}"] = (os.path.abspath(path), True)
        for path, folder in self._volumes.items():
            mounts[path] = (os.path.abspath(folder), False)
        return mounts

    def _environment(self, container: Mapping[str, str]) -> dict[str, str]:
        search = (_PROGRAMS, os.path.dirname(_executable()), "/usr/local/bin", "/usr/bin", "/bin")
        code = [f"{_CODE}/{index}" for index in range(len(self._image.code))]
        return {
            "PATH": ":".join(search),
            "HOME": _HOME,
            **({"PYTHONPATH": ":".join(code)} if code else {}),
            "KFP_POD_NAME": os.path.basename(self.folder).lower(),
            "KFP_POD_UID": str(uuid.uuid4()),
            **self._image.environment,
            **container,
        }

    def _give_to_stage(self) -> None:
        for folder, _, names in os.walk(self.disk):
            for path in (folder, *(os.path.join(folder, name) for name in names)):
                if not _needs_user_namespace():
                    os.chown(path, UID, UID, follow_symlinks=False)
        os.chmod(self.path("/tmp"), _ANYONE)
        for folder in self._volumes.values():
            # As a new claim with the pod's group would be; one with contents stays as it is.
            if not os.listdir(folder) and not _needs_user_namespace():
                os.chown(folder, UID, UID)


def check() -> None:
    """Checks that this machine allows pods.

    Raises:
      RuntimeError: if it does not: what is missing, in one line.
    """
    _needs_user_namespace()


@functools.cache
def _needs_user_namespace() -> bool:
    reasons = []
    for user_namespace in (False, True) if os.getuid() == 0 else (True,):
        reason = _refusal(user_namespace)
        if not reason:
            return user_namespace
        reasons.append(reason)
    raise RuntimeError(
        "a rehearsal gives each stage a file system of its own, which this machine refuses "
        f"({'; '.join(reasons)}): run it as root, or allow user namespaces (sysctl "
        "user.max_user_namespaces, kernel.apparmor_restrict_unprivileged_userns=0)"
    )


def _refusal(user_namespace: bool) -> str:
    """Why this machine does not allow pods of a kind; "" if it does."""
    with tempfile.TemporaryDirectory() as folder:
        root, error = os.path.join(folder, "root"), os.path.join(folder, "error")
        os.makedirs(root)
        mounts = {_WORKING_FOLDER: (root, False)}
        environment = {"PATH": "/usr/bin:/bin"}
        plan = Plan(
            root, mounts, ["true"], environment, _WORKING_FOLDER, UID, user_namespace, error
        )
        file = Path(folder, "plan.json")
        file.write_text(json.dumps(dataclasses.asdict(plan)), encoding="utf-8")
        command = [sys.executable, "-I", "-S", enter.__file__, str(file)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return ""
        said = Path(error).read_text("utf-8") if os.path.exists(error) else done.stderr
        return " ".join(said.split()) or f"exit status {done.returncode}"


def _end(stage: "subprocess.Popen[bytes]") -> None:
    """Ends what is left of the pod, as its end would."""
    try:
        os.killpg(stage.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    stage.wait()


def _executable() -> str:
    # The folder is resolved, not the file: a virtual environment is known by its own link.
    folder, name = os.path.split(sys.executable)
    return os.path.join(os.path.realpath(folder), name)


def _interpreter() -> set[str]:
    """Folders without which this interpreter does not start, none inside another."""
    real = os.path.realpath(sys.executable)
    found = {
        os.path.realpath(sys.prefix),
        os.path.realpath(sys.base_prefix),
        os.path.dirname(os.path.dirname(real)),
        sys.base_prefix,
    }
    return {path for path in found if not f"{path}/".startswith(("/usr/", "/bin/", "//"))}


def _write_programs(folder: str) -> None:
    os.makedirs(folder, exist_ok=True)
    for name in ("python", "python3"):
        program = Path(folder, name)
        program.write_text(f'#!/bin/sh\nexec "{_executable()}" "$@"\n', encoding="utf-8")
        program.chmod(0o755)
