"""Trains GANs; from a notebook: `from components.trainer import GANTrainer`."""

from components.trainer.training import GANTrainer

__all__ = ["GANTrainer"]
