"""Detects that a training has collapsed, warns, and goes back to the last checkpoint."""

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
    """Training collapsed, and going back to a checkpoint did not help."""


class WatchConfig(Config):
    """When a training counts as collapsed, and what is done about it."""

    min_coverage: float = Field(
        0.5, ge=0, le=1, description="smallest share of the data's modes that the fakes have"
    )
    min_diversity: float = Field(
        0.3, ge=0, le=1, description="smallest mean distance of two fakes; 1: that of real data"
    )
    max_confidence: float = Field(
        0.995,
        gt=0.5,
        le=1,
        description="largest share of (real, fake) pairs that the discriminator tells apart",
    )
    grace_images: int = Field(
        20_000, ge=0, description="not judged before: an untrained generator looks collapsed"
    )
    rollback: bool = Field(
        False, description="after a collapse, go back to the best checkpoint, with lower rates"
    )
    learning_rate_factor: float = Field(
        0.5, gt=0, lt=1, description="both learning rates after a rollback, over those before it"
    )
    max_rollbacks: int = Field(3, ge=1, description="the training fails at one collapse more")


class CollapseWatch(Callback):
    """Judges a training by what the fakes cover, how they differ, and which network is winning.

    A saturated discriminator is only a warning: its gradient to the generator fades (Arjovsky &
    Bottou 2017, arXiv:1701.04862, section 2), but fakes may be good and diverse for long.

    Args:
      config: the thresholds, and whether to roll back.
      backup: whose last checkpoint is gone back to.

    Raises (from `step_end`):
      CollapseError: at one collapse more than the configuration's max_rollbacks.
    """

    def __init__(self, config: WatchConfig, backup: BackupAndRestore | None = None) -> None:
        self._config = config
        self._backup = backup

    def step_end(self, trainer: GANTrainer, step: StepEnd) -> None:
        if step.measurement is None or step.images < self._config.grace_images:
            return
        collapse = self.collapse(step.measurement)
        for warning in (*collapse, *self.saturation(step.confidence)):
            trainer.warn(f"{step.images:,} images: {warning}")
        if collapse and self._config.rollback:
            self._roll_back(trainer, step)

    def _roll_back(self, trainer: GANTrainer, step: StepEnd) -> None:
        """Goes back to the last checkpoint, with lower learning rates."""
        assert self._backup
        config = self._config
        count, factor = int(trainer.rollbacks) + 1, float(trainer.learning_rate_factor)
        if count > config.max_rollbacks:
            raise CollapseError(
                f"training collapsed again at step {step.step}, after {config.max_rollbacks} "
                "rollbacks (watch.max_rollbacks): change the loss, the penalties or the networks"
            )
        self._backup.restore(trainer)
        trainer.rollbacks.assign(count)
        trainer.learning_rate_factor.assign(factor * config.learning_rate_factor)
        trainer.rewind()
        trainer.warn(
            f"training collapsed at step {step.step}: back at step {int(trainer.step)}, with "
            f"learning rates times {float(trainer.learning_rate_factor):g}"
        )

    def saturation(self, accuracy: float) -> list[str]:
        """Warnings about a discriminator that has won, a line each.

        Args:
          accuracy: share of pairs (real_i, fake_i) in which the discriminator gave the real one
            the higher logit, in [0, 1].
        """
        if accuracy <= self._config.max_confidence:
            return []
        return [
            f"the discriminator ranks {accuracy:.4g} of all pairs right, more than "
            f"watch.max_confidence {self._config.max_confidence:.4g}: it is saturated and teaches "
            "the generator little; add the penalty r1, or lower discriminator_optimizer's "
            "learning_rate"
        ]

    def collapse(self, measurement: Measurement) -> list[str]:
        """Signs of a collapse, a line each: what was measured, the threshold, what would help."""
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
                f"{self._config.min_diversity:.4g}: the fakes are too much alike; lower "
                "generator_optimizer's learning_rate, or add the penalty r1"
            )
        return lines
