"""Training metrics and warnings as JSON lines: log.jsonl and warnings.jsonl."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import tensorflow as tf

from components.common import artifact_files, files
from components.trainer import devices
from components.trainer.callbacks.callback import Callback, StepEnd

if TYPE_CHECKING:
    from components.trainer.training import GANTrainer

WARNINGS_FILE = "warnings.jsonl"

T = TypeVar("T")


class JsonLog(Callback):
    """Logs mean losses and measurements; a resumed training continues its log.

    Args:
      folder: path or URI for log.jsonl and warnings.jsonl; None to write nothing.
      every_images: images between lines; each measurement adds one too.

    Attributes:
      folder: as given.
      values: the last line: means since the previous line, scheduled hyperparameters, measurements,
        the share of time spent waiting for input, and peak memory.
    """

    def __init__(self, folder: str | None, every_images: int) -> None:
        self.folder = folder
        self.every_images = every_images
        self.values: dict[str, float] = {}
        self._lines = _Lines(folder and os.path.join(folder, artifact_files.LOG))
        self._warnings = _Lines(folder and os.path.join(folder, WARNINGS_FILE))
        self._means = Means()
        self._started, self._zero = False, 0.0

    def start(self, trainer: GANTrainer) -> None:
        if not self._started:
            self._lines.read()
            self._warnings.read()
        self._lines.drop_after(trainer.images_seen)
        self._warnings.drop_after(trainer.images_seen)
        self._last_write = time.monotonic()
        if not self._started:
            self._started = True
            seconds = self._lines.all[-1]["seconds"] if self._lines.all else 0.0
            self._zero = self._last_write - seconds
        self._images_written = trainer.images_seen
        self._means.pop()

    def step_end(self, trainer: GANTrainer, step: StepEnd) -> None:
        self._means.add(step.terms)
        if not (step.is_due(self.every_images) or step.measurement):
            return
        measured = step.measurement.scores() if step.measurement else {}
        values = {**self._means.pop(), **trainer.scheduled, **measured}
        values |= {"input_wait": trainer.waiting.pop(), "memory_gb": devices.peak_memory_gb()}
        self.values = {name: float(value) for name, value in values.items()}
        now = time.monotonic()
        rate = (step.images - self._images_written) / max(now - self._last_write, 1e-9)
        self._last_write, self._images_written = now, step.images
        step.line = {
            "step": step.step,
            "images": step.images,
            "seconds": round(now - self._zero, 3),
            "images_per_second": round(rate, 1),
            **self.values,
        }
        self._lines.add(step.line)

    def warn(self, trainer: GANTrainer, text: str) -> None:
        self._warnings.add({"images": trainer.images_seen, "warning": text})

    def last(self, name: str) -> float | None:
        """The most recent value logged under `name`, or None."""
        return next((line[name] for line in reversed(self._lines.all) if name in line), None)


class Means:
    """Means of dictionaries of scalars, which stay on the device until `pop`."""

    def __init__(self) -> None:
        self._rows: list[tuple[Mapping[str, tf.Tensor], int]] = []

    def add(self, values: Mapping[str, tf.Tensor], weight: int = 1) -> None:
        """Adds scalars, each the mean of `weight` values."""
        # Not summed here: many small ops would cost as much as a small network's step.
        self._rows.append((values, weight))

    def pop(self) -> dict[str, float]:
        """The means since the last call."""
        sums: dict[str, float] = {}
        weights: dict[str, int] = {}
        for values, weight in self._rows:
            # A lazy penalty is only computed in some steps.
            for name, value in values.items():
                sums[name] = sums.get(name, 0.0) + float(value) * weight
                weights[name] = weights.get(name, 0) + weight
        self._rows = []
        return {name: total / weights[name] for name, total in sums.items()}


class _Lines:
    """A file of JSON lines, each with `images`; without a path they stay in memory."""

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
        # Rewritten in full: object stores cannot append, and a crash leaves no partial line.
        if self._path:
            lines = "".join(json.dumps(line) + "\n" for line in self.all)
            files.write(self._path, lines.encode())


class Waiting(Generic[T]):
    """Iterates over batches, and measures the share of time spent waiting for them."""

    def __init__(self, batches: Iterator[T]) -> None:
        self._batches = batches
        self._start()

    def _start(self) -> None:
        self._waited, self._started = 0.0, time.monotonic()

    def next(self) -> T:
        """The next batch."""
        started = time.monotonic()
        batch = next(self._batches)
        self._waited += time.monotonic() - started
        return batch

    def pop(self) -> float:
        """The share of time spent waiting since the last call, in [0, 1]."""
        share = self._waited / max(time.monotonic() - self._started, 1e-9)
        self._start()
        return share
