"""Concurrent requests computed together: the rows of several in one call of the model."""

import asyncio
import collections
import contextlib
import dataclasses
import threading
import time
from collections.abc import Callable, Hashable, Mapping, Sequence

import numpy as np

from components.serving.server.servable import Servable

Arrays = dict[str, np.ndarray]
# What a request ends with.
_Result = Arrays | Exception


@dataclasses.dataclass
class _Task:
    """A request that waits."""

    servable: Servable
    signature: str
    inputs: Arrays
    rows: int
    future: asyncio.Future
    arrival: float


class Batcher:
    """Computes requests in a thread, those that came meanwhile together.

    Requests are merged if they ask for the same signature of the same version, the signature
    works by rows, and their inputs differ in their first dimension only. An answer is that of the
    request alone: rows do not depend on each other, and a call that is refused, because of a bad
    value in one request, is computed again in halves.

    Args:
      wait_seconds: how long a request that could be computed waits for others to join it.
      observe: is told the rows and requests of each call, in the thread.
    """

    def __init__(
        self, wait_seconds: float = 0.0, observe: Callable[[int, int], None] | None = None
    ) -> None:
        self._wait_seconds = wait_seconds
        self._observe = observe
        # Guarded by the condition, which is notified of changes: what can be merged, by key.
        self._queues: dict[Hashable, collections.deque[_Task]] = {}
        self._closed = False
        self._condition = threading.Condition()
        # One, as TensorFlow itself uses all processors for a call.
        self._thread = threading.Thread(target=self._work, name="model", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends the thread after the call that it is in."""
        with self._condition:
            self._closed = True
            self._condition.notify()

    def submit(
        self, servable: Servable, signature: str, inputs: Arrays, rows: int
    ) -> "asyncio.Future[Arrays]":
        """The outputs by name; the request is dropped if the future is cancelled in time.

        Args:
          servable: which loaded version.
          signature: its name.
          inputs: by name, as `Servable.check` has passed them.
          rows: as `Servable.check` has returned them.
        """
        future = asyncio.get_running_loop().create_future()
        task = _Task(servable, signature, inputs, rows, future, time.monotonic())
        with self._condition:
            self._queues.setdefault(_key(task), collections.deque()).append(task)
            self._condition.notify()
        return future

    def _work(self) -> None:
        while True:
            tasks = self._take()
            if tasks is None:
                return
            if self._observe:
                self._observe(sum(task.rows for task in tasks), len(tasks))
            results = _compute(tasks)
            # The loop may be closed by now, if nobody waits any more.
            with contextlib.suppress(RuntimeError):
                tasks[0].future.get_loop().call_soon_threadsafe(_finish, tasks, results)
            # Or they would be kept until the next request, with the version they use.
            del tasks, results

    def _take(self) -> list[_Task] | None:
        """The tasks of the next call, once it is due; None at the end."""
        with self._condition:
            while not self._closed:
                if not self._queues:
                    self._condition.wait()
                    continue
                key, queue = min(self._queues.items(), key=lambda item: item[1][0].arrival)
                limit = queue[0].servable.max_rows
                left = queue[0].arrival + self._wait_seconds - time.monotonic()
                if left > 0 and sum(task.rows for task in queue) < limit:
                    self._condition.wait(left)
                    continue
                tasks: list[_Task] = []
                rows = 0
                while queue and (not tasks or rows + queue[0].rows <= limit):
                    task = queue.popleft()
                    if not task.future.cancelled():
                        tasks.append(task)
                        rows += task.rows
                if not queue:
                    del self._queues[key]
                if tasks:
                    return tasks
        return None


def _finish(tasks: Sequence[_Task], results: Sequence[_Result]) -> None:
    """Hands out results, in the loop."""
    for task, result in zip(tasks, results, strict=True):
        if task.future.cancelled():
            continue
        if isinstance(result, Exception):
            task.future.set_exception(result)
        else:
            task.future.set_result(result)


def _key(task: _Task) -> Hashable:
    if not task.servable.signatures[task.signature].by_rows:
        return id(task)
    # Equal numbers of rows, or the request is to be refused by itself.
    if any(len(value) != task.rows for value in task.inputs.values()):
        return id(task)
    shapes = tuple((name, task.inputs[name].shape[1:]) for name in sorted(task.inputs))
    return task.servable, task.signature, shapes


def _compute(tasks: Sequence[_Task]) -> list[_Result]:
    """The results of tasks that can be merged."""
    try:
        return list(_merged(tasks))
    except Exception as error:  # noqa: BLE001 - the request's own, whatever it is.
        if len(tasks) == 1:
            return [error]
    # Because of one of them; the others must not suffer for it.
    half = len(tasks) // 2
    return [*_compute(tasks[:half]), *_compute(tasks[half:])]


def _merged(tasks: Sequence[_Task]) -> Sequence[Arrays]:
    first = tasks[0]
    if len(tasks) == 1:
        return [first.servable(first.signature, first.inputs)]
    inputs = {name: np.concatenate([task.inputs[name] for task in tasks]) for name in first.inputs}
    return split(first.servable(first.signature, inputs), [task.rows for task in tasks])


def split(outputs: Mapping[str, np.ndarray], rows: Sequence[int]) -> list[Arrays]:
    """Outputs of requests that were computed together, for each of them.

    Args:
      outputs: by name.
      rows: of the requests, in their order.

    Raises:
      ValueError: if the outputs have another number of rows.
    """
    for name, value in outputs.items():
        if len(value) != sum(rows):
            raise ValueError(f"{name}: expected {sum(rows)} rows, found {len(value)}")
    ends = np.cumsum(rows)[:-1]
    parts = {name: np.split(value, ends) for name, value in outputs.items()}
    return [{name: parts[name][index] for name in parts} for index in range(len(rows))]
