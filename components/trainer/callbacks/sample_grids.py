"""Sample grids of the averaged generator during training, always from the same latents."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from components.common import grids
from components.trainer.callbacks.callback import Callback, StepEnd

if TYPE_CHECKING:
    from components.trainer.training import GANTrainer

GRIDS_FOLDER = "grids"

_COUNT = 64


class SampleGrids(Callback):
    """Writes grids/<images seen>.png; does nothing for vectors.

    Args:
      folder: path or URI.
      every_images: images between grids.
    """

    def __init__(self, folder: str, every_images: int) -> None:
        self.every_images = every_images
        self._folder = os.path.join(folder, GRIDS_FOLDER)

    def step_end(self, trainer: GANTrainer, step: StepEnd) -> None:
        if len(trainer.data_shape) == 3 and step.is_due(self.every_images):
            step.picture = grids.grid(trainer.grid_samples(_COUNT))
            grids.save_png(step.picture, os.path.join(self._folder, f"{step.images:010d}.png"))
