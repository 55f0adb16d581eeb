"""The networks that a recipe can name."""

from components.trainer.networks import dcgan, mlp, r3gan, resnet
from components.trainer.networks.base import DISCRIMINATORS, GENERATORS, Discriminator, Generator
from components.trainer.networks.copying import copy
from components.trainer.networks.factory import check_name, resolve
from components.trainer.networks.inspection import compute_dtypes, describe

__all__ = [
    "DISCRIMINATORS",
    "GENERATORS",
    "Discriminator",
    "Generator",
    "check_name",
    "compute_dtypes",
    "copy",
    "dcgan",
    "describe",
    "mlp",
    "r3gan",
    "resnet",
    "resolve",
]
