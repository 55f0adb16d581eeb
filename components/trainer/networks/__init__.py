"""The networks that a recipe can name."""

from components.trainer.networks import dcgan, mlp
from components.trainer.networks.base import DISCRIMINATORS, GENERATORS, Discriminator, Generator

__all__ = ["DISCRIMINATORS", "GENERATORS", "Discriminator", "Generator", "dcgan", "mlp"]
