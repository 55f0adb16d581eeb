"""The recipe's section `feature_extractor`."""

from pydantic import Field

from components.config import Config


class FeatureExtractorConfig(Config):
    """How the classifier whose features the evaluator measures with is trained."""

    epochs: int = Field(12, ge=1, description="Passes over the train split.")
    batch_size: int = Field(128, ge=1, description="Images a step.")
    learning_rate: float = Field(
        2e-3, gt=0, lt=1, description="Adam's rate at the start; it falls to 0 along a cosine."
    )
    feature_dim: int = Field(64, ge=2, le=4096, description="Length of a feature vector.")
    min_skill: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Least (accuracy - chance) / (1 - chance) on the eval split, where chance is "
        "the share of its largest class: 0 is guessing, 1 is perfect.",
    )
    seed: int = Field(0, ge=0, lt=2**32, description="Of initial weights, order and dropout.")
