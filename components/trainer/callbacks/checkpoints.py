"""Checkpoints of a training, in a folder that outlives a failed run."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from components.common import files
from components.common.config import flatten
from components.trainer import networks
from components.trainer.callbacks.callback import Callback, StepEnd

if TYPE_CHECKING:
    from components.trainer.training import GANTrainer

# Variables, Keras's or TensorFlow's, or lists of them.
State = Mapping[str, Any]

CONFIGURATION_FILE = "configuration.json"

# They change nothing about what is learnt, and may differ when a training is resumed.
_FREE_OPTIONS = {"checkpoint_every_images", "grid_every_images", "log_every_images"}
_KEPT = 2
_DAMAGED = (
    tf.errors.DataLossError,
    tf.errors.NotFoundError,
    tf.errors.OutOfRangeError,
    IndexError,
)

_log = logging.getLogger(__name__)


class Checkpoints:
    """The last two checkpoints of one training.

    TensorFlow writes a checkpoint aside and names it in the folder's `checkpoint` file, itself
    renamed into place, when it is whole: one that was cut off is never loaded. One that the disk
    has damaged since is passed over for the one before it.

    Args:
      folder: path or URI; made where it is missing.
      configuration: what a training must have in common with the one that it resumes; JSON.
      chief: whether this process is the one whose checkpoints are kept. All workers of a
        distributed training have to save, each into a folder of its own.
    """

    def __init__(
        self, folder: str, configuration: Mapping[str, Any], *, chief: bool = True
    ) -> None:
        self.folder = folder
        self._configuration = json.loads(json.dumps(configuration))
        self._chief = chief

    def restore(self, state: State) -> bool:
        """Loads the last checkpoint, if there is one, into what `state` names; whether it did.

        Raises:
          ValueError: where the checkpoint is of another configuration; it names what differs.
        """
        self._refuse_another_configuration()
        checkpoint = tf.train.Checkpoint(**state)
        found = tf.train.CheckpointManager(checkpoint, self.folder, _KEPT).checkpoints
        for path in reversed(found):
            try:
                checkpoint.restore(path).assert_consumed()
            except _DAMAGED:
                _log.warning("%s is damaged and passed over", path)
                continue
            return True
        if found:
            raise ValueError(
                f"{self.folder}: none of its {len(found)} checkpoints can be read; "
                "delete the folder to start again"
            )
        return False

    def save(self, state: State, step: int) -> None:
        """Writes what `state` names."""
        path = os.path.join(self.folder, CONFIGURATION_FILE)
        if self._chief and not tf.io.gfile.exists(path):
            content = json.dumps(self._configuration, indent=2, sort_keys=True) + "\n"
            files.write(path, content.encode())
        # What other workers write is thrown away, but variables are read by all of them together.
        folder = self.folder if self._chief else tempfile.mkdtemp()
        checkpoint = tf.train.Checkpoint(**state)
        tf.train.CheckpointManager(checkpoint, folder, _KEPT).save(checkpoint_number=step)
        if not self._chief:
            shutil.rmtree(folder)

    @property
    def latest(self) -> str | None:
        """Path of the last checkpoint."""
        return tf.train.latest_checkpoint(self.folder)

    def _refuse_another_configuration(self) -> None:
        path = os.path.join(self.folder, CONFIGURATION_FILE)
        if not tf.io.gfile.exists(path):
            return
        with tf.io.gfile.GFile(path) as file:
            theirs = flatten(json.load(file))
        ours = flatten(self._configuration)
        different = [
            f"{key}: {theirs.get(key, 'nothing')} there, {ours.get(key, 'nothing')} here"
            for key in sorted(theirs.keys() | ours.keys())
            if theirs.get(key) != ours.get(key)
        ]
        if different:
            raise ValueError(
                f"{self.folder} holds a training of another configuration "
                f"({'; '.join(different)}); go back to it, or train into another folder"
            )


def state_of(trainer: GANTrainer) -> State:
    """All that training depends on, apart from its configuration and the data.

    As lists of variables: what TensorFlow finds by itself in a network depends on how its author
    keeps the layers.
    """
    parts = trainer.parts
    return {
        "step": trainer.step,
        "learning_rate_factor": trainer.learning_rate_factor,
        "rollbacks": trainer.rollbacks,
        "selection": list(trainer.selection.variables),
        "augmentation": list(parts.adaptive.variables) if parts.adaptive else [],
        "penalties": [v for penalty in parts.penalties for v in penalty.variables],
        "generator": list(trainer.generator.weights),
        "discriminator": list(trainer.discriminator.weights),
        "ema_generator": list(trainer.ema_generator.weights),
        "best_generator": list(trainer.best_generator.weights),
        "generator_optimizer": list(trainer.generator_optimizer.variables),
        "discriminator_optimizer": list(trainer.discriminator_optimizer.variables),
    }


def configuration_of(trainer: GANTrainer) -> dict[str, Any]:
    """What a training must have in common with the one that it resumes."""
    return {
        "generator": networks.describe(trainer.generator),
        "discriminator": networks.describe(trainer.discriminator),
        "data": {"shape": list(trainer.data_shape), "count": trainer.source.count},
        "scaling": trainer.scaling and dataclasses.asdict(trainer.scaling),
        "images": trainer.total_images if trainer.parts.hyperparameters.open_ended else None,
        **trainer.options.model_dump(mode="json", exclude=_FREE_OPTIONS),
    }


class BackupAndRestore(Callback):
    """Saves all that training depends on, so that it can be taken up again exactly there.

    Args:
      checkpoints: where.
      every_images: between two checkpoints.
      at_start: whether one is needed before the first step.
    """

    def __init__(self, checkpoints: Checkpoints, every_images: int, *, at_start: bool) -> None:
        self.every_images = every_images
        self._checkpoints = checkpoints
        self._at_start = at_start
        self._saved_step: int | None = None

    @property
    def latest(self) -> str | None:
        """Path of the last checkpoint."""
        return self._checkpoints.latest

    def restore(self, trainer: GANTrainer) -> None:
        """Goes back to the last checkpoint, if there is one; raises as `Checkpoints.restore`."""
        self._checkpoints.restore(state_of(trainer))
        self._saved_step = None

    def save(self, trainer: GANTrainer) -> None:
        """Saves the training as it stands, unless that has been done."""
        step = int(trainer.step)
        if step != self._saved_step:
            self._checkpoints.save(state_of(trainer), step)
            self._saved_step = step

    def start(self, trainer: GANTrainer) -> None:
        if self._at_start and not self.latest:
            self.save(trainer)

    def step_end(self, trainer: GANTrainer, step: StepEnd) -> None:
        if step.is_due(self.every_images):
            self.save(trainer)
