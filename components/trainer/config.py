"""The recipe's `trainer` section."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from components.common import plugins
from components.common.config import Config, name_in
from components.common.registry import Registry
from components.trainer import networks
from components.trainer.callbacks.collapse import WatchConfig
from components.trainer.callbacks.quality import QualityConfig
from components.trainer.gan import losses, optimizers, penalties
from components.trainer.gan.augmentation import AUGMENTATIONS, AdaptiveConfig, Augmentation
from components.trainer.gan.optimizers import OPTIMIZERS
from components.trainer.gan.penalties import PENALTIES
from components.trainer.gan.schedules import Scheduled, scheduled, start_of
from components.trainer.networks import DISCRIMINATORS, GENERATORS


def _network_of(registry: Registry) -> AfterValidator:
    """Checks that a str field is a name of `registry`, or `module:function`."""

    def check(name: str) -> str:
        networks.check_name(name, registry)
        return name

    return AfterValidator(check)


def _import_path(name: str) -> str:
    if not plugins.is_import_path(name):
        raise ValueError(f"{name!r} is not of the form {plugins.FORM}")
    return name


class NetworksConfig(Config):
    """The two networks: names, or `module:function` of your own that returns a Keras model."""

    generator: Annotated[str, _network_of(GENERATORS)] = Field(
        "dcgan", description="generator network"
    )
    discriminator: Annotated[str, _network_of(DISCRIMINATORS)] = Field(
        "dcgan", description="discriminator network"
    )
    width: int | None = Field(
        None, ge=1, le=1024, description="filters of the largest map; default: the network's own"
    )
    self_attention: bool = Field(False, description="a self-attention block in both networks")
    spectral_norm: bool = Field(False, description="spectral normalisation of the discriminator")


class ConditioningConfig(Config):
    """Classes: the generator makes the one it is asked for."""

    generator: Literal["concatenation", "normalization"] = Field(
        "concatenation", description="how the generator learns of the class"
    )
    discriminator: Literal["projection", "auxiliary"] = Field(
        "projection", description="how the discriminator does; auxiliary: AC-GAN"
    )
    num_classes: int | None = Field(
        None, ge=2, description="default: the highest label of the data, plus one"
    )
    auxiliary_weight: float = Field(1.0, gt=0, description="of the auxiliary classifier's loss")


class OptimizerConfig(Config):
    """One optimizer."""

    name: Annotated[str, name_in(OPTIMIZERS)] = Field("adam", description="optimizer")
    learning_rate: Annotated[Scheduled, scheduled(gt=0)] = Field(
        2e-4, description="step size; may be a schedule"
    )
    beta_1: float | None = Field(
        None, ge=0, lt=1, description="decay of the first moment; 0.5 for those that have one"
    )
    beta_2: Annotated[Scheduled, scheduled(ge=0, lt=1)] | None = Field(
        None, description="decay of the second moment; may be a schedule; default: the optimizer's"
    )
    clip_norm: float | None = Field(
        None, gt=0, description="largest norm of the whole gradient; default: not clipped"
    )
    options: dict[str, Any] = Field({}, description="further arguments of the Keras optimizer")

    @property
    def arguments(self) -> dict[str, Any]:
        """Of the Keras optimizer, at the start of training."""
        # Radford et al. 2015 (arXiv:1511.06434), section 4: 0.9 oscillates.
        beta_1 = 0.5 if optimizers.takes(self.name, "beta_1") else None
        betas = {
            "beta_1": self.beta_1 if self.beta_1 is not None else beta_1,
            "beta_2": None if self.beta_2 is None else start_of(self.beta_2),
        }
        return {
            "learning_rate": start_of(self.learning_rate),
            **{name: value for name, value in betas.items() if value is not None},
            **self.options,
        }

    @model_validator(mode="after")
    def _options_are_the_optimizers(self) -> "OptimizerConfig":
        optimizers.check(self.name, **self.arguments)
        return self


class PenaltyConfig(Config):
    """One regulariser of the discriminator."""

    name: Annotated[str, name_in(PENALTIES)] = Field(description="penalty")
    weight: Annotated[Scheduled, scheduled(ge=0)] | None = Field(
        None, description="may be a schedule; default: the paper's"
    )
    interval: int = Field(
        1, ge=1, description="computed every so many steps, and then weighted so much more"
    )
    options: dict[str, Any] = Field({}, description="the penalty's own")

    @model_validator(mode="after")
    def _options_are_the_penaltys(self) -> "PenaltyConfig":
        penalties.check(self.name, **self.options)
        return self


class AugmentationConfig(Config):
    """Random transforms of everything that the discriminator sees."""

    transforms: tuple[Annotated[str, name_in(AUGMENTATIONS)], ...] = Field(
        ("color", "translation", "cutout"), min_length=1, description="applied in this order"
    )
    probability: Annotated[Scheduled, scheduled(ge=0, le=1)] = Field(
        1.0, description="of each transform, for each image; may be a schedule"
    )
    adaptive: AdaptiveConfig | None = Field(
        None, description="let the discriminator's overfitting set the probability, from 0"
    )


class TrainingConfig(Config):
    """The options of `GANTrainer`; every length is in images, so it outlives another batch size."""

    loss: Annotated[str, name_in(losses.LOSSES)] = Field(
        "non_saturating", description="adversarial loss"
    )
    label_smoothing: float = Field(
        0.0, ge=0, lt=1, description="real images are labelled 1 - label_smoothing / 2"
    )
    penalties: tuple[PenaltyConfig, ...] = Field((), description="of the discriminator")
    weight_clip: float | None = Field(
        None, gt=0, description="largest weight of the discriminator (WGAN without a penalty)"
    )
    conditioning: ConditioningConfig | None = Field(
        None, description="learn the classes of the labels; default: ignore them"
    )
    augmentation: AugmentationConfig | None = None
    latent_dim: int = Field(100, ge=1, le=4096, description="size of one latent vector")
    batch_size: int = Field(128, ge=2, description="images a step, over all devices together")
    discriminator_steps: int = Field(
        1, ge=1, le=100, description="discriminator updates a generator update"
    )
    gradient_accumulation: int = Field(
        1, ge=1, description="parts that a batch is computed in, to save memory"
    )
    generator_optimizer: OptimizerConfig = OptimizerConfig()
    discriminator_optimizer: OptimizerConfig = OptimizerConfig()
    ema_half_life_images: Annotated[Scheduled, scheduled(ge=0)] = Field(
        10_000,
        description="half-life of the averaged generator, the one exported; may be a schedule; "
        "0: no averaging",
    )
    ema_ramp_up: float | None = Field(
        None, gt=0, description="the half-life is at most this share of the images seen"
    )
    xla: bool = Field(False, description="compile the step with XLA; one device only")
    quality: QualityConfig = QualityConfig()
    watch: WatchConfig = WatchConfig()
    checkpoint_every_images: int = Field(
        50_000, ge=1, description="an interrupted run resumes from the last checkpoint"
    )
    grid_every_images: int = Field(50_000, ge=1, description="a sample grid of fixed latents")
    log_every_images: int = Field(5_000, ge=1, description="a line in log.jsonl")
    seed: int = Field(0, ge=0, lt=2**31, description="of weights, latents and data order")

    @model_validator(mode="after")
    def _options_fit_each_other(self) -> "TrainingConfig":
        losses.get(self.loss, self.label_smoothing)
        if self.batch_size % self.gradient_accumulation:
            raise ValueError(
                f"gradient_accumulation: {self.gradient_accumulation} does not divide the "
                f"batch_size, {self.batch_size}"
            )
        names = [penalty.name for penalty in self.penalties]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"penalties: {name} is there {names.count(name)} times")
        if self.augmentation and self.augmentation.adaptive:
            losses.check_sign(self.loss, "augmentation.adaptive")
        if self.watch.rollback and self.quality.every_images is None:
            raise ValueError("watch.rollback: needs measurements; set quality.every_images")
        return self


class TrainerConfig(TrainingConfig):
    """How the GAN of a recipe is trained."""

    networks: NetworksConfig = NetworksConfig()
    images: int = Field(
        ge=1, description="length of training: images shown to the generator's update"
    )
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = Field(
        "float32", description="compute precision; weights, losses and the export are float32"
    )
    callbacks: tuple[Annotated[str, AfterValidator(_import_path)], ...] = Field(
        (), description="module:function of callbacks of your own, after the built-in ones"
    )

    @property
    def plugin_names(self) -> list[str]:
        """Every `module:function` that the section names."""
        names = (self.networks.generator, self.networks.discriminator, *self.callbacks)
        return [name for name in names if plugins.is_import_path(name)]

    def check_shape(self, data_shape: Sequence[int]) -> None:
        """Raises ValueError, saying what would do, for data that an option is not for."""
        for registry in (GENERATORS, DISCRIMINATORS):
            name = getattr(self.networks, registry.kind)
            if name in registry.names():
                try:
                    registry.get(name).check_shape(data_shape)
                except ValueError as error:
                    raise ValueError(f"networks.{registry.kind}: {error}") from error
        if self.augmentation:
            Augmentation.check_shape(data_shape)
