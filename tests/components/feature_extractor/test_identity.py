import numpy as np

from components.examples import Split
from components.feature_extractor import identity
from components.feature_extractor.config import FeatureExtractorConfig


def test_images_are_flattened_in_the_generators_range():
    images = np.array([0, 51, 204, 255], np.uint8).reshape(1, 2, 2, 1)
    splits = {"train": Split(images, None)}

    built = identity.build(splits, FeatureExtractorConfig(kind="identity"), "dots")

    found = built.model.predict(images, verbose=0)["features"]
    np.testing.assert_allclose(found, [[-1, -0.6, 0.6, 1]], rtol=1e-6)
    assert built.name == "dots pixels"
