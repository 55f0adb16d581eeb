"""The recipe's section `trainer.networks`."""

from typing import Annotated, Any

from pydantic import AfterValidator, Field

from components.common.config import Config
from components.common.registry import Registry
from components.trainer.networks.base import DISCRIMINATORS, GENERATORS
from components.trainer.networks.factory import check_name


def _network_of(registry: Registry) -> AfterValidator:
    """Checks that a str field is a name of `registry`, or `module:function`."""

    def check(name: str) -> str:
        check_name(name, registry)
        return name

    return AfterValidator(check)


_Numbers = tuple[Annotated[int, Field(ge=1, le=4096)], ...]
# Keys that only some networks have, and which the others refuse.
_SPECIAL = ("width_per_stage", "blocks_per_stage", "cardinality_per_stage", "expansion_factor")
_OF_DISCRIMINATORS = ("feature_resolution",)


class NetworksConfig(Config):
    """The two networks: built-in names, or `module:function` that returns your own Keras model."""

    generator: Annotated[str, _network_of(GENERATORS)] = Field(
        "dcgan", description="generator network"
    )
    discriminator: Annotated[str, _network_of(DISCRIMINATORS)] = Field(
        "dcgan", description="discriminator network"
    )
    width: int | None = Field(
        None, ge=1, le=1024, description="filters of the largest map; default: per network"
    )
    width_per_stage: _Numbers | None = Field(
        None,
        description="r3gan: filters of each map, from the smallest map to the largest; default: "
        "from width",
    )
    blocks_per_stage: _Numbers | None = Field(
        None, description="r3gan: residual blocks of each map, likewise; default: 2"
    )
    cardinality_per_stage: _Numbers | None = Field(
        None,
        description="r3gan: groups of the 3x3 convolutions of each map, likewise; default: groups "
        "of 16 filters",
    )
    expansion_factor: int | None = Field(
        None,
        ge=1,
        le=16,
        description="r3gan: filters inside a block over those of its map; default: 2",
    )
    feature_resolution: int | None = Field(
        None,
        ge=64,
        le=512,
        multiple_of=32,
        description="projected: side of the images that the feature network sees; default: 224, or "
        "that of larger images",
    )
    self_attention: bool = Field(False, description="a self-attention block in both networks")
    spectral_norm: bool = Field(False, description="spectral normalisation of the discriminator")
    pac: int = Field(
        1, ge=1, le=64, description="samples that the discriminator judges together (PacGAN)"
    )

    @property
    def pretrained(self) -> str | None:
        """The name of the published weights that a built-in discriminator computes with."""
        name = self.discriminator
        return DISCRIMINATORS.get(name).pretrained if name in DISCRIMINATORS.names() else None

    def options_of(self, registry: Registry) -> dict[str, Any]:
        """The constructor's options of the generator or the discriminator."""
        options: dict[str, Any] = {"width": self.width, "self_attention": self.self_attention}
        special = (*_SPECIAL, *(_OF_DISCRIMINATORS if registry is DISCRIMINATORS else ()))
        options |= {name: getattr(self, name) for name in special if getattr(self, name)}
        if registry is DISCRIMINATORS:
            options["spectral_norm"] = self.spectral_norm
            options |= {"pac": self.pac} if self.pac > 1 else {}
        return options

    def check(self, registry: Registry, **options: Any) -> None:  # noqa: ANN401
        """Raises ValueError if the built-in network refuses its options.

        It makes the layers but no weights, in a tenth of a second. Your own network is not called.
        """
        name = getattr(self, registry.kind)
        if name not in registry.names():
            return
        try:
            registry.get(name)(**options)
        except ValueError as error:
            raise ValueError(f"networks.{registry.kind}: {error}") from error
