"""Run in a process of its own: turns the process into a pod's, then into the stage's.

usage: enter.py PLAN.json (see `pod.Plan`)

Only the standard library, and nothing of this package: it starts in milliseconds. What goes wrong
before the stage starts is written to the plan's file `error`.
"""

import ctypes
import json
import os
import sys
from typing import Any, NoReturn

_NEW_MOUNTS, _NEW_USER = 0x00020000, 0x10000000
_RDONLY, _REMOUNT, _BIND, _REC, _PRIVATE = 1, 32, 4096, 16384, 1 << 18
_NO_NEW_PRIVILEGES = 38
# A remount in a user namespace must keep these flags of the mount below it: os.ST_… to MS_….
_KEPT = {os.ST_NOSUID: 2, os.ST_NODEV: 4, os.ST_NOEXEC: 8}
_SYSTEM = ("bin", "sbin", "lib", "lib32", "lib64", "usr", "etc", "sys")

_libc = ctypes.CDLL(None, use_errno=True)


def _check(status: int, what: str) -> None:
    if status:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)


def _mount(
    source: str | None,
    target: str,
    kind: str | None = None,
    flags: int = 0,
    data: str | None = None,
) -> None:
    a, b, c, d = (None if x is None else os.fsencode(x) for x in (source, target, kind, data))
    _check(_libc.mount(a, b, c, ctypes.c_ulong(flags), d), f"mount {target}")


def _unshare(flags: int) -> None:
    _check(_libc.unshare(flags), "unshare")


def _map_user(inner: int, user: int, group: int) -> None:
    for name, line in (("uid_map", user), ("setgroups", None), ("gid_map", group)):
        with open(f"/proc/self/{name}", "w") as file:
            file.write("deny" if line is None else f"{inner} {line} 1")


def _bind(source: str, target: str, read_only: bool) -> None:
    if os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        open(target, "a").close()
    _mount(source, target, flags=_BIND | _REC)
    if read_only:
        _make_read_only(target)


def _make_read_only(target: str) -> None:
    kept = sum(flag for st, flag in _KEPT.items() if os.statvfs(target).f_flag & st)
    _mount(None, target, flags=_REMOUNT | _BIND | _RDONLY | kept)


def _build(root: str, plan: dict[str, Any]) -> None:
    """Mounts a root file system at `root`: the machine's programs, and folders of the plan."""
    _mount(None, "/", flags=_PRIVATE | _REC)
    _mount("tmpfs", root, "tmpfs", data="mode=755")
    for name in _SYSTEM:
        source = f"/{name}"
        if os.path.islink(source):
            os.symlink(os.readlink(source), root + source)
        elif os.path.isdir(source):
            _bind(source, root + source, read_only=True)
    for name in ("dev", "proc"):
        _bind(f"/{name}", f"{root}/{name}", read_only=False)
    if os.path.isdir("/dev/shm"):
        _mount("tmpfs", f"{root}/dev/shm", "tmpfs", data="mode=1777")
    for folder in ("var", "run"):
        os.makedirs(f"{root}/{folder}")
    # Parents first, so that nothing is hidden by what is mounted above it.
    for target, (source, read_only) in sorted(plan["mounts"].items()):
        _bind(source, root + target, read_only)
    # In a user namespace the stage owns it.
    _make_read_only(root)


def _become(command: list[str], environment: dict[str, str]) -> NoReturn:
    # os.execvpe imports a module late, which the pod need not have.
    folders = [""] if "/" in command[0] else environment["PATH"].split(":")
    for folder in folders:
        try:
            os.execve(os.path.join(folder, command[0]), command, environment)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            sys.exit(f"exec: {command[0]!r}: {error.strerror}")
    sys.exit(f"exec: {command[0]!r}: executable file not found in $PATH")


def main() -> None:
    """Enters the pod and becomes the stage."""
    with open(sys.argv[1], encoding="utf-8") as file:
        plan = json.load(file)
    uid = plan["uid"]
    try:
        user, group = os.getuid(), os.getgid()
        if plan["user_namespace"]:
            _unshare(_NEW_USER | _NEW_MOUNTS)
            _map_user(0, user, group)
        else:
            _unshare(_NEW_MOUNTS)
        _build(plan["root"], plan)
        if plan["user_namespace"]:
            # Entered before chroot, after which the kernel allows no new user namespace.
            _unshare(_NEW_USER)
            _map_user(uid, 0, 0)
        os.chroot(plan["root"])
        os.chdir(plan["working_folder"])
        if not plan["user_namespace"]:
            os.setgroups([])
            os.setgid(uid)
            os.setuid(uid)
        _check(_libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0), "prctl")
    except OSError as error:
        with open(plan["error"], "w", encoding="utf-8") as file:
            file.write(f"{error.filename}: {error.strerror}")
        sys.exit(1)
    _become(plan["command"], plan["environment"])


if __name__ == "__main__":
    main()
