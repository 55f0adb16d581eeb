"""What a training leaves to look at: logs, sample grids, TensorBoard events, and a bar."""

import json
import logging
import os
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from components.common import artifact_files, files, grids

WARNINGS_FILE = "warnings.jsonl"
GRIDS_FOLDER = "grids"
EVENTS_FOLDER = "tensorboard"

_SECONDS_BETWEEN_LINES = 10.0
_HISTOGRAM_BINS = 30

_log = logging.getLogger(__name__)


class RunLog:
    """The log of one training, continued where an interrupted one stopped.

    In its folder: log.jsonl, a line for each `write`; warnings.jsonl; grids/, PNG files named by
    images seen; tensorboard/, event files whose steps are images seen.

    Args:
      folder: path or URI; None to show progress only.
      console: where progress is shown: a bar on a terminal, else a plain line now and then.
    """

    def __init__(self, folder: str | None, console: Console | None = None) -> None:
        self.folder = folder
        self._console = console or Console(stderr=True)
        self._lines = _Lines(folder and os.path.join(folder, artifact_files.LOG))
        self._warnings = _Lines(folder and os.path.join(folder, WARNINGS_FILE))
        self._events: _Events | None = None

    def start(self, images_seen: int, images_total: int) -> None:
        """Begins at `images_seen`; what a previous attempt wrote after that point is dropped."""
        self._seconds_before = 0.0
        self._started = self._last_shown = time.monotonic()
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
        self._task = self._progress.add_task(
            "", total=images_total, completed=images_seen, rate=0.0, values=""
        )
        if self.folder:
            self._events = _Events(os.path.join(self.folder, EVENTS_FOLDER))
        self._lines.read()
        self._warnings.read()
        self.rewind(images_seen)
        if self._lines.all:
            self._seconds_before = self._lines.all[-1]["seconds"]
        self._progress.start()

    def rewind(self, images_seen: int) -> None:
        """Goes back to `images_seen` in a training that has started; what is after is dropped."""
        self._lines.drop_after(images_seen)
        self._warnings.drop_after(images_seen)
        if self._events:
            self._events.drop_after(images_seen)
        measured = [line["fid"] for line in self._lines.all if "fid" in line]
        self._fid = measured[-1] if measured else None
        self._images_written = images_seen
        self._last_write = time.monotonic()
        self.advance(images_seen)

    def advance(self, images_seen: int) -> None:
        """Moves the bar."""
        self._images_seen = images_seen
        self._progress.update(self._task, completed=images_seen)

    def write(self, step: int, images_seen: int, values: Mapping[str, float]) -> None:
        """Adds a line: step, images, seconds, images_per_second and `values`."""
        now = time.monotonic()
        rate = (images_seen - self._images_written) / max(now - self._last_write, 1e-9)
        self._last_write, self._images_written = now, images_seen
        values = {name: float(value) for name, value in values.items()}
        self._fid = values.get("fid", self._fid)
        line = {
            "step": int(step),
            "images": int(images_seen),
            "seconds": round(self._seconds_before + now - self._started, 3),
            "images_per_second": round(rate, 1),
            **values,
        }
        self._lines.add(line)
        if self._events:
            scalars = {name: value for name, value in line.items() if name != "images"}
            self._events.scalars(images_seen, scalars)
        self._show(images_seen, rate, values)

    def warn(self, text: str) -> None:
        """Logs a warning, which stays on the terminal above the bar, and keeps it."""
        self._warnings.add({"images": int(self._images_seen), "warning": text})
        # Handlers write to the terminal as they like; the bar makes room for them.
        if not self._progress.disable:
            self._progress.stop()
        _log.warning(text)
        if not self._progress.disable:
            self._progress.start()

    def grid(self, images_seen: int, samples: np.ndarray) -> None:
        """Writes uint8 samples [n, height, width, 1 or 3] as one picture."""
        if not self.folder:
            return
        picture = grids.grid(samples)
        grids.save_png(picture, os.path.join(self.folder, GRIDS_FOLDER, f"{images_seen:010d}.png"))
        if self._events:
            self._events.image(images_seen, "samples", grids.png(picture), picture.size)

    def histograms(self, images_seen: int, arrays: Mapping[str, np.ndarray]) -> None:
        """Adds the histogram of each array, of any shape, to the event files."""
        if self._events:
            self._events.histograms(images_seen, arrays)

    def stop(self) -> None:
        """Takes the bar away."""
        self._progress.stop()
        if self._events:
            self._events.close()
            self._events = None

    def _show(self, images_seen: int, rate: float, values: Mapping[str, float]) -> None:
        shown = [f"{name} {value:.3f}" for name, value in values.items() if name.endswith("_loss")]
        shown += [] if self._fid is None else [f"FID {self._fid:.2f}"]
        words = ", ".join(shown)
        self._progress.update(self._task, rate=rate, values=words)
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


class _Lines:
    """A file of JSON lines, each with `images`; without a path they are kept in memory only."""

    def __init__(self, path: str | None) -> None:
        self._path = path
        self.all: list[dict[str, Any]] = []

    def read(self) -> None:
        if self._path and tf.io.gfile.exists(self._path):
            with tf.io.gfile.GFile(self._path) as file:
                self.all = [json.loads(line) for line in file]

    def drop_after(self, images_seen: int) -> None:
        kept = [line for line in self.all if line["images"] <= images_seen]
        if len(kept) < len(self.all):
            self.all = kept
            self._save()

    def add(self, line: dict[str, Any]) -> None:
        self.all.append(line)
        self._save()

    def _save(self) -> None:
        # Rewritten whole: object stores cannot append, and no line is ever cut.
        if self._path:
            lines = "".join(json.dumps(line) + "\n" for line in self.all)
            files.write(self._path, lines.encode())


class _Events:
    """One TensorBoard event file in `folder`: TFRecords of Event messages. Steps are images seen.

    Not by tf.summary, which cannot say that a file goes on from an earlier step. TensorBoard then
    drops the later steps of the files before it.
    """

    def __init__(self, folder: str) -> None:
        tf.io.gfile.makedirs(folder)
        # TensorBoard reads the files of a folder in the order of their names.
        path = os.path.join(folder, f"events.out.tfevents.{time.time_ns()}")
        self._writer = tf.io.TFRecordWriter(path)
        self._add(0, file_version="brain.Event:2")

    def drop_after(self, images_seen: int) -> None:
        start = tf.compat.v1.SessionLog(status=tf.compat.v1.SessionLog.START)
        # Steps from this one on are dropped.
        self._add(images_seen + 1, session_log=start)

    def scalars(self, images_seen: int, values: Mapping[str, float]) -> None:
        self._add_values(
            images_seen, [{"tag": name, "simple_value": value} for name, value in values.items()]
        )

    def image(self, images_seen: int, name: str, png: bytes, size: tuple[int, int]) -> None:
        image = tf.compat.v1.Summary.Image(width=size[0], height=size[1], encoded_image_string=png)
        self._add_values(images_seen, [{"tag": name, "image": image}])

    def histograms(self, images_seen: int, arrays: Mapping[str, np.ndarray]) -> None:
        self._add_values(
            images_seen, [{"tag": name, "histo": _histogram(a)} for name, a in arrays.items()]
        )

    def close(self) -> None:
        self._writer.close()

    def _add_values(self, images_seen: int, values: list[dict[str, Any]]) -> None:
        self._add(
            images_seen,
            summary=tf.compat.v1.Summary(
                value=[tf.compat.v1.Summary.Value(**value) for value in values]
            ),
        )

    def _add(self, images_seen: int, **what: Any) -> None:  # noqa: ANN401
        event = tf.compat.v1.Event(wall_time=time.time(), step=images_seen, **what)
        self._writer.write(event.SerializeToString())
        self._writer.flush()


def _histogram(array: np.ndarray) -> tf.compat.v1.HistogramProto:
    values = np.asarray(array, np.float64).ravel()
    counts, edges = np.histogram(values, bins=_HISTOGRAM_BINS)
    return tf.compat.v1.HistogramProto(
        min=values.min(),
        max=values.max(),
        num=values.size,
        sum=values.sum(),
        sum_squares=np.square(values).sum(),
        bucket_limit=edges[1:],
        bucket=counts,
    )
