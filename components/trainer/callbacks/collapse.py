"""Detects mode collapse during training, warns, and optionally rolls back to a checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from components.common.config import Config
from components.trainer.callbacks.callback import Callback, StepEnd
from components.trainer.callbacks.checkpoints import BackupAndRestore
from components.trainer.callbacks.quality import Measurement

if TYPE_CHECKING:
    from components.trainer.training import GANTrainer


class CollapseError(RuntimeError):
    """Training collapsed again after the allowed number of rollbacks."""


class WatchConfig(Config):
    """When training counts as collapsed, and what to do about it."""

    min_coverage: float = Field(
        0.5, ge=0, le=1, description="minimum share of the data's modes that the fakes cover"
    )
    min_diversity: float = Field(
        0.3,
        ge=0,
        le=1,
        description="minimum mean distance between two fakes, of one class if there are classes, "
        "relative to that of real data",
    )
    max_confidence: float = Field(
        0.995,
        gt=0.5,
        le=1,
        description="maximum discriminator accuracy: the share of (real, fake) pairs it ranks "
        "correctly",
    )
    grace_images: int = Field(
        20_000,
        ge=0,
        description="images before the first check, as an untrained generator looks collapsed",
    )
    rollback: bool = Field(
        False,
        description="after a collapse, restore the last checkpoint and lower the learning rates",
    )
    learning_rate_factor: float = Field(
        0.5, gt=0, lt=1, description="multiplies both learning rates at each rollback"
    )
    max_rollbacks: int = Field(3, ge=1, description="rollbacks before the training fails")


class CollapseWatch(Callback):
    """Checks the fakes' coverage and diversity, and the discriminator's accuracy.

    A saturated discriminator only causes a warning: its gradient to the generator vanishes
    (Arjovsky & Bottou 2017, arXiv:1701.04862, section 2), but the fakes may stay good and diverse
    for a long time.

    Args:
      config: the thresholds, and whether to roll back.
      backup: restores the last checkpoint; needed with `config.rollback`.

    Raises (from `step_end`):
      CollapseError: if training collapses after `max_rollbacks` rollbacks.
    """

    def __init__(self, config: WatchConfig, backup: BackupAndRestore | None = None) -> None:
        self._config = config
        self._backup = backup

    def step_end(self, trainer: GANTrainer, step: StepEnd) -> None:
        if step.measurement is None or step.images < self._config.grace_images:
            return
        collapse = self.collapse(step.measurement)
        saturation = self.saturation(step.discriminator_accuracy)
        for warning in (*collapse, *self.ignored_labels(step.measurement), *saturation):
            trainer.warn(f"{step.images:,} images: {warning}")
        if collapse and self._config.rollback:
            self._roll_back(trainer, step)

    def _roll_back(self, trainer: GANTrainer, step: StepEnd) -> None:
        assert self._backup
        config = self._config
        count, factor = int(trainer.rollbacks) + 1, float(trainer.learning_rate_factor)
        if count > config.max_rollbacks:
            raise CollapseError(
                f"training collapsed again at step {step.step}, after {config.max_rollbacks} "
                "rollbacks (watch.max_rollbacks): change the loss, the penalties or the networks"
            )
        self._backup.roll_back(trainer)
        trainer.rollbacks.assign(count)
        trainer.learning_rate_factor.assign(factor * config.learning_rate_factor)
        trainer.rewind()
        trainer.warn(
            f"training collapsed at step {step.step}: rolled back to step {int(trainer.step)}, "
            f"with learning rates multiplied by {float(trainer.learning_rate_factor):g}"
        )

    def saturation(self, accuracy: float) -> list[str]:
        """Warnings about a saturated discriminator, one line each.

        Args:
          accuracy: share of pairs (real_i, fake_i) in which the discriminator gave the real one
            the higher logit, in [0, 1].
        """
        if accuracy <= self._config.max_confidence:
            return []
        return [
            f"discriminator accuracy {accuracy:.4g} is above watch.max_confidence "
            f"{self._config.max_confidence:.4g}: it is saturated and gives the generator little "
            "gradient; add the penalty r1, or lower discriminator_optimizer's learning_rate"
        ]

    def ignored_labels(self, measurement: Measurement) -> list[str]:
        """A warning about fakes that are not of the classes asked for, or none.

        No collapse: the generator may still learn its labels, and a rollback would not help.
        """
        if measurement.follows_labels:
            return []
        return [
            f"class_accuracy {measurement.class_accuracy:.4g}: the fakes' classes have little to "
            "do with those asked for; train for longer, or change conditioning.discriminator"
        ]

    def collapse(self, measurement: Measurement) -> list[str]:
        """Signs of a collapse, one line each: the measurement, the threshold and a remedy."""
        lines = []
        if measurement.coverage < self._config.min_coverage:
            lines.append(
                f"coverage {measurement.coverage:.4g} is below watch.min_coverage "
                f"{self._config.min_coverage:.4g}: the generator has dropped modes of the data; "
                "use the loss relativistic_pairing with the penalties r1 and r2, or lower both "
                "learning rates"
            )
        if measurement.diversity < self._config.min_diversity:
            lines.append(
                f"diversity {measurement.diversity:.4g} is below watch.min_diversity "
                f"{self._config.min_diversity:.4g}: the fakes are too similar; lower "
                "generator_optimizer's learning_rate, or add the penalty r1"
            )
        return lines
