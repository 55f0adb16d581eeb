"""The hooks of the training loop: each callback's `start`, `step_end`, `warn` and `stop`."""

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
    """A finished step, and what the callbacks that ran earlier in it have added.

    Attributes:
      step: steps so far, including this one.
      batch_size: images per step.
      last: whether this is the last step of the training.
      terms: the step's scalars: discriminator_loss, generator_loss, penalties, confidence, …
        They are still on the device: reading one waits for the step to finish.
      finite: whether each term, and each network's weights, are finite.
      all_finite: whether all of them are.
      measurement: the generator's quality, if `QualityMonitor` measured it in this step.
      discriminator_accuracy: share of (real, fake) pairs that the discriminator ranked correctly
        since the previous measurement; set with `measurement`.
      line: the line that `JsonLog` wrote, if it wrote one in this step.
      picture: the grid that `SampleGrids` drew, if it drew one in this step.
    """

    step: int
    batch_size: int
    last: bool
    terms: Mapping[str, tf.Tensor]
    finite: Mapping[str, tf.Tensor]
    all_finite: tf.Tensor
    measurement: Measurement | None = None
    discriminator_accuracy: float = math.nan
    line: dict[str, float] | None = None
    picture: Image.Image | None = None

    @property
    def images(self) -> int:
        """Images seen so far, including this step's."""
        return self.step * self.batch_size

    def is_due(self, every_images: int | None) -> bool:
        """Whether this step passed a multiple of `every_images` or is the last; False for None."""
        if every_images is None:
            return False
        before = self.images - self.batch_size
        return self.last or self.images // every_images > before // every_images


class Callback:
    """Base class of callbacks; every hook does nothing by default.

    Pass an instance of a subclass to `GANTrainer(callbacks=[...])`, or name the class in a recipe:
    `trainer: {callbacks: ["my_package.tracking:Tracker"]}`, which calls it without arguments.

    Attributes:
      every_images: how often the callback reads the weights, if it does: they are checked for NaN
        first.
    """

    every_images: int | None = None

    def start(self, trainer: GANTrainer) -> None:
        """Called when training starts, resumes or has rolled back, to `trainer.images_seen`.

        Records of an earlier attempt beyond that point should be discarded.
        """

    def step_end(self, trainer: GANTrainer, step: StepEnd) -> None:
        """Called after each step; set `trainer.stop_training = True` to end training here."""

    def warn(self, trainer: GANTrainer, text: str) -> None:
        """Called with each warning issued by `trainer.warn`."""

    def stop(self, trainer: GANTrainer) -> None:
        """Called when training ends, also by an exception, and even if `start` was never called."""
