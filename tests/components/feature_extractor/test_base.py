import keras
import pytest

from components.feature_extractor import base


def network(scale=1 / 127.5, strides=1, dtype="float32", branch="left"):
    """Two branches of equal layers, with a nested model."""
    images = base.inputs((8, 8, 1))
    inner = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Conv2D(2, 3, padding="same")])
    hidden = inner(keras.layers.Rescaling(scale)(images))
    branches = {
        name: keras.layers.Conv2D(2, 3, strides, padding="same", dtype=dtype)(hidden)
        for name in ("left", "right")
    }
    pooled = keras.layers.GlobalAveragePooling2D()(branches[branch])
    joined = keras.layers.Concatenate()([pooled, keras.layers.Flatten()(branches["right"])])
    return keras.Model(images, {"features": joined})


def test_names_of_layers_are_not_the_architecture():
    first, again = network(), network()

    assert first.to_json() != again.to_json()
    assert base.architecture(first) == base.architecture(again)


CHANGES = [{"scale": 1 / 255}, {"strides": 2}, {"dtype": "bfloat16"}, {"branch": "right"}]


@pytest.mark.parametrize("change", CHANGES)
def test_preprocessing_options_and_connections_are_the_architecture(change):
    assert base.architecture(network(**change)) != base.architecture(network())


def test_the_registry_names_every_kind():
    assert base.EXTRACTORS.names() == [
        "classifier",
        "efficientnet_lite0",
        "identity",
        "inception_v3",
        "module:function",
        "self_supervised",
    ]
    assert base.find("my.module:make") is base.EXTRACTORS.get("module:function")
