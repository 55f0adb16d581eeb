"""The recipe's section `feature_extractor`."""

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from components.common.config import Config
from components.feature_extractor.base import EXTRACTORS, find

IMAGENET = "imagenet"

# The default kind for data with 1 axis (vectors) or 3 (images).
DEFAULT_KINDS = {1: "identity", 3: "classifier"}


def _known(kind: str) -> str:
    find(kind)
    return kind


class FeatureExtractorConfig(Config):
    """The feature extractor for measuring generators; each kind has its own options."""

    kind: Annotated[str, AfterValidator(_known)] = Field(
        DEFAULT_KINDS[3],
        description="classifier, self_supervised, inception_v3, efficientnet_lite0, identity, or "
        "module:function that returns a Keras model; default: classifier for images, identity for "
        "vectors",
    )
    images: int = Field(
        240_000,
        ge=1,
        description="length of training at most; it ends early when held-out images gain nothing",
    )
    batch_size: int = Field(64, ge=1, description="images per step")
    learning_rate: float = Field(
        3e-3, gt=0, lt=1, description="Adam's initial learning rate, with cosine decay to 0"
    )
    feature_dim: int = Field(
        64, ge=2, le=4096, description="size of a classifier's feature vectors"
    )
    min_skill: float | None = Field(
        None,
        ge=0,
        le=1,
        description="minimum (accuracy - chance) / (1 - chance) on the eval split: 0 is guessing, "
        "1 is perfect; default: that of the accuracy √chance, which is .71 for 2 equal classes, "
        ".32 for 10, .1 for 100",
    )
    seed: int = Field(
        0, ge=0, lt=2**32, description="random seed of initial weights, order and dropout"
    )
    weights: str = Field(
        IMAGENET,
        min_length=1,
        description="imagenet: Keras's weights, downloaded; or the path or URI of a weights file",
    )

    @property
    def weights_file(self) -> str | None:
        """The weights file, if the recipe names one."""
        named = "weights" in find(self.kind).options and self.weights != IMAGENET
        return self.weights if named else None

    @property
    def pretrained(self) -> str | None:
        """The kind's published weights, if networks are trained with them too."""
        return find(self.kind).pretrained

    def check_shape(self, data_shape: Sequence[int]) -> None:
        """Raises ValueError, naming the kinds to use instead, if the kind does not fit the data."""
        if len(data_shape) != 3 and not find(self.kind).takes_vectors:
            able = [name for name in EXTRACTORS.names() if EXTRACTORS.get(name).takes_vectors]
            raise ValueError(
                f"kind: {self.kind} takes images, but the data have shape {list(data_shape)}; "
                f"use {' or '.join(able)}"
            )

    @model_validator(mode="after")
    def _options_are_the_kinds(self) -> "FeatureExtractorConfig":
        options = find(self.kind).options
        for name in sorted(self.model_fields_set - {"kind"} - options):
            others = [
                other for other in EXTRACTORS.names() if name in EXTRACTORS.get(other).options
            ]
            raise ValueError(
                f"{name}: an option of kind {', '.join(others)}; kind {self.kind} takes "
                f"{', '.join(sorted(options)) or 'none'}"
            )
        return self

    @model_serializer(mode="wrap")
    def _without_other_kinds_options(
        self, serialize: SerializerFunctionWrapHandler
    ) -> dict[str, Any]:
        known = find(self.kind).options | {"kind"}
        return {name: value for name, value in serialize(self).items() if name in known}
