import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from sklearn.datasets import load_digits

from components.trainer.networks import DISCRIMINATORS, GENERATORS
from components.trainer.training import GANTrainer


@pytest.fixture(scope="session")
def digits():
    """Real 8×8 digits, uint8 [1797, 8, 8, 1]."""
    images = load_digits().images
    return np.round(images * 255 / 16).astype(np.uint8)[..., np.newaxis]


@pytest.fixture
def make_trainer(digits):
    """Makes a small MLP trainer on the digits; options are those of GANTrainer."""

    def make(networks="mlp", dtype="float32", dataset=digits, seed=0, **options):
        shape = dataset.shape[1:]
        options = {"latent_dim": 8, "batch_size": 16, "seed": seed, **options}
        return GANTrainer(
            GENERATORS.get(networks)(options["latent_dim"], shape, seed=seed, dtype=dtype),
            DISCRIMINATORS.get(networks)(shape, seed=seed + 1, dtype=dtype),
            dataset,
            **options,
        )

    return make


@pytest.fixture
def run_python(tmp_path):
    """Starts Python on a script in a process of its own; returns the Popen."""

    def start(script, *args, isolated=False):
        path = tmp_path / "script.py"
        path.write_text(textwrap.dedent(script))
        flags = ["-I"] if isolated else []
        return subprocess.Popen(
            [sys.executable, *flags, str(path), *map(str, args)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        )

    return start
