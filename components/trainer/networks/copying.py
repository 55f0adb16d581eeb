"""Untrained copies and descriptions of any network, built-in or a user's."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf

from components.trainer.networks.base import Network


def copy(model: keras.Model, dtype: str | None = "float32") -> keras.Model:
    """An untrained network of the same architecture, which shares no weights with `model`.

    Args:
      model: a `Network`, a functional or Sequential model (possibly nested), or a subclassed model
        with `get_config`.
      dtype: Keras dtype policy of every layer that computes in floats; None: unchanged.

    Returns:
      The copy. It may have no variables until it is called.

    Raises:
      ValueError: for a subclassed model whose `get_config` does not return its arguments.
    """
    # The layers of a subclassed model may use the default policy.
    with default_policy(dtype or model.dtype_policy):
        # A functional model is a keras.Function too.
        if isinstance(model, keras.Sequential | keras.Function):
            return keras.models.clone_model(model, clone_function=lambda part: _part(part, dtype))
        return _from_config(model, dtype)


@contextmanager
def default_policy(dtype: str | keras.DTypePolicy | None) -> Iterator[None]:
    """Sets the default dtype policy of layers made inside; None: no change."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(dtype or before)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def compute_dtypes(network: keras.Model) -> set[str]:
    """The compute dtypes of its layers, e.g. {"bfloat16", "float32"}."""
    found, layers = set(), [network]
    while layers:
        layer = layers.pop()
        found.add(layer.compute_dtype)
        layers += layer._layers
    return found


def describe(network: keras.Model) -> dict[str, Any]:
    """Identifies the architecture of a built network, as JSON."""
    if isinstance(network, Network):
        return {"class": type(network).__name__, **network.get_config()}
    weights = "\n".join(f"{weight.name} {weight.shape}" for weight in network.weights)
    return {
        "class": type(network).__name__,
        "weights": len(network.weights),
        "weights_hash": hashlib.sha256(weights.encode()).hexdigest()[:16],
    }


def _part(layer: keras.layers.Layer, dtype: str | None) -> keras.layers.Layer:
    if isinstance(layer, keras.Model):
        return copy(layer, dtype)
    return type(layer).from_config(_with_policy(layer.get_config(), dtype))


def _from_config(model: keras.Model, dtype: str | None) -> keras.Model:
    try:
        config = model.get_config()
        if isinstance(model, Network):
            config = {**config, "dtype": dtype or config["dtype"]}
        return type(model).from_config(_with_policy(config, dtype))
    except (NotImplementedError, TypeError) as error:
        raise ValueError(
            f"{type(model).__name__} cannot be copied: give it a get_config that returns the "
            f"arguments of its __init__ ({error})"
        ) from error


def _with_policy(config: Any, dtype: str | None) -> Any:  # noqa: ANN401
    """The configuration of a layer, and of the layers it wraps, with another dtype policy."""
    if dtype is None:
        return config
    if isinstance(config, list | tuple):
        return type(config)(_with_policy(value, dtype) for value in config)
    if not isinstance(config, dict):
        return config
    return {
        key: dtype if key == "dtype" and _is_float(value) else _with_policy(value, dtype)
        for key, value in config.items()
    }


def _is_float(policy: Any) -> bool:  # noqa: ANN401
    if policy is None:
        return False
    compute = keras.dtype_policies.get(policy).compute_dtype
    return compute is not None and tf.as_dtype(compute).is_floating
