import json

from tfx.types import Channel, standard_artifacts

from components.trainer.component import GANTrainer
from components.trainer.config import TrainerConfig


def test_contract():
    trainer = GANTrainer(
        examples=Channel(type=standard_artifacts.Examples),
        anomalies=Channel(type=standard_artifacts.ExampleAnomalies),
        config=TrainerConfig(images=1000),
        image_shape=(28, 28, 1),
        checkpoint_dir="/somewhere",
    )

    assert {key: channel.type_name for key, channel in trainer.outputs.items()} == {
        "model": "Model",
        "model_run": "ModelRun",
    }
    properties = trainer.exec_properties
    assert TrainerConfig.model_validate_json(properties["config"]) == TrainerConfig(images=1000)
    assert json.loads(properties["image_shape"]) == [28, 28, 1]
    assert properties["checkpoint_dir"] == "/somewhere"
    assert len(properties["code_version"]) == 16
