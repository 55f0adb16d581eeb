"""The kinds that were trained on ImageNet, for photographs."""

# Importing a kind registers it.
from components.feature_extractor.imagenet import efficientnet_lite0, inception_v3

__all__ = ["efficientnet_lite0", "inception_v3"]
