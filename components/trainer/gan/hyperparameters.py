"""Hyperparameters as the training step reads them: set from schedules before each step."""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from components.trainer.gan.schedules import Schedule, Scheduled, over, value_at

Transform = Callable[[float, float], float]


class _Knob(NamedTuple):
    scheduled: Scheduled
    variable: tf.Variable
    transform: Transform


class Knobs:
    """Variables whose values are functions of the images seen, so that no resume can lose them."""

    def __init__(self) -> None:
        self._knobs: dict[str, _Knob] = {}
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
        self._knobs[name] = _Knob(scheduled, variable, transform)
        return variable

    def start(self, total_images: int) -> None:
        """Sets the length of training, which schedules without a length of their own take."""
        self._knobs = {
            name: knob._replace(scheduled=over(knob.scheduled, total_images))
            for name, knob in self._knobs.items()
        }
        # What was set may have been overwritten, by a checkpoint say.
        self._set = {}

    def set(self, images_seen: int) -> None:
        """Sets every variable whose value is another one than before."""
        for name, knob in self._knobs.items():
            value = knob.transform(value_at(knob.scheduled, images_seen), images_seen)
            if self._set.get(name) != value:
                knob.variable.assign(value)
                self._set[name] = value

    @property
    def scheduled(self) -> dict[str, float]:
        """Name to present value of what follows a schedule."""
        return {
            name: self._set[name]
            for name, knob in self._knobs.items()
            if isinstance(knob.scheduled, Schedule) and name in self._set
        }

    @property
    def open_ended(self) -> bool:
        """Whether a schedule takes its length from that of training."""
        return any(
            isinstance(knob.scheduled, Schedule) and knob.scheduled.images is None
            for knob in self._knobs.values()
        )
