import pytest

from components.data.spec import DataSpec
from components.trainer.config import TrainerConfig
from components.tuner import spaces, task
from components.tuner.config import TunerConfig

IMAGES = DataSpec(image_shape=(32, 32, 3))
TABLE = DataSpec(columns=["a", "b"])
NETWORKS = {
    "dcgan": ("dcgan", "dcgan", IMAGES),
    "mlp": ("mlp", "mlp", IMAGES),
    "projected": ("dcgan", "projected", IMAGES),
    "r3gan": ("r3gan", "r3gan", IMAGES),
    "resnet": ("resnet", "resnet", IMAGES),
    "table": ("mlp", "mlp", TABLE),
}


@pytest.mark.parametrize("name", spaces.SPACES.names())
def test_the_space_of_the_networks_is_taken_in_all_its_extremes(name):
    generator, discriminator, data = NETWORKS[name]
    networks = {"generator": generator, "discriminator": discriminator}
    trainer = TrainerConfig(networks=networks, images=100_000, batch_size=32)

    assert spaces.default(trainer, table=bool(data.columns)) == name
    task.check(TunerConfig(), trainer, data)


def test_networks_of_your_own_need_a_space_of_your_own():
    networks = {"generator": "mine:generator", "discriminator": "mine:discriminator"}
    trainer = TrainerConfig(networks=networks, images=100_000)

    with pytest.raises(ValueError, match="space: there is none for networks.generator: mine:gen"):
        task.check(TunerConfig(), trainer, IMAGES)
    task.check(TunerConfig(space={"batch_size": {"choices": [32, 64]}}), trainer, IMAGES)
