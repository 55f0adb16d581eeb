import json

import pytest
from tfx.types import Channel, standard_artifacts

from components.data.spec import DataSpec
from components.trainer.component import GANTrainer
from components.trainer.config import TrainerConfig


def test_contract():
    trainer = GANTrainer(
        examples=Channel(type=standard_artifacts.Examples),
        anomalies=Channel(type=standard_artifacts.ExampleAnomalies),
        config=TrainerConfig(images=1000),
        data=DataSpec(image_shape=(28, 28, 1)),
        checkpoint_dir="/somewhere",
    )

    assert {key: channel.type_name for key, channel in trainer.outputs.items()} == {
        "model": "Model",
        "model_run": "ModelRun",
    }
    properties = trainer.exec_properties
    assert TrainerConfig.model_validate_json(properties["config"]) == TrainerConfig(images=1000)
    assert json.loads(properties["data"])["image_shape"] == [28, 28, 1]
    assert properties["checkpoint_dir"] == "/somewhere"
    assert len(properties["code_version"]) == 16


def test_an_edit_to_a_network_of_ones_own_is_another_version(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    module = tmp_path / "their_networks.py"

    def version():
        trainer = GANTrainer(
            examples=Channel(type=standard_artifacts.Examples),
            anomalies=Channel(type=standard_artifacts.ExampleAnomalies),
            config=TrainerConfig(images=1000, networks={"generator": "their_networks:make"}),
            data=DataSpec(image_shape=(28, 28, 1)),
            checkpoint_dir="/somewhere",
        )
        return trainer.exec_properties["code_version"]

    with pytest.raises(ValueError, match="no module 'their_networks' can be imported"):
        version()
    module.write_text("def make(): ...\n")
    before = version()
    assert version() == before
    module.write_text("def make(): return None\n")
    assert version() != before
