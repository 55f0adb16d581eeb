"""Watches over a training: what a collapse looks like, and which generator was the best."""

import dataclasses
import math

import tensorflow as tf
from pydantic import Field

from components.common.config import Config
from components.trainer.callbacks.quality import Measurement


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


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What the watch thinks of a training.

    Attributes:
      collapsed: whether the fakes lack modes or are too much alike.
      warnings: a line each: what was measured, the threshold, what would help.
    """

    collapsed: bool
    warnings: tuple[str, ...]


class CollapseWatch:
    """Judges a training by what the fakes cover, how they differ, and who is winning.

    A saturated discriminator is only a warning: its gradient to the generator fades (Arjovsky &
    Bottou 2017, arXiv:1701.04862, section 2), but fakes may be good and diverse for long.

    Args:
      min_coverage, min_diversity, max_confidence: see `WatchConfig`.
    """

    def __init__(self, *, min_coverage: float, min_diversity: float, max_confidence: float) -> None:
        self.min_coverage = min_coverage
        self.min_diversity = min_diversity
        self.max_confidence = max_confidence

    def judge(self, measurement: Measurement | None, confidence: float) -> Verdict:
        """The verdict.

        Args:
          measurement: of the fakes, or None where there is none.
          confidence: share of pairs (real_i, fake_i) since the last verdict in which the
            discriminator gave the real one the higher logit, in [0, 1].
        """
        collapse = self._collapse(measurement) if measurement else []
        saturation = []
        if confidence > self.max_confidence:
            saturation.append(
                f"the discriminator ranks {confidence:.4g} of all pairs right, more than "
                f"watch.max_confidence {self.max_confidence:.4g}: it is saturated and teaches the "
                "generator little; add the penalty r1, or lower discriminator_optimizer's "
                "learning_rate"
            )
        return Verdict(bool(collapse), tuple(collapse + saturation))

    def _collapse(self, measurement: Measurement) -> list[str]:
        lines = []
        if measurement.coverage < self.min_coverage:
            lines.append(
                f"coverage {measurement.coverage:.4g} is below watch.min_coverage "
                f"{self.min_coverage:.4g}: the generator has dropped modes of the data; use the "
                "loss relativistic_pairing with the penalties r1 and r2, or lower both "
                "learning rates"
            )
        if measurement.diversity < self.min_diversity:
            lines.append(
                f"diversity {measurement.diversity:.4g} is below watch.min_diversity "
                f"{self.min_diversity:.4g}: the fakes are too much alike; lower "
                "generator_optimizer's learning_rate, or add the penalty r1"
            )
        return lines


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
