"""Saving on the clock and on SIGTERM, which also ends training: decisions of all workers."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from components.trainer.callbacks.callback import Callback, StepEnd
from components.trainer.callbacks.checkpoints import BackupAndRestore
from components.trainer.callbacks.terminate_on_nan import TerminateOnNaN
from components.trainer.rendezvous import TryAgain
from components.trainer.workers import Workers

if TYPE_CHECKING:
    from components.trainer.training import GANTrainer


class Preempted(TryAgain):
    """Exits with `rendezvous.RESUME_EXIT_CODE`, after the current step has been saved."""


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
    """Saves and exits after a step in which SIGTERM was received; saves when the clock says so.

    Where several workers train, the SIGTERM of any of them ends all, and the chief's clock counts.

    Args:
      workers: that train together.
      terminated: from `sigterm`.
      nan: checks the weights before they are saved.
      backup: saves them; None if there is no folder to save to.

    Raises (from `step_end`):
      Preempted: after SIGTERM.
    """

    def __init__(
        self,
        workers: Workers,
        terminated: Callable[[], bool],
        nan: TerminateOnNaN,
        backup: BackupAndRestore | None,
    ) -> None:
        self._workers = workers
        self._terminated = terminated
        self._nan = nan
        self._backup = backup

    def step_end(self, trainer: GANTrainer, step: StepEnd) -> None:
        due = self._backup is not None and self._backup.is_due_by_clock
        everyones = self._workers.everyones([self._terminated(), due])
        stopped = np.flatnonzero(everyones[:, 0]).tolist()
        if not (stopped or everyones[0, 1]):
            return
        self._nan.check(trainer)
        if self._backup:
            self._backup.save_now(trainer)
        if not stopped:
            return
        text = f"SIGTERM at step {step.step} ({step.images:,} images)"
        command = "the same command"
        if self._workers.several:
            text = f"worker {stopped[0]}: {text}"
            command = "the same command on all workers"
            # Who leaves first would look lost to those who still save.
            self._workers.meet()
        saved = f"{command} resumes from here" if self._backup else "nothing was saved"
        trainer.warn(f"{text}: {saved}")
        raise Preempted(f"{text}: {saved}")
