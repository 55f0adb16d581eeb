"""SIGTERM, with which clusters take a machine back: finish the step, save, and say "resume me"."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator

# EX_TEMPFAIL of sysexits.h: not a failure, try again later.
RESUME_EXIT_CODE = 75


class Preempted(SystemExit):
    """Ends the process with `RESUME_EXIT_CODE`; a checkpoint of this very step exists."""

    def __init__(self, message: str) -> None:
        super().__init__(RESUME_EXIT_CODE)
        self.message = message


@contextlib.contextmanager
def sigterm() -> Iterator[Callable[[], bool]]:
    """Yields whether SIGTERM has come; it does nothing else inside.

    One that nobody asked about any more is handed on at the end, and not lost.

    Outside the main thread, where Python lets nobody handle signals, it never has.
    """
    received = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield received.is_set
        return
    previous = signal.signal(signal.SIGTERM, lambda *_: received.set())
    try:
        yield received.is_set
    finally:
        signal.signal(signal.SIGTERM, previous)
    if received.is_set():
        signal.raise_signal(signal.SIGTERM)
