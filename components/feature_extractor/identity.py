"""The kind `identity`: features are the data themselves."""

import keras
import numpy as np

from components.data import examples
from components.feature_extractor import base
from components.feature_extractor.config import FeatureExtractorConfig


def build(splits: base.Splits, config: FeatureExtractorConfig, data_name: str) -> base.Built:
    """Images in [-1, 1], flattened; vectors with standardised columns.

    Columns are standardised to mean 0 and standard deviation 1 on the train split, so that their
    units do not matter; a constant column is only shifted to 0.
    """
    data = splits[examples.TRAIN_SPLIT].data
    inputs = base.inputs(data.shape[1:])
    if data.ndim == 4:
        hidden = keras.layers.Rescaling(base.SCALE, base.OFFSET)(inputs)
        name = "pixels"
    else:
        hidden = _standardised(inputs, data)
        name = "standardised columns"
    model = keras.Model(inputs, {"features": keras.layers.Flatten()(hidden)})
    return base.Built(model, f"{data_name} {name}", base.architecture(model))


def _standardised(inputs: keras.KerasTensor, rows: np.ndarray) -> keras.KerasTensor:
    # In float64, because float32 sums over many rows are inaccurate.
    means, spreads = rows.mean(axis=0, dtype=np.float64), rows.std(axis=0, dtype=np.float64)
    # Due to rounding, the standard deviation of a constant column may not be exactly 0.
    scales = np.divide(1.0, spreads, where=np.ptp(rows, axis=0) > 0, out=np.ones_like(spreads))
    # In two steps, to preserve small deviations from a large mean.
    centred = keras.layers.Rescaling(1.0, (-means).tolist())(inputs)
    return keras.layers.Rescaling(scales.tolist())(centred)


base.EXTRACTORS.register("identity")(base.Kind(build, takes_vectors=True))
