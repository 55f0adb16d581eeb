"""Makes the feature extractor with which generators are measured."""

# Importing a kind registers it.
from components.feature_extractor import (
    classifier,
    factory,
    identity,
    imagenet,
    self_supervised,
)
from components.feature_extractor.base import EXTRACTORS
from components.feature_extractor.config import FeatureExtractorConfig
from components.feature_extractor.making import make

__all__ = [
    "EXTRACTORS",
    "FeatureExtractorConfig",
    "classifier",
    "factory",
    "identity",
    "imagenet",
    "make",
    "self_supervised",
]
