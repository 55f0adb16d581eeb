"""The kind `module:function`: the user's own Keras model."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import keras
import tensorflow as tf

from components.common import plugins
from components.data import examples
from components.data.columns import Column
from components.feature_extractor import base
from components.feature_extractor.config import FeatureExtractorConfig

T = TypeVar("T")

_OUTPUTS = ("features", "probabilities")


def build(
    splits: base.Splits,
    config: FeatureExtractorConfig,
    data_name: str,
    columns: Sequence[Column] | None = None,
) -> base.Built:
    """Calls the function with the shape of a datum, e.g. (28, 28, 1), and wraps its model.

    The model maps images to features [n, d], or to a dict of `features` and `probabilities`
    [n, classes]. It gets images as uint8 if its input has that dtype, else as floats in [-1, 1].
    Rows are passed as codes, unchanged. The global random generators are seeded before the call.

    Raises:
      ValueError: if there is no such function, if it does not return a Keras model, or if the
        model's inputs or outputs are invalid.
    """
    shape = splits[examples.TRAIN_SPLIT].data.shape[1:]
    keras.utils.set_random_seed(config.seed)
    model = _named(plugins.load, config.kind)(shape)
    if not isinstance(model, keras.Model):
        raise ValueError(
            f"feature_extractor.kind: {config.kind} returned a {type(model).__name__}; "
            "it must return a keras.Model"
        )
    data = base.inputs(shape)
    given = data
    if len(shape) == 3 and _input_dtype(config.kind, model, shape) != "uint8":
        given = keras.layers.Rescaling(base.SCALE, base.OFFSET)(data)
    try:
        outputs = model(given)
    except (ValueError, TypeError, tf.errors.InvalidArgumentError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(
            f"feature_extractor.kind: the model of {config.kind} cannot be called on data "
            f"of shape {list(shape)}: {reason}"
        ) from error
    source = hashlib.sha256(_named(plugins.source_file, config.kind).read_bytes()).hexdigest()
    return base.Built(
        model=keras.Model(data, _checked(config.kind, outputs)),
        name=config.kind,
        # The source code, because a user's class may have no configuration.
        architecture=f"{config.kind} {source}",
    )


def _named(find: Callable[[str], T], path: str) -> T:
    """`find(path)`, with errors that name the recipe's key."""
    try:
        return find(path)
    except ValueError as error:
        raise ValueError(f"feature_extractor.kind: {error}") from error


def _input_dtype(path: str, model: keras.Model, shape: Sequence[int]) -> str:
    """Checks the model's only input, and returns its dtype; float32 if it declares none."""
    taken = getattr(model, "inputs", None)
    if taken is None:
        return "float32"
    if len(taken) != 1:
        raise ValueError(
            f"feature_extractor.kind: the model of {path} has {len(taken)} inputs, expected 1"
        )
    expected = taken[0].shape[1:]
    if not tf.TensorShape(expected).is_compatible_with(tuple(shape)):
        raise ValueError(
            f"feature_extractor.kind: the model of {path} takes images of shape {list(expected)}, "
            f"but the data have shape {list(shape)}, which is the function's argument"
        )
    dtype = taken[0].dtype
    if dtype != "uint8" and "float" not in dtype:
        raise ValueError(
            f"feature_extractor.kind: the model of {path} takes {dtype}; "
            "expected uint8, or floats in [-1, 1]"
        )
    return dtype


def _checked(path: str, outputs: object) -> dict[str, keras.KerasTensor]:
    """Checks the outputs; returns them by name, in float32."""
    named = outputs if isinstance(outputs, dict) else {"features": outputs}
    if "features" not in named or not set(named) <= set(_OUTPUTS):
        raise ValueError(
            f"feature_extractor.kind: the model of {path} returns {', '.join(sorted(named))}; "
            "expected features, or a dict of features and probabilities"
        )
    for name, tensor in named.items():
        if not isinstance(tensor, keras.KerasTensor):
            raise ValueError(
                f"feature_extractor.kind: output {name} of {path} is a {type(tensor).__name__}, "
                "expected a tensor"
            )
        if len(tensor.shape) != 2 or tensor.shape[1] is None:
            raise ValueError(
                f"feature_extractor.kind: output {name} of {path} has shape "
                f"{[None, *tensor.shape[1:]]}, expected [n, d] with a fixed d; "
                "end with pooling or Flatten"
            )
    return {
        # Casts outputs in half precision, and integers.
        name: keras.layers.Activation("linear", dtype="float32")(tensor)
        for name, tensor in named.items()
    }


def _files(config: FeatureExtractorConfig) -> list[Path]:
    return [_named(plugins.source_file, config.kind)]


base.EXTRACTORS.register(plugins.FORM)(
    base.Kind(build, frozenset({"seed"}), takes_vectors=True, files=_files)
)
