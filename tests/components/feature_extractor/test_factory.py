import textwrap

import numpy as np
import pytest

from components.data.examples import Split
from components.feature_extractor import factory
from components.feature_extractor.config import FeatureExtractorConfig

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 4, 4, 1), np.uint8)
SPLITS = {"train": Split(IMAGES, None)}


def build(function="make"):
    config = FeatureExtractorConfig(kind=f"their_features:{function}")
    return factory.build(SPLITS, config, "noise").model.predict(IMAGES, verbose=0)


MODELS = {
    "uint8 input": (
        """
        def make(shape):
            images = keras.Input(shape, dtype="uint8")
            floats = keras.layers.Rescaling(1.0)(images)
            return keras.Model(images, keras.layers.Flatten()(floats))
        """,
        IMAGES.reshape(5, 16),
    ),
    "float input": (
        """
        def make(shape):
            return keras.Sequential([keras.Input(shape), keras.layers.Flatten()])
        """,
        IMAGES.reshape(5, 16) / 127.5 - 1,
    ),
    "input that is not said": (
        """
        def make(shape):
            return keras.Sequential([keras.layers.Flatten()])
        """,
        IMAGES.reshape(5, 16) / 127.5 - 1,
    ),
    "any size of image": (
        """
        def make(shape):
            return keras.Sequential(
                [keras.Input((None, None, 1)), keras.layers.GlobalMaxPooling2D()]
            )
        """,
        IMAGES.max(axis=(1, 2)) / 127.5 - 1,
    ),
    "a class": (
        """
        class Brightest(keras.Model):
            def call(self, images):
                return {"features": keras.ops.max(images, axis=(1, 2))}

        def make(shape):
            return Brightest()
        """,
        IMAGES.max(axis=(1, 2)) / 127.5 - 1,
    ),
    "half precision": (
        """
        def make(shape):
            return keras.Sequential(
                [keras.Input(shape), keras.layers.GlobalMaxPooling2D(dtype="float16")]
            )
        """,
        (IMAGES.max(axis=(1, 2)) / 127.5 - 1).astype(np.float16),
    ),
}


@pytest.mark.parametrize(("source", "expected"), MODELS.values(), ids=MODELS)
def test_a_model_of_ones_own(own_module, source, expected):
    own_module("import keras\n" + textwrap.dedent(source))

    found = build()

    assert sorted(found) == ["features"]
    assert found["features"].dtype == np.float32
    np.testing.assert_allclose(found["features"], expected, rtol=1e-5, atol=1e-5)


def test_probabilities_are_kept(own_module):
    own_module(
        """
        import keras

        def make(shape):
            images = keras.Input(shape)
            features = keras.layers.Flatten()(images)
            classes = keras.layers.Dense(3, activation="softmax")(features)
            return keras.Model(images, {"features": features, "probabilities": classes})
        """
    )

    found = build()

    np.testing.assert_allclose(found["probabilities"].sum(axis=1), np.ones(5), rtol=1e-5)
    assert found["features"].shape == (5, 16)


WRONG = {
    "no model": ("def make(shape): return 3", r"returned a int; it must return a keras\.Model"),
    "no function": ("def mske(shape): ...", r"has no function 'make': did you mean 'mske'"),
    "not a function": ("make = 3", r"has no function 'make'"),
    "another size": (
        """
        def make(shape):
            return keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Flatten()])
        """,
        r"takes images .*\[32, 32, 3\].* \[4, 4, 1\]",
    ),
    "integers": (
        """
        def make(shape):
            images = keras.Input(shape, dtype="int32")
            return keras.Model(images, keras.layers.Flatten()(images))
        """,
        r"takes int32; expected uint8, or floats in \[-1, 1\]",
    ),
    "two inputs": (
        """
        def make(shape):
            both = [keras.Input(shape), keras.Input(shape)]
            return keras.Model(both, keras.layers.Flatten()(keras.layers.Add()(both)))
        """,
        "has 2 inputs, expected 1",
    ),
    "maps": (
        """
        def make(shape):
            return keras.Sequential([keras.Input(shape), keras.layers.Conv2D(2, 3)])
        """,
        r"features of .* \[None, 2, 2, 2\], expected \[n, d\]",
    ),
    "another name": (
        """
        def make(shape):
            images = keras.Input(shape)
            return keras.Model(images, {"logits": keras.layers.Flatten()(images)})
        """,
        "returns logits; expected features",
    ),
    "a list": (
        """
        def make(shape):
            images = keras.Input(shape)
            return keras.Model(images, [keras.layers.Flatten()(images)] * 2)
        """,
        "features of .* list, expected a tensor",
    ),
    "images too small": (
        """
        def make(shape):
            return keras.Sequential([keras.layers.Conv2D(2, 7), keras.layers.Flatten()])
        """,
        r"cannot be called on data .*\[4, 4, 1\]",
    ),
}


@pytest.mark.parametrize(("source", "message"), WRONG.values(), ids=WRONG)
def test_other_things_are_refused_in_one_line(own_module, source, message):
    own_module("import keras\n" + textwrap.dedent(source))

    with pytest.raises(ValueError, match=rf"feature_extractor\.kind: .*{message}") as caught:
        build()
    assert "\n" not in str(caught.value)
