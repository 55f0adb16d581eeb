"""Optimizers by name."""

import keras

from components.registry import Registry
from components.trainer import fused

OPTIMIZERS: Registry[type[keras.optimizers.Optimizer]] = Registry("optimizer")
OPTIMIZERS.register("adam")(fused.Adam)


def make(name: str, **options: float) -> keras.optimizers.Optimizer:
    """A new optimizer; `options` are its constructor's, e.g. learning_rate, beta_1, beta_2."""
    return OPTIMIZERS.get(name)(**options)
