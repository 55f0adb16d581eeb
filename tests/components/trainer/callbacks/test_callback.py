"""A user's own callbacks: from Python and from a recipe, their order, and their errors."""

import pytest

from components.common.config import validate
from components.trainer import GANTrainer
from components.trainer.callbacks.callback import Callback
from components.trainer.config import TrainerConfig

OPTIONS = {
    "images": 64,
    "batch_size": 16,
    "latent_dim": 4,
    "networks": {"generator": "mlp", "discriminator": "mlp"},
    "quality": {"every_images": None},
}


class Recorder(Callback):
    def __init__(self, name, heard):
        self.name, self.heard = name, heard

    def start(self, trainer):
        self.heard.append((self.name, "start", trainer.images_seen))

    def step_end(self, trainer, step):
        self.heard.append((self.name, step.step, step.line is not None))

    def warn(self, trainer, text):
        self.heard.append((self.name, text))

    def stop(self, trainer):
        self.heard.append((self.name, "stop", trainer.images_seen))


def test_callbacks_come_in_their_order_and_after_the_log(make_trainer):
    heard = []
    own = [Recorder("a", heard), Recorder("b", heard)]
    trainer = make_trainer(callbacks=own, log_every_images=32)
    trainer.train(32)
    trainer.warn("careful")

    calls = [("start", 0), (1, False), (2, True), ("stop", 32), ("careful",)]
    assert heard == [(name, *call) for call in calls for name in "ab"]


class Stop(Callback):
    def step_end(self, trainer, step):
        trainer.stop_training = step.step == 2


class Fail(Callback):
    def step_end(self, trainer, step):
        raise KeyError("mine")


def test_a_callback_may_stop_a_training(make_trainer):
    trainer = make_trainer(callbacks=[Stop()])
    trainer.train(160)
    assert trainer.images_seen == 32

    # The next call continues until it is stopped again or reaches its number of images.
    trainer.train(64)
    assert trainer.images_seen == 64


def test_an_error_in_one_ends_the_training_and_the_others_are_stopped(make_trainer):
    heard = []
    with pytest.raises(KeyError, match="mine"):
        make_trainer(callbacks=[Fail(), Recorder("a", heard)]).train(160)

    assert heard == [("a", "start", 0), ("a", "stop", 16)]


def test_a_recipe_names_a_callback(digits, tmp_path, monkeypatch):
    (tmp_path / "my_callbacks.py").write_text(
        "from components.trainer.callbacks.callback import Callback\n"
        "class Stop(Callback):\n"
        "    def step_end(self, trainer, step):\n"
        "        trainer.stop_training = True\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    checkpoints = {"checkpoint_every_images": 16}
    config = validate(TrainerConfig, {**OPTIONS, **checkpoints, "callbacks": ["my_callbacks:Stop"]})
    assert config.plugin_names == ["my_callbacks:Stop"]
    trainer = GANTrainer.from_config(config, digits)
    trainer.train(64, str(tmp_path / "run"))
    assert trainer.images_seen == 16

    # Callbacks are not part of the configuration that must match to resume.
    resumed = GANTrainer.from_config(validate(TrainerConfig, {**OPTIONS, **checkpoints}), digits)
    resumed.train(64, str(tmp_path / "run"))
    assert resumed.images_seen == 64


@pytest.mark.parametrize("name", ["stop", "my callbacks:Stop", ":Stop"])
def test_a_name_of_another_form_is_refused_by_its_key(name):
    with pytest.raises(ValueError, match=r"callbacks\.0: .*module:function"):
        validate(TrainerConfig, {**OPTIONS, "callbacks": [name]})
