"""Checkpoints of a training, in a folder that outlives a failed run."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import tempfile
import time
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

# They do not affect the result, so a resumed training may change them.
FREE_OPTIONS = {
    "checkpoint_every_images",
    "checkpoint_every_minutes",
    "export_scores",
    "export_weights",
    "grid_every_images",
    "log_every_images",
    "wait_for_workers_minutes",
}
INTERIM_FOLDER = "interim"
_KEPT = 2
# Characters of a value in an error; what a table's encoding has learnt is longer.
_LONGEST = 60
_DAMAGED = (
    tf.errors.DataLossError,
    tf.errors.NotFoundError,
    tf.errors.OutOfRangeError,
    IndexError,
)

_log = logging.getLogger(__name__)


class Checkpoints:
    """The last two checkpoints of one training, and interim ones in a folder of their own.

    An interim checkpoint is one to resume from but not to roll back to. TensorFlow writes
    checkpoints atomically, so an incomplete one is never loaded. A checkpoint that has been damaged
    on disk is skipped in favour of the previous one.

    Args:
      folder: path or URI; created if missing.
      configuration: JSON that must match that of the training being resumed.
      chief: whether this process's checkpoints are the ones kept. All workers of a distributed
        training must save, but only the chief into `folder`.
    """

    def __init__(
        self, folder: str, configuration: Mapping[str, Any], *, chief: bool = True
    ) -> None:
        self.folder = folder
        self._configuration = json.loads(json.dumps(configuration))
        self._chief = chief

    def restore(self, state: State, *, interim: bool = True) -> bool:
        """Loads the latest readable checkpoint into `state`; returns False if there is none.

        Args:
          state: is overwritten.
          interim: whether interim checkpoints count too.

        Raises:
          ValueError: if its configuration differs (the message names each difference), or if none
            of the checkpoints can be read.
        """
        self._refuse_another_configuration()
        checkpoint = tf.train.Checkpoint(**state)
        folders = [self.folder, *([self._interim] if interim else [])]
        found = [
            path
            for folder in folders
            for path in tf.train.CheckpointManager(checkpoint, folder, _KEPT).checkpoints
        ]
        found.sort(key=_step_of)
        for path in reversed(found):
            try:
                checkpoint.restore(path).assert_consumed()
            except _DAMAGED:
                _log.warning("%s is damaged; trying the previous checkpoint", path)
                continue
            return True
        if found:
            raise ValueError(
                f"{self.folder}: none of its {len(found)} checkpoints can be read; "
                "delete the folder to start again"
            )
        return False

    def save(self, state: State, step: int, *, interim: bool = False) -> None:
        """Writes a checkpoint of `state`."""
        path = os.path.join(self.folder, CONFIGURATION_FILE)
        if self._chief and not tf.io.gfile.exists(path):
            content = json.dumps(self._configuration, indent=2, sort_keys=True) + "\n"
            files.write(path, content.encode())
        # Reading distributed variables takes all workers; only the chief's copy is kept.
        with contextlib.ExitStack() as stack:
            if self._chief:
                folder = self._interim if interim else self.folder
            else:
                folder = stack.enter_context(tempfile.TemporaryDirectory())
            checkpoint = tf.train.Checkpoint(**state)
            tf.train.CheckpointManager(checkpoint, folder, _KEPT).save(checkpoint_number=step)

    @property
    def _interim(self) -> str:
        return os.path.join(self.folder, INTERIM_FOLDER)

    @property
    def latest(self) -> str | None:
        """Path of the latest checkpoint; None if there is none."""
        return tf.train.latest_checkpoint(self.folder)

    def _refuse_another_configuration(self) -> None:
        path = os.path.join(self.folder, CONFIGURATION_FILE)
        if not tf.io.gfile.exists(path):
            return
        with tf.io.gfile.GFile(path) as file:
            theirs = flatten(json.load(file))
        ours = flatten(self._configuration)
        different = [
            f"{key}: {_short(theirs.get(key, 'nothing'))} there, "
            f"{_short(ours.get(key, 'nothing'))} here"
            for key in sorted(theirs.keys() | ours.keys())
            if theirs.get(key) != ours.get(key)
        ]
        if different:
            raise ValueError(
                f"{self.folder} holds a training with another configuration "
                f"({'; '.join(different)}); restore that configuration, or use another folder"
            )


def _step_of(path: str) -> int:
    return int(path.rsplit("-", 1)[1])


def state_of(trainer: GANTrainer) -> State:
    """The complete state of a training, apart from its configuration and the data.

    Given as lists of variables, because which of a network's variables TensorFlow tracks depends on
    how its author stores the layers.
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


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def configuration_of(trainer: GANTrainer) -> dict[str, Any]:
    """What must match for one training to resume another."""
    return {
        "generator": networks.describe(trainer.generator),
        "discriminator": networks.describe(trainer.discriminator),
        "data": {
            "shape": list(trainer.data_shape),
            "count": trainer.source.count,
            **({"mirror": True} if trainer.source.mirror else {}),
        },
        "encoding": trainer.encoding and trainer.encoding.describe(),
        "images": trainer.total_images if trainer.parts.hyperparameters.open_ended else None,
        **trainer.options.model_dump(mode="json", exclude=FREE_OPTIONS),
    }


class BackupAndRestore(Callback):
    """Saves the state of training, so that it can resume exactly where it stopped.

    Args:
      checkpoints: where to save.
      every_images: images between checkpoints.
      every_minutes: a further checkpoint is due this long after the last one; None: never.
      rolls_back: whether training may return to a checkpoint: then one is saved before the first
        step if there is none yet, and those that are due by the clock are interim ones, as they
        must not change what is returned to.
    """

    def __init__(
        self,
        checkpoints: Checkpoints,
        every_images: int,
        every_minutes: float | None,
        *,
        rolls_back: bool,
    ) -> None:
        self.every_images = every_images
        self._every_minutes = every_minutes
        self._checkpoints = checkpoints
        self._rolls_back = rolls_back
        self._saved_step: int | None = None
        self._saved_at = time.monotonic()

    @property
    def latest(self) -> str | None:
        """Path of the latest checkpoint; None if there is none."""
        return self._checkpoints.latest

    @property
    def is_due_by_clock(self) -> bool:
        """Whether `every_minutes` have passed since the last checkpoint, or since the start."""
        if self._every_minutes is None:
            return False
        return time.monotonic() - self._saved_at >= self._every_minutes * 60

    def roll_back(self, trainer: GANTrainer) -> None:
        """Loads the latest checkpoint that is not interim; raises as `Checkpoints.restore`."""
        self._checkpoints.restore(state_of(trainer), interim=False)
        self._saved_step = None

    def save_now(self, trainer: GANTrainer) -> None:
        """Saves the current step, which need not be one of `every_images`."""
        self._save(trainer, interim=self._rolls_back)

    def _save(self, trainer: GANTrainer, *, interim: bool) -> None:
        step = int(trainer.step)
        if step != self._saved_step:
            self._checkpoints.save(state_of(trainer), step, interim=interim)
            self._saved_step = step
        self._saved_at = time.monotonic()

    def start(self, trainer: GANTrainer) -> None:
        if self._rolls_back and not trainer.images_seen:
            self._save(trainer, interim=False)

    def step_end(self, trainer: GANTrainer, step: StepEnd) -> None:
        if step.is_due(self.every_images):
            self._save(trainer, interim=False)
