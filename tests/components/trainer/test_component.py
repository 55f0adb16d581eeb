import json

import pytest
from tfx.types import Channel, standard_artifacts

from components.data.spec import DataSpec
from components.trainer.component import GANTrainer, trainer_version
from components.trainer.config import TrainerConfig


def test_contract():
    config = TrainerConfig(images=1000)
    trainer = GANTrainer(
        examples=Channel(type=standard_artifacts.Examples),
        anomalies=Channel(type=standard_artifacts.ExampleAnomalies),
        config=config.model_dump_json(),
        data=DataSpec(image_shape=(28, 28, 1)).model_dump_json(),
        checkpoint_dir="/somewhere",
        code_version=trainer_version(config),
    )

    assert trainer.id == "GANTrainer"
    assert {key: channel.type_name for key, channel in trainer.outputs.items()} == {
        "model": "Model",
        "model_run": "ModelRun",
    }
    properties = trainer.exec_properties
    assert TrainerConfig.model_validate_json(properties["config"]) == config
    assert json.loads(properties["data"])["image_shape"] == [28, 28, 1]
    assert properties["checkpoint_dir"] == "/somewhere"
    assert not properties.get("mirror")
    assert len(properties["code_version"]) == 16


def test_an_edit_to_a_network_of_ones_own_is_another_version(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    module = tmp_path / "their_networks.py"

    def version():
        section = {"images": 1000, "networks": {"generator": "their_networks:make"}}
        return trainer_version(TrainerConfig(**section))

    with pytest.raises(ValueError, match="no module 'their_networks' can be imported"):
        version()
    module.write_text("def make(): ...\n")
    before = version()
    assert version() == before
    module.write_text("def make(): return None\n")
    assert version() != before
