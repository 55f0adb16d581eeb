"""How far a folder is that others fill, as a bar on a terminal or as plain lines."""

import contextlib
import threading
import time
from collections.abc import Iterator, Mapping

import tensorflow as tf
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

# Between two looks; longer where a folder takes long to list.
_SECONDS, _TIMES_LISTING = 1.0, 10.0
# Of plain lines: after this share of the whole, and this long, whichever comes first.
_SHARE, _SECONDS_BETWEEN_LINES = 0.1, 30.0
_THREAD = "progress"


@contextlib.contextmanager
def shown(folder: str, rows: Mapping[str, int], console: Console) -> Iterator[None]:
    """Shows how many samples are in a folder while the block, or its workers, write them.

    It looks at the folder alone, so it does not matter who writes, nor on which machine.

    Args:
      folder: a path or URI.
      rows: samples in each file that is going to be there, by its name.
      console: where to show it.
    """
    watch = _Watch(folder, rows, console)
    try:
        yield
    except BaseException:
        watch.stop()
        raise
    watch.stop()
    watch.last_look()


class _Watch:
    def __init__(self, folder: str, rows: Mapping[str, int], console: Console) -> None:
        self._folder, self._rows, self._console = folder, rows, console
        self._total = sum(rows.values())
        self._there = self._line_at = self._count()
        self._started = self._line_time = time.monotonic()
        self._ended = threading.Event()
        self._bar = Progress(
            TextColumn("  {task.percentage:3.0f}% of {task.total:,} samples"),
            BarColumn(),
            TextColumn("{task.fields[rate]:,.0f} samples/s, left"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
        self._task = self._bar.add_task("", total=self._total, completed=self._there, rate=0.0)
        if self._there and not console.is_terminal:
            self._print(f"{self._there:,} of {self._total:,} samples are there already")
        # The process does not wait for a listing of a file system that hangs.
        self._thread = threading.Thread(target=self._look, name=_THREAD, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        took = 0.0
        with self._bar:
            while not self._ended.wait(max(_SECONDS, _TIMES_LISTING * took)):
                started = time.monotonic()
                # The next look may succeed, and those who write have to say what is wrong.
                with contextlib.suppress(OSError, tf.errors.OpError):
                    self._show(self._count())
                took = time.monotonic() - started

    def stop(self) -> None:
        self._ended.set()
        self._thread.join(timeout=_SECONDS_BETWEEN_LINES)

    def last_look(self) -> None:
        """Says how it ended; a bar is gone by then."""
        if self._line_at < self._total or self._console.is_terminal:
            self._print(self._words(self._count()))

    def _count(self) -> int:
        names = (name.rstrip("/") for name in tf.io.gfile.listdir(self._folder))
        return sum(self._rows.get(name, 0) for name in names)

    def _show(self, count: int) -> None:
        self._bar.update(self._task, completed=count, rate=self._rate(count))
        grown = count - self._line_at >= _SHARE * self._total
        due = grown or time.monotonic() - self._line_time >= _SECONDS_BETWEEN_LINES
        if due and not self._console.is_terminal:
            self._line_at, self._line_time = count, time.monotonic()
            left = (self._total - count) / max(self._rate(count), 1e-9)
            known = f", {left:,.0f} s left" if self._there < count < self._total else ""
            self._print(self._words(count) + known)

    def _words(self, count: int) -> str:
        return f"{count:,} of {self._total:,} samples, {self._rate(count):,.0f} samples/s"

    def _rate(self, count: int) -> float:
        """Of this run, which did not make what was there before."""
        return (count - self._there) / max(time.monotonic() - self._started, 1e-9)

    def _print(self, words: str) -> None:
        self._console.print(f"  {words}", highlight=False, soft_wrap=True)
