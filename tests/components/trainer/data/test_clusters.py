import numpy as np
import pytest

from components.trainer.data import clusters


def blobs(count, each=30, dimensions=8, seed=0):
    """Far apart, in order."""
    rng = np.random.default_rng(seed)
    centres = 20 * rng.normal(size=(count, dimensions))
    return (centres[:, np.newaxis] + rng.normal(size=(count, each, dimensions))).reshape(
        -1, dimensions
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("dimensions", [8, 200])
def test_blobs_are_found(dtype, dimensions):
    # Each centre is drawn far from those before it, so that no two start in one blob.
    labels = clusters.find(blobs(4, dimensions=dimensions).astype(dtype), 4, seed=1)

    found = labels.reshape(4, 30)
    assert (found == found[:, :1]).all()
    assert sorted(found[:, 0]) == [0, 1, 2, 3]
    assert labels.dtype == np.int32


@pytest.mark.parametrize(("examples", "expected"), [(50, 2), (250, 2), (1000, 10), (20_000, 100)])
def test_the_usual_number_follows_from_the_data(examples, expected):
    labels = clusters.find(np.random.default_rng(0).normal(size=(examples, 3)))

    assert labels.max() + 1 == expected
    assert (np.bincount(labels) > 0).all()


def test_equal_seeds_give_equal_clusters():
    features = np.random.default_rng(0).normal(size=(500, 5))

    np.testing.assert_array_equal(*(clusters.find(features, 7, seed=3) for _ in range(2)))


@pytest.mark.parametrize("count", [None, 5])
def test_refuses_data_that_are_all_alike(count):
    with pytest.raises(ValueError, match="1 different features, expected as many as the"):
        clusters.find(np.ones((300, 4)), count)
