"""Training progress, as a bar on a terminal or as plain lines."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from components.trainer.callbacks.callback import Callback, StepEnd
from components.trainer.callbacks.json_log import JsonLog

if TYPE_CHECKING:
    from components.trainer.training import GANTrainer

_SECONDS_BETWEEN_LINES = 10.0

_log = logging.getLogger(__name__)


class ProgressBar(Callback):
    """A progress bar on a terminal; elsewhere a plain line every 10 seconds.

    Args:
      log: the log whose values are shown.
      console: where to write; default: standard error.
    """

    def __init__(self, log: JsonLog, console: Console | None = None) -> None:
        self._log = log
        self._console = console or Console(stderr=True)
        self._last_shown = time.monotonic()
        self._progress = Progress(
            TextColumn("  {task.percentage:3.0f}% of {task.total:,} images"),
            BarColumn(),
            TextColumn("{task.fields[rate]:,.0f} images/s, left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[values]}"),
            console=self._console,
            disable=not self._console.is_terminal,
            transient=True,
        )
        self._task = self._progress.add_task("", total=None, rate=0.0, values="")

    def start(self, trainer: GANTrainer) -> None:
        self._progress.update(self._task, total=trainer.total_images, completed=trainer.images_seen)
        self._progress.start()

    def step_end(self, trainer: GANTrainer, step: StepEnd) -> None:
        self._progress.update(self._task, completed=step.images)
        if not step.line:
            return
        losses = {name: value for name, value in step.line.items() if name.endswith("_loss")}
        shown = [f"{name} {value:.3f}" for name, value in losses.items()]
        fid = self._log.last("fid")
        shown += [] if fid is None else [f"FID {fid:.2f}"]
        words, rate = ", ".join(shown), step.line["images_per_second"]
        self._progress.update(self._task, rate=rate, values=words)
        due = time.monotonic() - self._last_shown >= _SECONDS_BETWEEN_LINES
        if self._progress.disable and (due or step.last):
            self._last_shown = time.monotonic()
            left = (trainer.total_images - step.images) / max(rate, 1e-9)
            self._console.print(
                f"  {step.images:,} of {trainer.total_images:,} images, {rate:,.0f} images/s, "
                f"{left:.0f} s left, {words}",
                highlight=False,
                soft_wrap=True,
            )

    def warn(self, trainer: GANTrainer, text: str) -> None:
        # Log handlers write to the terminal directly, so hide the bar meanwhile.
        if not self._progress.disable:
            self._progress.stop()
        _log.warning(text)
        if not self._progress.disable:
            self._progress.start()

    def stop(self, trainer: GANTrainer) -> None:
        self._progress.stop()
