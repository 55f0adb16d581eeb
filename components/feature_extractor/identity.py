"""The kind `identity`: the data themselves are the features."""

import keras

from components import examples
from components.feature_extractor import base
from components.feature_extractor.config import FeatureExtractorConfig


def build(splits: base.Splits, config: FeatureExtractorConfig, data_name: str) -> base.Built:
    """Vectors as they are; images in [-1, 1], flattened row by row."""
    shape = splits[examples.TRAIN_SPLIT].data.shape[1:]
    data = base.inputs(shape)
    is_image = len(shape) == 3
    hidden = keras.layers.Rescaling(base.SCALE, base.OFFSET)(data) if is_image else data
    model = keras.Model(data, {"features": keras.layers.Flatten()(hidden)})
    name = "pixels" if is_image else "coordinates"
    return base.Built(model, f"{data_name} {name}", base.architecture(model))


base.EXTRACTORS.register("identity")(base.Kind(build, takes_vectors=True))
