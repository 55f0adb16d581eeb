"""What can be said of any network, ours or other people's."""

import hashlib
from typing import Any

import keras

from components.trainer.networks.base import Network


def compute_dtypes(network: keras.Model) -> set[str]:
    """The dtypes that its layers compute in, e.g. {"bfloat16", "float32"}."""
    found, layers = set(), [network]
    while layers:
        layer = layers.pop()
        found.add(layer.compute_dtype)
        layers += layer._layers
    return found


def describe(network: keras.Model) -> dict[str, Any]:
    """What tells its architecture from another one; JSON. The network is built."""
    if isinstance(network, Network):
        return {"class": type(network).__name__, **network.get_config()}
    weights = "\n".join(f"{weight.name} {weight.shape}" for weight in network.weights)
    return {
        "class": type(network).__name__,
        "weights": len(network.weights),
        "weights_hash": hashlib.sha256(weights.encode()).hexdigest()[:16],
    }
