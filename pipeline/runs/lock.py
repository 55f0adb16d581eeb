"""The lock of a root, to which only one run at a time may write."""

import contextlib
import fcntl
import os
from collections.abc import Iterator

_FILE = ".lock"


@contextlib.contextmanager
def hold(root: str) -> Iterator[None]:
    """Holds the lock; raises BlockingIOError if another run does."""
    with open(os.path.join(root, _FILE), "w", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BlockingIOError(
                f"{root}: another run uses this root; wait for it or name another --root"
            ) from error
        yield


def is_held(root: str) -> bool:
    """Whether a run is writing to the root."""
    try:
        with open(os.path.join(root, _FILE), encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False
