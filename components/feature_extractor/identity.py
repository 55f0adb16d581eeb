"""The kind `identity`: features are the data themselves."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from components.data import examples
from components.data.columns import Column
from components.feature_extractor import base
from components.feature_extractor.config import FeatureExtractorConfig

# Two categories are then 1 apart, as two values are that differ by a standard deviation.
_CATEGORY = math.sqrt(0.5)
_MISSING = 1.0


def build(
    splits: base.Splits,
    config: FeatureExtractorConfig,
    data_name: str,
    columns: Sequence[Column] | None = None,
) -> base.Built:
    """Images in [-1, 1], flattened; columns of rows in one unit.

    Columns with an order are standardised to mean 0 and standard deviation 1 on the train split, so
    that their units do not matter; a constant column is only shifted to 0. A missing value is 0,
    and marked by a 1 of its own. A discrete column is one-hot, times √½, so that two categories are
    1 apart: the squared distance of two rows is that of k-prototypes with γ = 1, the squares of the
    differences plus the number of mismatches (Huang, "Extensions to the k-Means Algorithm for
    Clustering Large Data Sets with Categorical Values", 1998). A missing one has a place of its
    own. What the train split lacks, another category or a first missing one, is 0 everywhere.

    Args:
      splits: `train` at least.
      config: of the kind; it has no options.
      data_name: the name of the data.
      columns: of the rows; numbers if left out.
    """
    train = splits[examples.TRAIN_SPLIT]
    inputs = base.inputs(train.data.shape[1:])
    if train.data.ndim == 4:
        hidden = keras.layers.Rescaling(base.SCALE, base.OFFSET)(inputs)
        model = keras.Model(inputs, {"features": keras.layers.Flatten()(hidden)})
        return base.Built(model, f"{data_name} pixels", base.architecture(model))
    if columns is None:
        columns = [Column(name=f"column {place}") for place in range(train.data.shape[1])]
    model = keras.Model(inputs, {"features": _Standardised(**_learnt(train, columns))(inputs)})
    known: dict[str, Any] = {}
    architecture = base.architecture(model)
    if train.categories:
        known["categories"] = {name: list(each) for name, each in train.categories.items()}
        architecture += json.dumps(known, sort_keys=True)
    return base.Built(model, f"{data_name} standardised columns", architecture, known=known)


class _Standardised(keras.layers.Layer):
    """From codes [n, columns] to features float32 [n, d].

    Args:
      ordered: indices of the columns with an order.
      means, scales: of these, subtracted and then multiplied by.
      discrete, categories: index of the column and code of every one-hot feature.
      missing, weights: indices of the columns with missing values, and what marks one.
      **options: of the layer.
    """

    def __init__(
        self,
        ordered: Sequence[int],
        means: Sequence[float],
        scales: Sequence[float],
        discrete: Sequence[int],
        categories: Sequence[int],
        missing: Sequence[int],
        weights: Sequence[float],
        **options: Any,  # noqa: ANN401
    ) -> None:
        # In 64 bits, to preserve small deviations from a large mean.
        super().__init__(**{"dtype": "float64", **options})
        self._learnt = {
            "ordered": ordered,
            "means": means,
            "scales": scales,
            "discrete": discrete,
            "categories": categories,
            "missing": missing,
            "weights": weights,
        }

    def call(self, codes: keras.KerasTensor) -> keras.KerasTensor:
        learnt = {name: np.array(values) for name, values in self._learnt.items()}

        def of(name: str) -> keras.KerasTensor:
            return keras.ops.take(codes, learnt[name].astype(np.int32), axis=1)

        parts = []
        if learnt["ordered"].size:
            values = of("ordered")
            values = keras.ops.where(keras.ops.isnan(values), learnt["means"], values)
            parts.append((values - learnt["means"]) * learnt["scales"])
        if learnt["discrete"].size:
            is_it = keras.ops.equal(of("discrete"), learnt["categories"].astype(np.float64))
            parts.append(keras.ops.cast(is_it, "float64") * _CATEGORY)
        if learnt["missing"].size:
            marks = keras.ops.cast(keras.ops.isnan(of("missing")), "float64")
            parts.append(marks * learnt["weights"])
        return keras.ops.cast(keras.ops.concatenate(parts, axis=1), "float32")

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self._learnt}


def _learnt(train: examples.Split, columns: Sequence[Column]) -> Mapping[str, list]:
    """The arguments of the layer, from the rows of the train split."""
    rows = train.data.astype(np.float64)
    discrete = [place for place, column in enumerate(columns) if column.kind.discrete]
    ordered = [place for place, column in enumerate(columns) if not column.kind.discrete]
    missing = [
        place
        for place, column in enumerate(columns)
        if column.missing or np.isnan(rows[:, place]).any()
    ]
    present = [rows[~np.isnan(rows[:, place]), place] for place in ordered]
    counts = [len(train.categories[columns[place].name]) for place in discrete]
    return {
        "ordered": ordered,
        "means": [float(values.mean()) if values.size else 0.0 for values in present],
        # Due to rounding, the standard deviation of a constant column may not be exactly 0.
        "scales": [
            float(1 / values.std()) if values.size and np.ptp(values) else 1.0 for values in present
        ],
        "discrete": np.repeat(discrete, counts).astype(int).tolist(),
        "categories": [code for count in counts for code in range(count)],
        "missing": missing,
        "weights": [_CATEGORY if place in discrete else _MISSING for place in missing],
    }


base.EXTRACTORS.register("identity")(base.Kind(build, takes_vectors=True))
