"""How good the generator is while it learns: the best one is kept, and training may stop early."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import tensorflow as tf

from components.trainer.callbacks.callback import Callback, StepEnd
from components.trainer.callbacks.json_log import Means

if TYPE_CHECKING:
    from components.trainer.training import GANTrainer


class QualityMonitor(Callback):
    """Measures the averaged generator, and keeps it where it is the best so far.

    Args:
      every_images: between two measurements; None: never, but for those before checkpoints.
      before_checkpoints: their length in images, where what is saved has to be known to be good.
      select_by: the score that orders generators, `fid` or `kid`.
    """

    def __init__(
        self, every_images: int | None, before_checkpoints: int | None, select_by: str
    ) -> None:
        self.every_images = every_images
        self._before_checkpoints = before_checkpoints
        self._select_by = select_by
        self._since_measured = Means()

    def step_end(self, trainer: GANTrainer, step: StepEnd) -> None:
        if self.every_images is None and self._before_checkpoints is None:
            return
        self._since_measured.add({"confidence": step.terms["confidence"]})
        if not (step.is_due(self.every_images) or step.is_due(self._before_checkpoints)):
            return
        step.confidence = self._since_measured.pop()["confidence"]
        step.measurement = trainer.measure()
        score = getattr(step.measurement, self._select_by)
        if trainer.selection.offer(score, step.images):
            trainer.best_generator.set_weights(trainer.ema_generator.get_weights())


class EarlyStopping(Callback):
    """Stops after `patience` measurements in a row without a better one; None: never."""

    def __init__(self, patience: int | None) -> None:
        self._patience = patience

    def start(self, trainer: GANTrainer) -> None:
        self._check(trainer)

    def step_end(self, trainer: GANTrainer, step: StepEnd) -> None:
        if step.measurement and not step.last:
            self._check(trainer)

    def _check(self, trainer: GANTrainer) -> None:
        if trainer.selection.exhausted(self._patience):
            trainer.stop_training = True
            trainer.warn(
                f"stopped at {trainer.images_seen:,} images: {self._patience} measurements in a "
                "row were no better than the best"
            )


class Selection(tf.Module):
    """Which point of a training was the best so far, as variables, so that it is checkpointed.

    Attributes:
      score: the best, lower is better; infinity before the first.
      images: images seen at the best.
      worse: scores in a row, since the best, that were no better.
    """

    def __init__(self) -> None:
        super().__init__()
        self.score = tf.Variable(math.inf, dtype=tf.float64, trainable=False)
        self.images = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.worse = tf.Variable(0, dtype=tf.int64, trainable=False)

    @property
    def made(self) -> bool:
        """Whether there is a best yet."""
        return math.isfinite(float(self.score))

    def offer(self, score: float, images: int) -> bool:
        """Takes note of a score at `images`; whether it is the best, which NaN never is."""
        if score < float(self.score):
            self.score.assign(score)
            self.images.assign(images)
            self.worse.assign(0)
            return True
        self.worse.assign_add(1)
        return False

    def exhausted(self, patience: int | None) -> bool:
        """Whether `patience` scores in a row were no better; None is endless patience."""
        return patience is not None and int(self.worse) >= patience
