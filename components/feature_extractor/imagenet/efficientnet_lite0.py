"""The kind `efficientnet_lite0`: the network of `components.pretrained.efficientnet_lite0`.

Images are normalised as its authors do, repeated to three channels if grey, and resized bilinearly
to 224 x 224, with antialiasing when downsampling; nothing is cropped.
"""

from pathlib import Path

import keras

from components.data import examples
from components.feature_extractor import base
from components.feature_extractor.config import FeatureExtractorConfig
from components.feature_extractor.imagenet import photographs
from components.pretrained import efficientnet_lite0


def build(splits: base.Splits, config: FeatureExtractorConfig, data_name: str) -> base.Built:
    """The extractor: features [n, 1280] of the last pooling, ImageNet probabilities [n, 1000].

    Raises:
      ValueError: if the weights are not installed, or damaged.
    """
    network = efficientnet_lite0.load()
    outputs = network.output
    trunk = keras.Model(
        network.input,
        {
            "features": outputs["features"],
            "probabilities": keras.layers.Softmax()(outputs["logits"]),
        },
    )
    model = photographs.model(
        trunk,
        splits[examples.TRAIN_SPLIT].data.shape[1:],
        efficientnet_lite0.SIZE,
        1 / efficientnet_lite0.STDDEV,
        -efficientnet_lite0.MEAN / efficientnet_lite0.STDDEV,
    )
    return base.Built(
        model=model,
        name="EfficientNet-Lite0, published ImageNet weights",
        architecture=base.architecture(model),
        known={"weights": efficientnet_lite0.weights_file().name},
    )


def _weights_files(config: FeatureExtractorConfig) -> list[Path]:
    return [efficientnet_lite0.weights_file()]


base.EXTRACTORS.register("efficientnet_lite0")(
    base.Kind(build, files=_weights_files, pretrained=efficientnet_lite0.NAME)
)
