import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from sklearn.datasets import load_digits, load_wine

from components.trainer import GANTrainer
from components.trainer.data.encoding import Encoding
from components.trainer.networks import DISCRIMINATORS, GENERATORS


@pytest.fixture(scope="session")
def digits():
    """Real 8×8 digits, uint8 [1797, 8, 8, 1]."""
    images = load_digits().images
    return np.round(images * 255 / 16).astype(np.uint8)[..., np.newaxis]


@pytest.fixture(scope="session")
def labels():
    """The classes of the digits, int64 [1797]."""
    return load_digits().target


@pytest.fixture(scope="session")
def wine():
    """Chemical measurements of wines, float32 [178, 13], with different units per column."""
    return load_wine().data.astype(np.float32)


@pytest.fixture(scope="session")
def encoding(wine):
    return Encoding.learn(wine, load_wine().feature_names)


@pytest.fixture
def make_trainer(digits):
    """Makes a small trainer on the digits, with MLPs by default and without measurements.

    `generator` and `discriminator` are further options of the networks, the others GANTrainer's.
    """

    def make(
        networks="mlp",
        dtype="float32",
        dataset=digits,
        seed=0,
        generator=None,
        discriminator=None,
        **options,
    ):
        shape = (dataset[0] if isinstance(dataset, tuple) else dataset).shape[1:]
        options = {"latent_dim": 8, "batch_size": 16, "quality": {"every_images": None}, **options}
        common = {"dtype": dtype}
        return GANTrainer(
            GENERATORS.get(networks)(
                options["latent_dim"], shape, seed=seed, **common, **(generator or {})
            ),
            DISCRIMINATORS.get(networks)(shape, seed=seed + 1, **common, **(discriminator or {})),
            dataset,
            seed=seed,
            **options,
        )

    return make


@pytest.fixture
def run_python(tmp_path):
    """Runs a Python script in a new process; returns the Popen."""

    def start(script, *args, isolated=False, environment=None):
        path = tmp_path / f"script-{len(list(tmp_path.glob('script-*')))}.py"
        path.write_text(textwrap.dedent(script))
        flags = ["-I"] if isolated else []
        return subprocess.Popen(
            [sys.executable, *flags, str(path), *map(str, args)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **(environment or {})},
        )

    return start
