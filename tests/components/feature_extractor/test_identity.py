import numpy as np
import tensorflow as tf
from sklearn.datasets import load_wine
from sklearn.preprocessing import StandardScaler

from components.data.columns import Column
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


DAY = 86400e6
COLUMNS = (
    Column(name="when", type="datetime", missing=True),
    Column(name="kind", type="categorical", missing=True),
    Column(name="count", type="integer"),
    Column(name="sure", type="boolean"),
)
CATEGORIES = {"kind": ("a", "b", "c"), "sure": ("no", "yes")}
# Around a moment that 32 bits cannot tell from the next hours.
WHEN = 20_000 * DAY
ROWS = np.array(
    [
        [WHEN - 1e6, 0, 1, 0],
        [WHEN + 1e6, 1, 3, 1],
        [np.nan, 2, 1, 1],
        [WHEN + 1e6, np.nan, 3, 0],
        [WHEN - 1e6, 0, 2, 0],
    ]
)


def _features(built, rows):
    # `predict` would make float32 of the rows.
    return built.model(tf.constant(rows))["features"].numpy()


def _table(rows, columns=COLUMNS, categories=CATEGORIES):
    splits = {"train": Split(ROWS, None, {}, categories)}
    built = identity.build(splits, FeatureExtractorConfig(kind="identity"), "kinds", columns)
    return _features(built, rows), built


def test_columns_of_a_table_are_in_one_unit():
    found, built = _table(ROWS)

    half = np.sqrt(0.5)
    spread = np.sqrt(0.8)
    expected = [
        # when, count; a, b, c, no, yes; missing: when, kind
        [-1, -1 / spread, half, 0, 0, half, 0, 0, 0],
        [1, 1 / spread, 0, half, 0, 0, half, 0, 0],
        [0, -1 / spread, 0, 0, half, 0, half, 1, 0],
        [1, 1 / spread, 0, 0, 0, half, 0, 0, half],
        [-1, 0, half, 0, 0, half, 0, 0, 0],
    ]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert found.dtype == np.float32
    assert built.known == {"categories": {"kind": ["a", "b", "c"], "sure": ["no", "yes"]}}


def test_a_mismatch_counts_as_a_standard_deviation_does():
    rows = np.array([[WHEN, 0, 2, 0], [WHEN, 1, 2, 0], [WHEN, np.nan, 2, 0], [WHEN + 1e6, 0, 2, 0]])

    found, _ = _table(rows)

    np.testing.assert_allclose(np.linalg.norm(found[1:] - found[0], axis=1), 1, rtol=1e-5)


def test_a_category_that_the_train_split_lacks_is_like_none_of_it():
    found, _ = _table(np.array([[WHEN, 3, 2, 2], [np.nan, 4, np.nan, np.nan]]))

    np.testing.assert_allclose(found, [[0] * 9, [0] * 7 + [1, 0]], atol=1e-6)


def test_other_categories_have_another_id():
    others = [{**CATEGORIES, "sure": names} for names in (("no", "yes"), ("no", "si"))]
    first, again, other = (
        making.identity_of(_table(ROWS, categories=each)[1], (4,)) for each in (CATEGORIES, *others)
    )

    assert first == again != other


def test_columns_that_hold_nothing_or_categories_only_have_features():
    rows = np.array([[np.nan, 0.0], [np.nan, 1.0]])
    columns = (Column(name="x", missing=True), Column(name="kind", type="categorical"))
    splits = {"train": Split(rows, None, {}, {"kind": ("a", "b")})}
    config = FeatureExtractorConfig(kind="identity")

    built = identity.build(splits, config, "kinds", columns)

    half = np.sqrt(0.5)
    found = _features(built, rows)
    np.testing.assert_allclose(found, [[0, half, 0, 1], [0, 0, half, 1]], atol=1e-6)
    only = {"train": Split(rows[:, 1:], None, {}, {"kind": ("a", "b")})}
    built = identity.build(only, config, "kinds", columns[1:])
    found = _features(built, rows[:, 1:])
    np.testing.assert_allclose(found, half * np.eye(2), atol=1e-6)
