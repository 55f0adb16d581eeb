"""Preemption: on SIGTERM, finish the step, save, and exit with a code that means "resume me"."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from components.trainer.callbacks.callback import Callback, StepEnd
from components.trainer.callbacks.checkpoints import BackupAndRestore
from components.trainer.callbacks.terminate_on_nan import TerminateOnNaN

if TYPE_CHECKING:
    from components.trainer.training import GANTrainer

# EX_TEMPFAIL in sysexits.h: a temporary failure, try again later.
RESUME_EXIT_CODE = 75


class Preempted(SystemExit):
    """Exits with `RESUME_EXIT_CODE`, after the current step has been saved."""

    def __init__(self, message: str) -> None:
        super().__init__(RESUME_EXIT_CODE)
        self.message = message


@contextlib.contextmanager
def sigterm() -> Iterator[Callable[[], bool]]:
    """Defers SIGTERM, and yields a function that returns whether it was received.

    A SIGTERM that arrives after the last call is re-raised on exit. Outside the main thread, where
    Python cannot install signal handlers, the function always returns False.
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


class Preemption(Callback):
    """Saves and exits after the step in which SIGTERM was received.

    Args:
      terminated: from `sigterm`.
      nan: checks the weights before they are saved.
      backup: saves them; None if there is no folder to save to.

    Raises (from `step_end`):
      Preempted: after SIGTERM.
    """

    def __init__(
        self,
        terminated: Callable[[], bool],
        nan: TerminateOnNaN,
        backup: BackupAndRestore | None,
    ) -> None:
        self._terminated = terminated
        self._nan = nan
        self._backup = backup

    def step_end(self, trainer: GANTrainer, step: StepEnd) -> None:
        if not self._terminated():
            return
        self._nan.check(trainer)
        if self._backup:
            self._backup.save(trainer)
        text = f"SIGTERM at step {step.step} ({step.images:,} images)"
        saved = "the same command resumes from here" if self._backup else "nothing was saved"
        trainer.warn(f"{text}: {saved}")
        raise Preempted(f"{text}: {saved}")
