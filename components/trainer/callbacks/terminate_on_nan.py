"""Ends training as soon as a loss or a weight is not finite."""

from __future__ import annotations

from typing import TYPE_CHECKING

from components.trainer.callbacks.callback import Callback, StepEnd
from components.trainer.callbacks.checkpoints import BackupAndRestore

if TYPE_CHECKING:
    from components.trainer.training import GANTrainer


class TerminateOnNaN(Callback):
    """Checks each step one step late, so that the GPU need not be waited for.

    If another callback is about to read the weights, the current step is checked too.

    Raises (from `step_end` and `check`):
      FloatingPointError: naming the terms, the step and the last good checkpoint.
    """

    def __init__(self) -> None:
        self._unchecked: StepEnd | None = None

    def start(self, trainer: GANTrainer) -> None:
        self._unchecked = None

    def step_end(self, trainer: GANTrainer, step: StepEnd) -> None:
        self.check(trainer)
        self._unchecked = step
        if any(step.is_due(callback.every_images) for callback in trainer.callbacks):
            self.check(trainer)

    def check(self, trainer: GANTrainer) -> None:
        """Checks the last step, if it has not been checked yet."""
        step, self._unchecked = self._unchecked, None
        if step is None or step.all_finite:
            return
        found = [
            f"{name} {f'is {float(step.terms[name])}' if name in step.terms else 'are not finite'}"
            for name, flag in step.finite.items()
            if not bool(flag)
        ]
        backups = [c for c in trainer.callbacks if isinstance(c, BackupAndRestore)]
        latest = backups[0].latest if backups else None
        raise FloatingPointError(
            f"{', '.join(found)} at step {step.step} ({step.images:,} images); last good "
            f"checkpoint: {latest or 'none'}; lower the learning rate or set clip_norm"
        )
