"""The recipe's `trainer` section."""

from typing import Literal

from pydantic import Field, model_validator

from components.config import Config, name_in
from components.trainer import losses
from components.trainer.networks import DISCRIMINATORS, GENERATORS
from components.trainer.optimizers import OPTIMIZERS


class NetworksConfig(Config):
    """The two networks, by name."""

    generator: name_in(GENERATORS) = Field("dcgan", description="generator network")
    discriminator: name_in(DISCRIMINATORS) = Field("dcgan", description="discriminator network")


class OptimizerConfig(Config):
    """One optimizer."""

    name: name_in(OPTIMIZERS) = Field("adam", description="optimizer")
    learning_rate: float = Field(2e-4, gt=0, description="step size")
    beta_1: float = Field(0.5, ge=0, lt=1, description="decay of the first moment")
    beta_2: float = Field(0.999, ge=0, lt=1, description="decay of the second moment")


class TrainerConfig(Config):
    """How the GAN is trained; every length is in images, so it outlives a change of batch size."""

    networks: NetworksConfig = NetworksConfig()
    loss: name_in(losses.LOSSES) = Field("non_saturating", description="adversarial loss")
    label_smoothing: float = Field(
        0.0, ge=0, lt=1, description="real images are labelled 1 - label_smoothing / 2"
    )
    latent_dim: int = Field(100, ge=1, le=4096, description="size of one latent vector")
    images: int = Field(
        ge=1, description="length of training: images shown to the generator's update"
    )
    batch_size: int = Field(128, ge=2, description="images a step, over all devices together")
    discriminator_steps: int = Field(
        1, ge=1, le=100, description="discriminator updates a generator update"
    )
    generator_optimizer: OptimizerConfig = OptimizerConfig()
    discriminator_optimizer: OptimizerConfig = OptimizerConfig()
    ema_half_life_images: float = Field(
        10_000, ge=0, description="half-life of the averaged generator; 0: no averaging"
    )
    precision: Literal["float32", "mixed_bfloat16"] = Field(
        "float32", description="compute precision; weights, losses and the export are float32"
    )
    checkpoint_every_images: int = Field(
        50_000, ge=1, description="an interrupted run resumes from the last checkpoint"
    )
    grid_every_images: int = Field(50_000, ge=1, description="a sample grid of fixed latents")
    log_every_images: int = Field(5_000, ge=1, description="a line in log.jsonl")
    seed: int = Field(0, ge=0, lt=2**31, description="of weights, latents and data order")

    @model_validator(mode="after")
    def _loss_takes_its_options(self) -> "TrainerConfig":
        losses.get(self.loss, self.label_smoothing)
        return self
