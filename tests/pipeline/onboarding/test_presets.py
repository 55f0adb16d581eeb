"""Presets of the trainer: which is chosen, and that what each writes can be trained."""

import dataclasses

import pytest
import yaml

from components.common.config import validate
from components.trainer.config import TrainerConfig
from pipeline.onboarding import presets, recipe
from pipeline.onboarding.presets import PRESETS, Facts

GRAY = Facts(
    shape=(28, 28, 1),
    columns=0,
    examples=60_000,
    train=54_000,
    classes=(5_400,) * 10,
    gpu=False,
    photographic=True,
)
PHOTOGRAPHS = dataclasses.replace(GRAY, shape=(64, 64, 3), classes=(), gpu=True)
TABLE = dataclasses.replace(GRAY, shape=(), columns=20, classes=())


def trainer(facts, name=None):
    section = yaml.safe_load(presets.section(facts, name))["trainer"]
    found = validate(TrainerConfig, section)
    if facts.shape:
        found.check_shape(facts.shape)
    return found


@pytest.mark.parametrize(
    ("facts", "network"),
    [
        (GRAY, "dcgan"),
        (dataclasses.replace(GRAY, gpu=True), "r3gan"),
        (PHOTOGRAPHS, "r3gan"),
        (dataclasses.replace(PHOTOGRAPHS, examples=5_000), "projected"),
        (dataclasses.replace(PHOTOGRAPHS, examples=5_000, photographic=False), "r3gan"),
        (dataclasses.replace(PHOTOGRAPHS, examples=5_000, gpu=False), "dcgan"),
        (dataclasses.replace(PHOTOGRAPHS, shape=(30, 30, 3)), "mlp"),
        (TABLE, "mlp"),
    ],
)
def test_the_preset_suits_data_and_machine(facts, network):
    assert trainer(facts).networks.discriminator == network


@pytest.mark.parametrize("name", PRESETS.names())
@pytest.mark.parametrize(
    "facts",
    [
        GRAY,
        PHOTOGRAPHS,
        TABLE,
        dataclasses.replace(GRAY, shape=(8, 8, 1), examples=100, train=9, classes=(9,)),
        dataclasses.replace(GRAY, shape=(36, 48, 3)),
        dataclasses.replace(PHOTOGRAPHS, shape=(256, 128, 3)),
        dataclasses.replace(PHOTOGRAPHS, shape=(30, 30, 3), examples=100),
    ],
)
def test_what_a_preset_writes_is_accepted_or_it_says_which_would_be(name, facts):
    if PRESETS.get(name).takes(facts):
        assert trainer(facts, name).batch_size <= max(2, facts.train // 2)
    else:
        with pytest.raises(ValueError, match=f"--preset {name}: is for .*; for these data: "):
            presets.section(facts, name)


def test_an_unknown_preset_is_named():
    with pytest.raises(ValueError, match="unknown preset 'r3gam': did you mean 'r3gan'"):
        presets.section(GRAY, "r3gam")


@pytest.mark.parametrize(
    ("classes", "conditional"),
    [((), False), ((60_000,), False), ((500, 100), True), ((60_000, 99), False)],
)
@pytest.mark.parametrize("name", ["dcgan", "r3gan"])
def test_classes_are_learnt_where_each_has_enough_images(name, classes, conditional):
    found = trainer(dataclasses.replace(GRAY, classes=classes), name)
    by_label = found.conditioning is not None and found.conditioning.by == "label"
    assert by_label == conditional


@pytest.mark.parametrize(
    ("classes", "train", "by"),
    [
        ((500, 100), 600, "label"),
        ((), 500, "clusters"),
        ((), 499, None),
        # One class is none, and of small ones no classifier's features are to be had.
        ((600,), 600, "clusters"),
        ((581, 19), 600, "clusters"),
        ((501, 99), 600, None),
    ],
)
def test_clusters_take_the_place_of_classes(classes, train, by):
    facts = dataclasses.replace(GRAY, classes=classes, train=train)
    conditioning = trainer(facts, "dcgan").conditioning

    assert (conditioning and conditioning.by) == by
    assert by != "clusters" or recipe.extractor(facts, presets.section(facts)) != "classifier"


@pytest.mark.parametrize(("examples", "few"), [(9_999, True), (10_000, False)])
def test_few_images_are_not_learnt_by_heart(examples, few):
    found = trainer(dataclasses.replace(GRAY, examples=examples))
    assert bool(found.penalties) == few


@pytest.mark.parametrize(
    ("side", "widths", "weight", "probability"),
    [
        # train.py of brownvc/R3GAN: CIFAR10, FFHQ-64, FFHQ-256.
        (32, (768, 768, 768, 768), (0.05, 0.005), 0.55),
        (64, (768, 768, 768, 768, 384), (2.0, 0.2), 0.3),
        (256, (768, 768, 768, 768, 384, 192, 96), (150.0, 15.0), 0.3),
    ],
)
def test_r3gan_has_its_authors_numbers(side, widths, weight, probability):
    found = trainer(dataclasses.replace(PHOTOGRAPHS, shape=(side, side, 3)))
    assert found.networks.width_per_stage == widths
    for penalty in found.penalties:
        assert (penalty.weight.start, penalty.weight.end) == pytest.approx(weight)
    assert found.augmentation.probability.end == probability
    for optimizer in (found.generator_optimizer, found.discriminator_optimizer):
        assert (optimizer.learning_rate.start, optimizer.learning_rate.end) == (2e-4, 5e-5)
        assert (optimizer.beta_1, optimizer.beta_2.start, optimizer.beta_2.end) == (0, 0.9, 0.99)


@pytest.mark.parametrize(
    ("facts", "name", "kind"),
    [
        (GRAY, None, "classifier"),
        (dataclasses.replace(GRAY, classes=()), None, "self_supervised"),
        (dataclasses.replace(PHOTOGRAPHS, gpu=False), None, "self_supervised"),
        (dataclasses.replace(PHOTOGRAPHS, gpu=False, examples=5_000), None, "efficientnet_lite0"),
        (PHOTOGRAPHS, None, "efficientnet_lite0"),
        (dataclasses.replace(PHOTOGRAPHS, photographic=False), None, "self_supervised"),
        # Never the features that a generator was trained against.
        (PHOTOGRAPHS, "projected", "self_supervised"),
    ],
)
def test_the_extractor_can_judge_what_is_trained(facts, name, kind):
    assert recipe.extractor(facts, presets.section(facts, name)) == kind
