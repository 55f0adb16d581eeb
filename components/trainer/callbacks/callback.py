"""What hangs on the training loop: `start`, `step_end` and `stop` of each callback, in order."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import tensorflow as tf
from PIL import Image

if TYPE_CHECKING:
    from components.trainer.callbacks.quality import Measurement
    from components.trainer.training import GANTrainer


@dataclasses.dataclass
class StepEnd:
    """One step that has just been taken, and what the callbacks before have made of it.

    Attributes:
      step: steps so far, this one included.
      batch_size: images a step.
      last: whether it is the last step of the training.
      terms: scalars of the step: discriminator_loss, generator_loss, penalties, confidence, …
        They are still on the device: to read one is to wait for it.
      finite: for each term, and both networks' weights, whether it is finite.
      all_finite: whether all of them are.
      measurement: of the generator, in steps in which `QualityMonitor` measured it.
      confidence: share of the pairs of real and fake that the discriminator has ranked right since
        the last measurement.
      line: what `JsonLog` wrote, in steps in which it did.
      picture: what `SampleGrids` drew, in steps in which it did.
    """

    step: int
    batch_size: int
    last: bool
    terms: Mapping[str, tf.Tensor]
    finite: Mapping[str, tf.Tensor]
    all_finite: tf.Tensor
    measurement: Measurement | None = None
    confidence: float = math.nan
    line: dict[str, float] | None = None
    picture: Image.Image | None = None

    @property
    def images(self) -> int:
        """Images seen so far, those of this step included."""
        return self.step * self.batch_size

    def is_due(self, every_images: int | None) -> bool:
        """Whether this step passed a multiple of a length in images, or was the last one.

        Never for None.
        """
        if every_images is None:
            return False
        before = self.images - self.batch_size
        return self.last or self.images // every_images > before // every_images


class Callback:
    """Watches a training, or takes part in it; all three methods do nothing here.

    A subclass can be given to `GANTrainer(callbacks=[...])`, or named in a recipe:
    `trainer: {callbacks: ["my_package.tracking:Tracker"]}`; it is then made without arguments.

    Attributes:
      every_images: how often it looks at the weights, where it does at all: whatever is to be
        looked at is checked for NaN first.
    """

    every_images: int | None = None

    def start(self, trainer: GANTrainer) -> None:
        """Training begins at `trainer.images_seen`: at 0, where it resumes, or after a rollback.

        What an earlier attempt recorded beyond that point did not happen.
        """

    def step_end(self, trainer: GANTrainer, step: StepEnd) -> None:
        """A step was taken. `trainer.stop_training = True` ends training after it."""

    def warn(self, trainer: GANTrainer, text: str) -> None:
        """Something that a person should read was said by `trainer.warn`."""

    def stop(self, trainer: GANTrainer) -> None:
        """Training has ended, also by an exception; may come before `start` has."""
