"""Scheduled hyperparameters: variables that are updated before each training step."""

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
    """Variables that follow schedules: functions of the images seen, so resuming is exact."""

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
        """Makes a variable follow a schedule.

        Args:
          name: its key in the log.
          scheduled: a number or a schedule.
          variable: the variable to set; default: a new float32 scalar.
          transform: maps (scheduled value, images seen) to the value to set.

        Returns:
          The variable.
        """
        if variable is None:
            variable = tf.Variable(0.0, trainable=False, name=name)
        self._entries[name] = _Entry(scheduled, variable, transform)
        return variable

    def start(self, total_images: int) -> None:
        """Sets the length of training, which is the length of schedules that specify none."""
        self._entries = {
            name: entry._replace(scheduled=over(entry.scheduled, total_images))
            for name, entry in self._entries.items()
        }
        # The variables may have been overwritten, e.g. by restoring a checkpoint.
        self._set = {}

    def set(self, images_seen: int) -> None:
        """Sets every variable whose value has changed."""
        for name, entry in self._entries.items():
            value = entry.transform(value_at(entry.scheduled, images_seen), images_seen)
            if self._set.get(name) != value:
                entry.variable.assign(value)
                self._set[name] = value

    @property
    def scheduled(self) -> dict[str, float]:
        """Current values by name, without constant ones."""
        return {
            name: self._set[name]
            for name, entry in self._entries.items()
            if isinstance(entry.scheduled, Schedule) and name in self._set
        }

    @property
    def open_ended(self) -> bool:
        """Whether any schedule takes its length from the training."""
        return any(
            isinstance(entry.scheduled, Schedule) and entry.scheduled.images is None
            for entry in self._entries.values()
        )
