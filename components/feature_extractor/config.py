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

# Default kind by the number of axes of a datum: vectors have 1, images 3.
DEFAULT_KINDS = {1: "identity", 3: "classifier"}


def _known(kind: str) -> str:
    find(kind)
    return kind


class FeatureExtractorConfig(Config):
    """The features that generators are measured in; each kind has its own options."""

    kind: Annotated[str, AfterValidator(_known)] = Field(
        DEFAULT_KINDS[3],
        description="classifier, self_supervised, inception_v3, identity, or module:function that "
        "returns a Keras model; default: classifier of images, identity of vectors",
    )
    epochs: int = Field(12, ge=1, description="passes over the train split")
    batch_size: int = Field(128, ge=1, description="images a step")
    learning_rate: float = Field(
        2e-3, gt=0, lt=1, description="Adam's rate at the start; it falls to 0 along a cosine"
    )
    feature_dim: int = Field(
        64, ge=2, le=4096, description="length of a feature vector, of a classifier"
    )
    min_skill: float = Field(
        0.5,
        ge=0,
        le=1,
        description="least (accuracy - chance) / (1 - chance) on the eval split, where chance is "
        "the share of its largest class: 0 is guessing, 1 is perfect",
    )
    seed: int = Field(0, ge=0, lt=2**32, description="of initial weights, order and dropout")
    weights: str = Field(
        IMAGENET,
        min_length=1,
        description="imagenet: Keras's, downloaded; or a file of weights, a path or a URI",
    )

    @property
    def weights_file(self) -> str | None:
        """The file of weights, if the recipe names one."""
        named = "weights" in find(self.kind).options and self.weights != IMAGENET
        return self.weights if named else None

    def check_shape(self, data_shape: Sequence[int]) -> None:
        """Raises ValueError that names the kinds to use for data that this one does not take."""
        if len(data_shape) != 3 and not find(self.kind).takes_vectors:
            able = [name for name in EXTRACTORS.names() if EXTRACTORS.get(name).takes_vectors]
            raise ValueError(
                f"kind: {self.kind} takes images, the data are {list(data_shape)}; "
                f"{' or '.join(able)} would do"
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
