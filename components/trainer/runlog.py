"""What a training leaves to look at: log.jsonl, sample grids, and a bar on the terminal."""

import json
import os
import time
from collections.abc import Mapping

import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from components import files, images

LOG_FILE = "log.jsonl"
GRIDS_FOLDER = "grids"

_SECONDS_BETWEEN_LINES = 10.0


class RunLog:
    """The log of one training, continued where an interrupted one stopped.

    Args:
      folder: path or URI for log.jsonl and grids/.
      console: where progress is shown: a bar on a terminal, else a plain line now and then.
    """

    def __init__(self, folder: str, console: Console | None = None) -> None:
        self.folder = folder
        self._console = console or Console(stderr=True)
        self._lines: list[dict[str, float]] = []

    def start(self, images_seen: int, images_total: int) -> None:
        """Begins at `images_seen`; lines of a previous attempt after that point are dropped."""
        self._lines = [line for line in self._read() if line["images"] <= images_seen]
        self._seconds_before = self._lines[-1]["seconds"] if self._lines else 0.0
        self._started = self._last_write = self._last_shown = time.monotonic()
        self._images_written = images_seen
        self._progress = Progress(
            TextColumn("  {task.percentage:3.0f}% of {task.total:,} images"),
            BarColumn(),
            TextColumn("{task.fields[rate]:,.0f} images/s, left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[losses]}"),
            console=self._console,
            disable=not self._console.is_terminal,
            transient=True,
        )
        self._task = self._progress.add_task(
            "", total=images_total, completed=images_seen, rate=0.0, losses=""
        )
        self._progress.start()

    def advance(self, images_seen: int) -> None:
        """Moves the bar."""
        self._progress.update(self._task, completed=images_seen)

    def write(self, step: int, images_seen: int, losses: Mapping[str, float]) -> None:
        """Adds a line: step, images, seconds, images_per_second and the losses."""
        now = time.monotonic()
        rate = (images_seen - self._images_written) / max(now - self._last_write, 1e-9)
        self._last_write, self._images_written = now, images_seen
        self._lines.append(
            {
                "step": step,
                "images": images_seen,
                "seconds": round(self._seconds_before + now - self._started, 3),
                "images_per_second": round(rate, 1),
                **losses,
            }
        )
        self._save()
        self._show(images_seen, rate, losses)

    def grid(self, images_seen: int, samples: np.ndarray) -> None:
        """Writes uint8 samples [n, height, width, channels] as one PNG."""
        path = os.path.join(self.folder, GRIDS_FOLDER, f"{images_seen:010d}.png")
        images.save_png(images.grid(samples), path)

    def stop(self) -> None:
        """Takes the bar away."""
        self._progress.stop()

    def _show(self, images_seen: int, rate: float, losses: Mapping[str, float]) -> None:
        words = ", ".join(f"{name} {value:.3f}" for name, value in losses.items())
        self._progress.update(self._task, rate=rate, losses=words)
        task = self._progress.tasks[0]
        due = time.monotonic() - self._last_shown >= _SECONDS_BETWEEN_LINES
        if self._progress.disable and (due or images_seen >= task.total):
            self._last_shown = time.monotonic()
            left = (task.total - images_seen) / rate
            self._console.print(
                f"  {images_seen:,} of {task.total:,.0f} images, {rate:,.0f} images/s, "
                f"{left:.0f} s left, {words}",
                highlight=False,
                soft_wrap=True,
            )

    def _read(self) -> list[dict[str, float]]:
        path = os.path.join(self.folder, LOG_FILE)
        if not tf.io.gfile.exists(path):
            return []
        with tf.io.gfile.GFile(path) as file:
            return [json.loads(line) for line in file]

    def _save(self) -> None:
        # Rewritten whole: object stores cannot append, and no line is ever cut.
        lines = "".join(json.dumps(line) + "\n" for line in self._lines)
        files.write(os.path.join(self.folder, LOG_FILE), lines.encode())
