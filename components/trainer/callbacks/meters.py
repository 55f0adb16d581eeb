"""What is measured of a training between two lines of its log."""

import time
from collections.abc import Iterator, Mapping
from typing import TypeVar

import tensorflow as tf

T = TypeVar("T")


class Means:
    """Means of dictionaries of scalars, fetched from the device when they are asked for."""

    def __init__(self) -> None:
        self._rows: list[tuple[Mapping[str, tf.Tensor], int]] = []

    def add(self, values: Mapping[str, tf.Tensor], weight: int = 1) -> None:
        """Adds scalars, each standing for `weight` of them."""
        # Kept as they are: small operations, one by one, cost as much as a small network's step.
        self._rows.append((values, weight))

    def pop(self) -> dict[str, float]:
        """The means since the last call."""
        sums: dict[str, float] = {}
        weights: dict[str, int] = {}
        for values, weight in self._rows:
            # A lazy penalty is there in some steps only.
            for name, value in values.items():
                sums[name] = sums.get(name, 0.0) + float(value) * weight
                weights[name] = weights.get(name, 0) + weight
        self._rows = []
        return {name: total / weights[name] for name, total in sums.items()}


class Waiting:
    """Measures which share of the time goes by while waiting for input."""

    def __init__(self) -> None:
        self._start()

    def _start(self) -> None:
        self._waited, self._started = 0.0, time.monotonic()

    def next(self, batches: Iterator[T]) -> T:
        """The next batch."""
        started = time.monotonic()
        batch = next(batches)
        self._waited += time.monotonic() - started
        return batch

    def pop(self) -> float:
        """The share, in [0, 1], since the last call."""
        share = self._waited / max(time.monotonic() - self._started, 1e-9)
        self._start()
        return share
