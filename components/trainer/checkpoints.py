"""Checkpoints of a training, in a folder that outlives a failed run."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

# Keras models and optimizers are trackable too, under a base class that is not public.
State = Mapping[str, Any]


class Checkpoints:
    """The last two checkpoints of one training.

    TensorFlow writes a checkpoint aside and names it in the folder's `checkpoint` file, itself
    renamed into place, when it is whole: one that was cut off is never loaded.

    Args:
      folder: path or URI; made where it is missing.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def restore(self, state: State) -> None:
        """Loads the last checkpoint, if there is one, into what `state` names."""
        manager = self._manager(state)
        if manager.latest_checkpoint:
            manager.checkpoint.restore(manager.latest_checkpoint).assert_consumed()

    def save(self, state: State, step: int) -> None:
        """Writes what `state` names."""
        self._manager(state).save(checkpoint_number=step)

    def _manager(self, state: State) -> tf.train.CheckpointManager:
        checkpoint = tf.train.Checkpoint(**state)
        return tf.train.CheckpointManager(checkpoint, self.folder, max_to_keep=2)
