from pathlib import Path

import pytest
import yaml

from components.common.config import flatten
from pipeline import keys

DATA = Path(__file__).parents[2] / "data"
# Sections whose keys are names: of metrics, of runtimes.
OWN_NAMES = ("evaluator.gate.not_worse_than_blessed", "converter.to")
RECIPES = [*DATA.glob("*/recipe.yaml"), *DATA.glob("*/recipes/*.yaml")]


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: f"{path.parts[-2]}-{path.stem}")
def test_every_key_of_a_shipped_recipe_is_listed(path):
    for name, value in flatten(yaml.safe_load(path.read_text())).items():
        parent = name.rpartition(".")[0]
        listed = [key.name for key in keys.find(parent if parent in OWN_NAMES else name)]
        assert listed, (name, value)


def test_every_key_is_described_once():
    known = keys.find()

    assert len({key.name for key in known}) == len(known)
    assert [key.name for key in known if not (key.type and key.default and key.description)] == []


@pytest.mark.parametrize(
    ("name", "kind", "default"),
    [
        ("name", "string", "required"),
        ("data.schema", "string or null", "null"),
        ("data.path", "string or list of string", "required"),
        ("data.image_shape", "[int, int, 1 or 3] or null", "null"),
        ("trainer.quality.every_images", "int or null", "10000"),
        ("trainer.ema_half_life_images", "number or section", "10000"),
        ("trainer.augmentation", "section or null", "null"),
        ("trainer.penalties.0.interval", "int", "1"),
        ("evaluator.gate.bounds.fid.max", "number or null", "null"),
        ("resources.GANTrainer.gpu_type", "string or null", "null"),
    ],
)
def test_types_and_defaults_are_those_of_the_recipe(name, kind, default):
    first, *_ = keys.find(name)

    assert (first.type, first.default) == (kind, default)


def test_a_prefix_selects_whole_parts_of_a_name():
    names = [key.name for key in keys.find("trainer.quality")]

    assert {"trainer.quality.every_images", "trainer.quality.patience"} <= set(names)
    assert all(name.startswith("trainer.quality.") for name in names)


@pytest.mark.parametrize(
    ("prefix", "near"),
    [
        ("trainer.qualty", "trainer.quality"),
        ("trainer.quality.every_image", "trainer.quality.every_images"),
        ("trainer.seed.more", "trainer.seed"),
    ],
)
def test_an_unknown_prefix_names_the_nearest_key(prefix, near):
    with pytest.raises(ValueError, match=f"^{prefix}: .*'{near}'"):
        keys.find(prefix)
