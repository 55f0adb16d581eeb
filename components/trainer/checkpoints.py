"""Checkpoints of a training, in a folder that outlives a failed run."""

from typing import TYPE_CHECKING

import tensorflow as tf

if TYPE_CHECKING:
    from components.trainer.training import GANTrainer


class Checkpoints:
    """The last checkpoints of one training.

    TensorFlow writes a checkpoint aside and names it in the folder's `checkpoint` file, itself
    renamed into place, when it is whole: one that was cut off is never loaded.

    Args:
      folder: path or URI; made where it is missing.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def restore(self, trainer: "GANTrainer") -> None:
        """Loads the last checkpoint into `trainer`, if there is one."""
        manager = self._manager(trainer)
        if manager.latest_checkpoint:
            manager.checkpoint.restore(manager.latest_checkpoint).assert_consumed()

    def save(self, trainer: "GANTrainer") -> None:
        """Writes networks, average, both optimizers and the step."""
        self._manager(trainer).save(checkpoint_number=int(trainer.step))

    def _manager(self, trainer: "GANTrainer") -> tf.train.CheckpointManager:
        checkpoint = tf.train.Checkpoint(
            step=trainer.step,
            generator=trainer.generator,
            ema_generator=trainer.ema_generator,
            discriminator=trainer.discriminator,
            generator_optimizer=trainer.generator_optimizer,
            discriminator_optimizer=trainer.discriminator_optimizer,
        )
        return tf.train.CheckpointManager(checkpoint, self.folder, max_to_keep=2)
