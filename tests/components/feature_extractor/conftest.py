import importlib
import sys
import textwrap

import numpy as np
import pytest
from sklearn.datasets import load_digits

from components.data import examples

EVAL_COUNT = 300


@pytest.fixture(scope="session")
def digits():
    """Real 8×8 digits in random order, as splits by name."""
    data = load_digits()
    order = np.random.default_rng(0).permutation(len(data.target))
    images = np.round(data.images[order] * 255 / 16).astype(np.uint8)[..., np.newaxis]
    labels = data.target[order]
    return {
        "train": examples.Split(images[EVAL_COUNT:], labels[EVAL_COUNT:]),
        "eval": examples.Split(images[:EVAL_COUNT], labels[:EVAL_COUNT]),
    }


@pytest.fixture(scope="session")
def few(digits):
    """Forty images of each split."""
    return {
        name: examples.Split(split.data[:40], split.labels[:40]) for name, split in digits.items()
    }


@pytest.fixture(scope="session")
def gray():
    """Splits of four equal images of two classes, so training is deterministic."""
    images = np.full((4, 8, 8, 1), 128, np.uint8)
    return dict.fromkeys(("train", "eval"), examples.Split(images, np.arange(4) % 2))


@pytest.fixture
def own_module(tmp_path, monkeypatch):
    """Writes the module `their_features` and returns its file."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(source):
        # A new module name per test, because Python caches imports.
        monkeypatch.delitem(sys.modules, "their_features", raising=False)
        importlib.invalidate_caches()
        path = tmp_path / "their_features.py"
        path.write_text(textwrap.dedent(source))
        return path

    return write
