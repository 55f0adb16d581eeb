import numpy as np
import pytest
from sklearn.datasets import load_digits

from components import examples

EVAL_COUNT = 300


@pytest.fixture(scope="session")
def digits():
    """Real 8×8 digits in random order, as splits by name."""
    data = load_digits()
    order = np.random.default_rng(0).permutation(len(data.target))
    images = np.round(data.images[order] * 255 / 16).astype(np.uint8)[..., np.newaxis]
    labels = data.target[order]
    return {
        "train": examples.Images(images[EVAL_COUNT:], labels[EVAL_COUNT:]),
        "eval": examples.Images(images[:EVAL_COUNT], labels[:EVAL_COUNT]),
    }
