import numpy as np
from sklearn.datasets import load_wine
from sklearn.preprocessing import StandardScaler

from components.data.examples import Split
from components.feature_extractor import identity, making
from components.feature_extractor.config import FeatureExtractorConfig


def test_images_are_flattened_in_the_generators_range():
    images = np.array([0, 51, 204, 255], np.uint8).reshape(1, 2, 2, 1)
    splits = {"train": Split(images, None)}

    built = identity.build(splits, FeatureExtractorConfig(kind="identity"), "dots")

    found = built.model.predict(images, verbose=0)["features"]
    np.testing.assert_allclose(found, [[-1, -0.6, 0.6, 1]], rtol=1e-6)
    assert built.name == "dots pixels"


def _vectors(rows, test):
    """Features of vectors, from a model made for the rows."""
    splits = {"train": Split(rows, None), "eval": Split(test, None)}
    built = identity.build(splits, FeatureExtractorConfig(kind="identity"), "wines")
    assert built.name == "wines standardised columns"
    return built.model.predict(test, verbose=0)["features"], built


def test_no_column_outweighs_the_others_by_its_units():
    wine = load_wine().data.astype(np.float32)
    train, test = wine[::2], wine[1::2]

    found, _ = _vectors(train, test)

    expected = StandardScaler().fit(train.astype(np.float64)).transform(test)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_a_column_of_equal_values_is_moved_to_0_and_no_more():
    # Three times 0.1 has a standard deviation of 1e-17.
    train = np.float32([[0.1, 5], [0.1, 6], [0.1, 7]])

    found, _ = _vectors(train, np.float32([[0.1, 6], [0.3, 6]]))

    np.testing.assert_allclose(found, [[0, 0], [0.2, 0]], atol=1e-7)


def test_a_small_spread_around_a_large_mean_is_kept():
    train = np.float32([[1e6], [1e6 + 1], [1e6 + 2]])

    found, _ = _vectors(train, train)

    np.testing.assert_allclose(found[:, 0], [-np.sqrt(1.5), 0, np.sqrt(1.5)], rtol=1e-6)


def test_other_units_have_another_id():
    rows = np.random.default_rng(0).normal(size=(5, 2)).astype(np.float32)
    ids = [making.identity_of(_vectors(data, rows)[1], (2,)) for data in (rows, rows, 2 * rows)]

    assert ids[0] == ids[1] != ids[2]
