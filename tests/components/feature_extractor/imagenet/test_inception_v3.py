"""Inception with random weights: tests preprocessing and loading, not feature quality."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from PIL import Image

from components import features
from components.data.examples import Split
from components.feature_extractor import making
from components.feature_extractor.config import FeatureExtractorConfig
from components.feature_extractor.imagenet import inception_v3

DOWNLOAD = """
import numpy as np
from components.data.examples import Split
from components.feature_extractor.imagenet import inception_v3
from components.feature_extractor.config import FeatureExtractorConfig
train = Split(np.zeros((1, 8, 8, 3), np.uint8), None)
try:
    inception_v3.build({"train": train}, FeatureExtractorConfig(kind="inception_v3"), "data")
except ValueError as error:
    print(error)
"""


@pytest.fixture(scope="session")
def inception():
    keras.utils.set_random_seed(0)
    return keras.applications.InceptionV3(weights=None)


@pytest.fixture(scope="session")
def weights(inception, tmp_path_factory):
    path = tmp_path_factory.mktemp("inception") / "random.weights.h5"
    inception.save_weights(path)
    return str(path)


@pytest.fixture(scope="session")
def config(weights):
    return FeatureExtractorConfig(kind="inception_v3", weights=weights)


def blocks(height, width, channels):
    """Two images of 2×2 blocks, which survive resizing."""
    rng = np.random.default_rng(0)
    values = rng.integers(0, 256, (2, 2, 2, channels), np.uint8)
    return values.repeat(height // 2, axis=1).repeat(width // 2, axis=2)


SMALL, LARGE = blocks(8, 8, 1), blocks(340, 420, 3)


@pytest.fixture(scope="session")
def artifact(config, tmp_path_factory):
    """An extractor of small grey images: its folder and description."""
    folder = str(tmp_path_factory.mktemp("artifact"))
    splits = {"train": Split(SMALL, None), "eval": Split(SMALL[:1], None)}
    return folder, making.make(folder, splits, config, "noise")


@pytest.fixture(scope="session")
def large(config):
    """Built for large images."""
    return inception_v3.build({"train": Split(LARGE, None)}, config, "noise")


def by_hand(inception, images):
    """The network's output for images resized by Pillow, channel by channel."""
    resized = [
        [
            np.asarray(Image.fromarray(channel).resize((299, 299), Image.Resampling.BILINEAR))
            for channel in np.moveaxis(image.astype(np.float32), -1, 0)
        ]
        for image in images
    ]
    resized = np.broadcast_to(np.moveaxis(resized, 1, -1), (len(images), 299, 299, 3))
    trunk = keras.Model(inception.input, [inception.get_layer("avg_pool").output, inception.output])
    return [np.asarray(tensor) for tensor in trunk(resized / 127.5 - 1, training=False)]


def assert_same(found, probabilities, expected):
    pooled, of_classes = expected
    scale = np.abs(pooled).max()
    # The tolerance must be small compared to the difference between the two images.
    assert np.abs(pooled[0] - pooled[1]).max() > 0.1 * scale
    np.testing.assert_allclose(found / scale, pooled / scale, atol=2e-3)
    np.testing.assert_allclose(probabilities, of_classes, atol=1e-5)


def test_small_gray_images_reach_the_network_enlarged_and_scaled(inception, artifact):
    stored, of_data = features.load(artifact[0], "train")

    assert of_data == features.data_id(SMALL)
    assert_same(stored.features, stored.probabilities, by_hand(inception, SMALL))
    assert len(features.load(artifact[0], "eval")[0]) == 1


def test_large_images_reach_the_network_shrunk_without_aliasing(inception, large):
    found = large.model(LARGE, training=False)

    expected = by_hand(inception, LARGE)
    assert_same(np.asarray(found["features"]), np.asarray(found["probabilities"]), expected)


def test_the_artifact_says_whose_weights_they_are(artifact):
    _, known = artifact

    assert known["name"] == "Inception v3, weights of random.weights.h5"
    assert (known["feature_dim"], known["num_classes"]) == (2048, 1000)
    assert (known["weights"], known["classes_are_labels"]) == ("random.weights.h5", False)


def test_the_architecture_has_the_preprocessing_and_no_counted_names(large, config):
    again = inception_v3.build({"train": Split(LARGE, None)}, config, "noise")

    assert again.architecture == large.architecture
    assert '"antialias": true' in large.architecture
    assert "bilinear" in large.architecture


@pytest.fixture
def untrained(monkeypatch):
    """One network for all attempts to load weights, because building it takes seconds."""
    made = keras.applications.InceptionV3(weights=None)
    monkeypatch.setattr(keras.applications, "InceptionV3", lambda weights: made)


def test_files_that_are_not_its_weights_are_refused(untrained, tmp_path):
    broken, other = (str(tmp_path / f"{name}.weights.h5") for name in ("broken", "other"))
    splits = {"train": Split(np.zeros((1, 8, 8, 3), np.uint8), None)}

    def build(path):
        config = FeatureExtractorConfig(kind="inception_v3", weights=path)
        return inception_v3.build(splits, config, "data")

    with pytest.raises(FileNotFoundError, match=r"feature_extractor\.weights: .*no such file"):
        build(broken)
    (tmp_path / "broken.weights.h5").write_bytes(b"no HDF5")
    keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]).save_weights(other)
    for path in (broken, other):
        message = rf"feature_extractor\.weights: {path}: .*Keras's InceptionV3"
        with pytest.raises(ValueError, match=message) as caught:
            build(path)
        assert "\n" not in str(caught.value)


def test_without_a_network_the_error_names_the_option(tmp_path):
    nowhere = {"https_proxy": "http://127.0.0.1:9", "HTTPS_PROXY": "http://127.0.0.1:9"}
    said = subprocess.run(
        [sys.executable, "-c", DOWNLOAD],
        env={**os.environ, **nowhere, "KERAS_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()

    assert said[-1].startswith("feature_extractor.weights: imagenet cannot be downloaded")
    assert said[-1].endswith("the path of a weights file")
