"""The recipe's `trainer` section."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from components.common import plugins
from components.common.config import Config, name_in, validate
from components.compute import hardware
from components.trainer.callbacks.collapse import WatchConfig
from components.trainer.callbacks.quality import QualityConfig
from components.trainer.data.quantiles import Numbers
from components.trainer.gan import losses, optimizers, penalties
from components.trainer.gan.augmentation import Augmentation, AugmentationConfig
from components.trainer.gan.optimizers import OPTIMIZERS
from components.trainer.gan.penalties import PENALTIES
from components.trainer.gan.schedules import Scheduled, scheduled, start_of
from components.trainer.networks import DISCRIMINATORS, GENERATORS
from components.trainer.networks.config import NetworksConfig


def _import_path(name: str) -> str:
    if not plugins.is_import_path(name):
        raise ValueError(f"{name!r} is not of the form {plugins.FORM}")
    return name


class ConditioningConfig(Config):
    """Class-conditional training."""

    by: Literal["label", "columns", "clusters"] = Field(
        "label",
        description="what is asked for: a class; of a table, a value of any one of its categorical "
        "and boolean columns; of images, one of the clusters of their features, without labels",
    )

    generator: Literal["concatenation", "normalization"] | None = Field(
        None,
        description="how the generator is conditioned on the class; default: normalization where "
        "the network has it, else concatenation",
    )
    discriminator: Literal["projection", "auxiliary"] = Field(
        "projection",
        description="how the discriminator is conditioned on the class; auxiliary: AC-GAN",
    )
    num_classes: int | None = Field(
        None,
        ge=2,
        description="number of classes; default: the highest label plus one; of clusters one for "
        "each 100 images, at most 100",
    )
    auxiliary_weight: float = Field(
        1.0, gt=0, description="weight of the auxiliary classifier's loss"
    )


class OptimizerConfig(Config):
    """An optimizer."""

    name: Annotated[str, name_in(OPTIMIZERS)] = Field("adam", description="name of the optimizer")
    learning_rate: Annotated[Scheduled, scheduled(gt=0)] = Field(
        2e-4, description="step size; may be a schedule"
    )
    beta_1: float | None = Field(
        None, ge=0, lt=1, description="decay of the first moment; default: 0.5"
    )
    beta_2: Annotated[Scheduled, scheduled(ge=0, lt=1)] | None = Field(
        None, description="decay of the second moment; may be a schedule; default: the optimizer's"
    )
    clip_norm: float | None = Field(
        None, gt=0, description="maximum global norm of the gradient; default: no clipping"
    )
    options: dict[str, Any] = Field({}, description="further arguments of the Keras optimizer")

    @property
    def arguments(self) -> dict[str, Any]:
        """The Keras optimizer's arguments at the start of training."""
        # With 0.9 GANs oscillate: Radford et al. 2015 (arXiv:1511.06434), section 4.
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
    """A penalty of the discriminator."""

    name: Annotated[str, name_in(PENALTIES)] = Field(description="penalty")
    weight: Annotated[Scheduled, scheduled(ge=0)] | None = Field(
        None, description="weight; may be a schedule; default: the paper's"
    )
    interval: int = Field(
        1, ge=1, description="steps between computations; the weight is multiplied by it"
    )
    precision: Literal["float32", "networks"] = Field(
        "float32",
        description="float32: of a copy of the discriminator that shares its weights; networks: as "
        "the discriminator computes, which saves that copy's passes where `precision` is mixed",
    )
    options: dict[str, Any] = Field({}, description="further options of the penalty")

    @model_validator(mode="after")
    def _options_are_the_penaltys(self) -> "PenaltyConfig":
        penalties.check(self.name, **self.options)
        return self


def check_penalties(penalties: Iterable[PenaltyConfig], compute_dtypes: Iterable[str]) -> None:
    """Raises ValueError for penalties that are to be computed in float16.

    There, gradients of gradients vanish or overflow, which takes the loss scaling down with them.
    """
    if "float16" not in compute_dtypes:
        return
    for penalty in penalties:
        if penalty.precision != "float32":
            raise ValueError(
                f"penalties: {penalty.name}: precision {penalty.precision} would be float16, in "
                "which slopes vanish or overflow; use float32"
            )


def check_scores(export_scores: bool, pac: int) -> None:
    """Raises ValueError if there are to be scores, but a discriminator judges packs."""
    if export_scores and pac > 1:
        raise ValueError(
            f"export_scores: true needs a logit of each datum, but networks.pac: {pac} has one of "
            "each pack; leave out one of the two"
        )


class TrainingConfig(Config):
    """The options of `GANTrainer`; lengths are in images, so they do not depend on batch size."""

    loss: Annotated[str, name_in(losses.LOSSES)] = Field(
        "non_saturating", description="adversarial loss"
    )
    label_smoothing: float = Field(
        0.0, ge=0, lt=1, description="real images are labelled 1 - label_smoothing / 2"
    )
    penalties: tuple[PenaltyConfig, ...] = Field((), description="penalties of the discriminator")
    weight_clip: float | None = Field(
        None,
        gt=0,
        description="clip the discriminator's weights to ± this (WGAN without a penalty)",
    )
    conditioning: ConditioningConfig | None = Field(
        None, description="train class-conditionally on the labels; default: ignore them"
    )
    augmentation: AugmentationConfig | None = None
    latent_dim: int = Field(100, ge=1, le=4096, description="size of one latent vector")
    batch_size: int = Field(128, ge=2, description="global batch size, over all devices")
    discriminator_steps: int = Field(
        1, ge=1, le=100, description="discriminator updates per generator update"
    )
    top_k: Annotated[Scheduled, scheduled(gt=0, le=1)] | None = Field(
        None,
        description="share of the fakes, those that look most real to the discriminator, from "
        "which the generator learns; may be a schedule; default: all",
    )
    gradient_accumulation: int = Field(
        1, ge=1, description="number of parts to split a batch into, to save memory"
    )
    generator_optimizer: OptimizerConfig = OptimizerConfig()
    discriminator_optimizer: OptimizerConfig = OptimizerConfig()
    ema_half_life_images: Annotated[Scheduled, scheduled(ge=0)] = Field(
        10_000,
        description="half-life of the averaged generator, which is the one exported; may be a "
        "schedule; 0: no averaging",
    )
    ema_ramp_up: float | None = Field(
        None, gt=0, description="limit the half-life to this share of the images seen"
    )
    export_weights: Literal["float32", "float16", "bfloat16"] = Field(
        "float32", description="how the export stores its weights; it computes in float32"
    )
    export_scores: bool = Field(
        False,
        description="export the discriminator too, which scores samples: what "
        "`tfx-gan generate --keep` chooses by",
    )
    xla: bool = Field(False, description="compile the step with XLA; one device only")
    quality: QualityConfig = QualityConfig()
    watch: WatchConfig = WatchConfig()
    checkpoint_every_images: int = Field(
        50_000, ge=1, description="images between checkpoints, from which runs resume"
    )
    checkpoint_every_minutes: float | None = Field(
        10.0, gt=0, description="minutes after which training is saved in any case; null: never"
    )
    wait_for_workers_minutes: float = Field(
        10.0, gt=0, description="how long a worker of several waits for the others at the start"
    )
    grid_every_images: int = Field(
        50_000, ge=1, description="images between sample grids of fixed latents"
    )
    log_every_images: int = Field(5_000, ge=1, description="images between lines of log.jsonl")
    seed: int = Field(
        0, ge=0, lt=2**31, description="random seed of weights, latents and data order"
    )

    @model_validator(mode="after")
    def _options_fit_each_other(self) -> "TrainingConfig":
        losses.get(self.loss, self.label_smoothing)
        if self.batch_size % self.gradient_accumulation:
            raise ValueError(
                f"gradient_accumulation: {self.gradient_accumulation} does not divide batch_size "
                f"{self.batch_size}"
            )
        names = [penalty.name for penalty in self.penalties]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"penalties: {name} is listed {names.count(name)} times")
        if self.augmentation and self.augmentation.adaptive:
            losses.check_sign(self.loss, "augmentation.adaptive")
        if self.top_k is not None:
            losses.check_top_k(self.loss, "top_k")
        if self.watch.rollback and self.quality.every_images is None:
            raise ValueError("watch.rollback: needs measurements; set quality.every_images")
        return self


class TrainerConfig(TrainingConfig):
    """The recipe's `trainer` section."""

    networks: NetworksConfig = NetworksConfig()
    images: int = Field(
        ge=1, description="length of training in images: generator updates times batch size"
    )
    precision: Literal["auto", "float32", "mixed_bfloat16", "mixed_float16"] = Field(
        "auto",
        description="compute precision; weights, losses and the export are float32; auto: "
        "mixed_bfloat16 where that is faster, else float32",
    )
    numbers: Numbers = Field(
        "ranks",
        description="how a table's numbers are learnt: as ranks, ties spread over their share, or "
        "min_max: scaled to [-1, 1]",
    )
    callbacks: tuple[Annotated[str, AfterValidator(_import_path)], ...] = Field(
        (), description="module:function of your own callbacks, called after the built-in ones"
    )

    def settled(self) -> "TrainerConfig":
        """With the precision that `auto` takes on this machine, which is set up for it.

        Call it before TensorFlow computes anything: see `hardware.share_cores`.
        """
        precision = self._faster() if self.precision == "auto" else self.precision
        if precision == "mixed_bfloat16":
            hardware.share_cores()
        return self.model_copy(update={"precision": precision})

    def _faster(self) -> str:
        named = (GENERATORS, self.networks.generator), (DISCRIMINATORS, self.networks.discriminator)
        faster = hardware.has_bfloat16() and all(
            name in registry.names() and registry.get(name).faster_in_bfloat16
            for registry, name in named
        )
        return "mixed_bfloat16" if faster else "float32"

    def with_values(self, values: Mapping[str, Any]) -> "TrainerConfig":
        """A copy with other values.

        Args:
          values: by dotted key; a section that is not there is made.

        Raises:
          ValueError: as for any recipe, in one line.

        >>> TrainerConfig(images=9).with_values({"generator_optimizer.beta_1": 0.0}).images
        9
        """
        tree = self.model_dump(mode="json", by_alias=True)
        for key, value in values.items():
            *sections, last = key.split(".")
            at = tree
            for section in sections:
                if not isinstance(at.get(section), dict):
                    at[section] = {}
                at = at[section]
            at[last] = value
        return validate(TrainerConfig, tree)

    @property
    def loading(self) -> dict[str, Any]:
        """The arguments of `loading.load` that the section has."""
        asked = self.conditioning
        return {
            "numbers": self.numbers,
            "by": asked and asked.by,
            "num_classes": asked and asked.num_classes,
            "seed": self.seed,
        }

    @property
    def plugin_names(self) -> list[str]:
        """Every `module:function` in the section."""
        names = (self.networks.generator, self.networks.discriminator, *self.callbacks)
        return [name for name in names if plugins.is_import_path(name)]

    @model_validator(mode="after")
    def _sections_fit_each_other(self) -> "TrainerConfig":
        size, pac = self.batch_size // self.gradient_accumulation, self.networks.pac
        if size % pac:
            raise ValueError(f"networks.pac: {pac} does not divide the batch of {size}")
        check_scores(self.export_scores, pac)
        check_penalties(self.penalties, [self.precision.removeprefix("mixed_")])
        return self

    def check_shape(self, data_shape: Sequence[int]) -> None:
        """Raises ValueError, with a remedy, if an option does not support data of this shape."""
        conditioning = self.conditioning
        if conditioning and conditioning.by == "clusters" and len(data_shape) != 3:
            raise ValueError("conditioning.by: clusters, but the data are rows; ask by columns")
        for registry in (GENERATORS, DISCRIMINATORS):
            options = self.networks.options_of(registry)
            if registry is GENERATORS:
                options["latent_dim"] = self.latent_dim
            if conditioning:
                options["num_classes"] = conditioning.num_classes or 2
                options["conditioning"] = getattr(conditioning, registry.kind)
            self.networks.check(registry, data_shape=data_shape, **options)
        if self.augmentation:
            Augmentation.check_shape(data_shape)
        for penalty in self.penalties:
            PENALTIES.get(penalty.name).check_shape(data_shape)
