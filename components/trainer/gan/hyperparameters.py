"""Scheduled hyperparameters: variables that are set before each training step."""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from components.trainer.gan.schedules import Schedule, Scheduled, over, value_at

Transform = Callable[[float, float], float]


class _Entry(NamedTuple):
    scheduled: Scheduled
    variable: tf.Variable
    transform: Transform


class ScheduledHyperparameters:
    """Variables that follow schedules: functions of the images seen, so that resuming is exact."""

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}
        self._set: dict[str, float] = {}

    def add(
        self,
        name: str,
        scheduled: Scheduled,
        variable: tf.Variable | None = None,
        transform: Transform = lambda value, images_seen: value,
    ) -> tf.Variable:
        """Lets a variable follow a schedule.

        Args:
          name: for the log.
          scheduled: a number or a schedule.
          variable: default: a new float32 scalar.
          transform: (value of the schedule, images seen) to what the variable is set to.

        Returns:
          The variable.
        """
        if variable is None:
            variable = tf.Variable(0.0, trainable=False, name=name)
        self._entries[name] = _Entry(scheduled, variable, transform)
        return variable

    def start(self, total_images: int) -> None:
        """Sets the length of training, which schedules without a length of their own take."""
        self._entries = {
            name: entry._replace(scheduled=over(entry.scheduled, total_images))
            for name, entry in self._entries.items()
        }
        # What was set may have been overwritten, by a checkpoint say.
        self._set = {}

    def set(self, images_seen: int) -> None:
        """Sets every variable whose value is another one than before."""
        for name, entry in self._entries.items():
            value = entry.transform(value_at(entry.scheduled, images_seen), images_seen)
            if self._set.get(name) != value:
                entry.variable.assign(value)
                self._set[name] = value

    @property
    def scheduled(self) -> dict[str, float]:
        """Name to present value of what follows a schedule."""
        return {
            name: self._set[name]
            for name, entry in self._entries.items()
            if isinstance(entry.scheduled, Schedule) and name in self._set
        }

    @property
    def open_ended(self) -> bool:
        """Whether a schedule takes its length from that of training."""
        return any(
            isinstance(entry.scheduled, Schedule) and entry.scheduled.images is None
            for entry in self._entries.values()
        )
