"""Projected GANs (Sauer et al. 2021, arXiv:2111.01007): a discriminator of pretrained features."""

from components.trainer.networks.projected.discriminator import ProjectedDiscriminator

__all__ = ["ProjectedDiscriminator"]
