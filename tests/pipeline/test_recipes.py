"""Every recipe that ships says what can be run."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from components.trainer import GANTrainer
from pipeline import config

DATA = Path(__file__).parents[2] / "data"
RECIPES = [*DATA.glob("*/recipe.yaml"), *DATA.glob("*/recipes/*.yaml")]


@pytest.fixture
def eagerly():
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def test_there_is_one_for_each_classic():
    names = {path.stem for path in RECIPES}
    expected = {"dcgan", "wgan_gp", "sngan_hinge", "lsgan", "r3gan_small"}
    assert names == expected | {"recipe"}
    loaded = [config.load(str(path)).name for path in RECIPES]
    assert len(set(loaded)) == len(loaded), "two recipes would share a pipeline"


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: f"{path.parts[-2]}-{path.stem}")
def test_it_trains_on_its_data(path, eagerly):
    recipe = config.load(str(path), ["trainer.batch_size=4", "trainer.quality.every_images=null"])
    config.check_data(recipe)
    assert set(recipe.data.dataset().patterns) in ({"train", "eval"}, {"all"})

    shape = recipe.data.spec.shape
    rng = np.random.default_rng(0)
    data = rng.integers(0, 255, (20, *shape), dtype=np.uint8)
    if recipe.data.columns:
        data = np.float32(data / 127.5 - 1)
    trainer = GANTrainer.from_config(recipe.trainer, (data, rng.integers(0, 10, 20)))
    line = trainer.train(images=4)

    assert np.isfinite(line["generator_loss"])
    assert trainer.sample(2).shape == (2, *shape)
