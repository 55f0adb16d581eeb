"""Built-in networks, and a user's own."""

from components.trainer.networks import dcgan, mlp, projected, r3gan, resnet
from components.trainer.networks.base import DISCRIMINATORS, GENERATORS, Discriminator, Generator
from components.trainer.networks.copying import compute_dtypes, copy, describe
from components.trainer.networks.factory import check_name, resolve

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
    "projected",
    "r3gan",
    "resnet",
    "resolve",
]
