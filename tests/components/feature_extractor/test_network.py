"""The check of a network's skill, without training one."""

import logging
import math

import pytest

from components.feature_extractor import network
from components.feature_extractor.config import FeatureExtractorConfig

REMEDIES = ("more images", "more training images")


def check(accuracy, chance, eval_count, train_accuracy=0.0, loss=1.0, **section):
    return network.checked_skill(
        accuracy,
        loss,
        chance,
        (1000, eval_count),
        FeatureExtractorConfig(**section),
        lambda: train_accuracy,
        REMEDIES,
    )


@pytest.mark.parametrize(
    ("accuracy", "classes", "enough"),
    [
        (0.6, 2, False),
        (0.75, 2, True),
        (0.25, 10, False),
        # A third of the images is far from a skill of a half, and far from guessing.
        (0.35, 10, True),
        (0.05, 100, False),
        (0.15, 100, True),
    ],
)
def test_the_default_asks_for_less_of_more_classes(accuracy, classes, enough):
    if enough:
        found = check(accuracy, 1 / classes, 1000)
        assert found.skill == pytest.approx((accuracy - 1 / classes) / (1 - 1 / classes))
    else:
        with pytest.raises(ValueError, match="min_skill"):
            check(accuracy, 1 / classes, 1000)


@pytest.mark.parametrize("accuracy", [0.1, 0.2, 0.3])
def test_few_eval_images_cannot_refuse_a_network(accuracy, caplog):
    with caplog.at_level(logging.WARNING):
        check(accuracy, 0.1, 10)

    (record,) = caplog.records
    assert "the 10 eval images are too few to be sure" in record.message
    if accuracy < 0.3:
        with pytest.raises(ValueError, match="min_skill is 0.24"):
            check(accuracy, 0.1, 1000)


def test_none_right_of_ten_is_sure_enough_if_most_should_be():
    with pytest.raises(ValueError, match="min_skill is 0.80"):
        check(0.0, 0.5, 10, min_skill=0.8)


@pytest.mark.parametrize(
    ("train_accuracy", "remedy"), [(0.99, "more images"), (0.2, "more training images")]
)
def test_the_remedy_depends_on_the_accuracy_on_the_train_split(train_accuracy, remedy):
    message = rf"accuracy on the train split is {train_accuracy}.*: {remedy}$"
    with pytest.raises(ValueError, match=message):
        check(0.2, 0.1, 1000, train_accuracy)


def test_an_explicit_minimum_replaces_the_default():
    assert check(0.2, 0.1, 1000, min_skill=0.1).skill == pytest.approx(1 / 9)
    with pytest.raises(ValueError, match="min_skill is 0.90"):
        check(0.8, 0.1, 1000, min_skill=0.9)


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_network_that_diverged_is_refused_whatever_its_accuracy(loss):
    with pytest.raises(
        ValueError, match=f"loss on the eval split is {loss}; lower .*learning_rate"
    ):
        check(1.0, 0.5, 10, loss=loss, min_skill=0)
