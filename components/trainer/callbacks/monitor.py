"""Measures the generator during training, keeps the best one, and stops training early."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import tensorflow as tf

from components.trainer.callbacks.callback import Callback, StepEnd
from components.trainer.callbacks.json_log import Means
from components.trainer.callbacks.quality import QualityConfig

if TYPE_CHECKING:
    from components.trainer.training import GANTrainer


class QualityMonitor(Callback):
    """Measures the averaged generator, and keeps a copy when it is the best so far.

    Args:
      config: how often to measure.
      checkpoint_every_images: measure before each checkpoint too; None: don't.
    """

    def __init__(self, config: QualityConfig, checkpoint_every_images: int | None) -> None:
        self.every_images = config.every_images
        self._checkpoint_every_images = checkpoint_every_images
        self._since_measured = Means()

    def step_end(self, trainer: GANTrainer, step: StepEnd) -> None:
        if self.every_images is None and self._checkpoint_every_images is None:
            return
        self._since_measured.add({"accuracy": step.terms["confidence"]})
        if not (step.is_due(self.every_images) or step.is_due(self._checkpoint_every_images)):
            return
        step.discriminator_accuracy = self._since_measured.pop()["accuracy"]
        step.measurement = trainer.measure()
        score = getattr(step.measurement, trainer.select_by)
        if trainer.selection.offer(score, step.images, step.measurement.follows_labels):
            trainer.best_generator.set_weights(trainer.ema_generator.get_weights())


class EarlyStopping(Callback):
    """Stops after `patience` consecutive measurements without improvement; None: never."""

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
                f"stopped early at {trainer.images_seen:,} images: no improvement in "
                f"{self._patience} measurements (quality.patience)"
            )


class Selection(tf.Module):
    """The best measurement so far, in variables so that it is checkpointed.

    A generator that follows its labels is better than any that does not, whatever their scores.

    Attributes:
      score: the best score (lower is better); infinity before the first.
      images: images seen at the best score.
      worse: measurements since then, none of them better.
      follows_labels: whether the fakes of the best followed their labels.
    """

    def __init__(self) -> None:
        super().__init__()
        self.score = tf.Variable(math.inf, dtype=tf.float64, trainable=False)
        self.images = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.worse = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.follows_labels = tf.Variable(False, trainable=False)

    @property
    def made(self) -> bool:
        """Whether there is a best score yet."""
        return math.isfinite(float(self.score))

    def offer(self, score: float, images: int, follows_labels: bool = True) -> bool:
        """Records a score at `images`; returns whether it is the best, which NaN never is."""
        best = bool(self.follows_labels), -float(self.score)
        if score < math.inf and (follows_labels, -score) > best:
            self.follows_labels.assign(follows_labels)
            self.score.assign(score)
            self.images.assign(images)
            self.worse.assign(0)
            return True
        self.worse.assign_add(1)
        return False

    def exhausted(self, patience: int | None) -> bool:
        """Whether `patience` consecutive scores were no better; never for None."""
        return patience is not None and int(self.worse) >= patience
