import pytest

from components.tuner import space
from components.tuner.space import Choice, Range

RATE = {"low": 1e-5, "high": 1e-2, "log": True}
SPACE = {
    "generator_optimizer": {"learning_rate": RATE},
    "batch_size": {"choices": [32, 64]},
    "penalties": {"choices": [[], [{"name": "r1", "weight": {"low": 0.1, "high": 10.0}}]]},
    "loss": "hinge",
}


def test_holes_are_named_by_their_keys_those_of_a_choice_by_its_index():
    found = dict(space.holes(SPACE))

    assert {name: type(each) for name, each in found.items()} == {
        "generator_optimizer.learning_rate": Range,
        "batch_size": Choice,
        "penalties": Choice,
        "penalties.1.0.weight": Range,
    }
    assert found["batch_size"].labels == ("32", "64")
    assert found["penalties"].labels == ("[]", "[{name: r1, weight: …}]")


@pytest.mark.parametrize(
    ("penalties", "asked", "expected"),
    [
        (0, ["penalties"], []),
        (1, ["penalties", "penalties.1.0.weight"], [{"name": "r1", "weight": 10.0}]),
    ],
)
def test_holes_of_a_choice_are_asked_for_only_if_it_is_taken(penalties, asked, expected):
    names = []

    def ask(name, hole):
        names.append(name)
        return penalties if isinstance(hole, Choice) else hole.high

    filled = space.fill({"penalties": SPACE["penalties"]}, ask)

    assert names == asked
    assert filled == {"penalties": expected}


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        (
            {"generator_optimizer": {"learning_rate": 1e-3, "name": "adam"}, "loss": "hinge"},
            {"generator_optimizer.learning_rate": 1e-3, "batch_size": 1, "penalties": 0},
        ),
        ({"generator_optimizer": {"learning_rate": 1e-1}, "loss": "hinge"}, None),
        ({"generator_optimizer": {"learning_rate": {"start": 1, "end": 2}}, "loss": "hinge"}, None),
        ({"generator_optimizer": {"learning_rate": 1e-3}, "loss": "minimax"}, None),
    ],
)
def test_a_section_is_found_in_the_space(section, expected):
    assert space.match(SPACE, {"batch_size": 64, "penalties": [], **section}) == expected


def test_a_filled_space_is_found_in_it():
    values = {
        "generator_optimizer.learning_rate": 2e-4,
        "batch_size": 0,
        "penalties": 1,
        "penalties.1.0.weight": 0.5,
    }

    assert space.match(SPACE, space.fill(SPACE, lambda name, hole: values[name])) == values


def test_variants_have_each_extreme_of_each_hole_and_each_choice():
    found = list(space.variants(SPACE))

    rates = {each["generator_optimizer"]["learning_rate"] for each in found}
    assert {1e-5, 1e-2} < rates
    assert {each["batch_size"] for each in found} == {32, 64}
    weights = {each["penalties"][0]["weight"] for each in found if each["penalties"]}
    assert weights == {0.1, 5.05, 10.0}
    # Not all combinations.
    assert len(found) == 1 + 2 + 1 + 3


@pytest.mark.parametrize(
    ("tree", "error"),
    [
        ({"loss": "hinge"}, "nothing to search: no key has a range"),
        ({}, "nothing to search"),
        ({"batch_size": {"choices": [32]}}, "batch_size: choices: 1, expected 2 or more"),
        ({"a": {"b": {"low": 2, "high": 2}}}, r"a\.b: low: 2 is not below high: 2"),
        ({"a": {"low": 0, "high": 2, "log": True}}, "a: low: 0 has no logarithm"),
        ({"a": {"low": 1, "high": 2, "log": True, "step": 1}}, "step: does not go with log"),
        ({"a": {"low": 1}}, "a: high: missing"),
        ({"a": {"low": 1, "high": 2, "lag": True}}, "lag: unknown key; did you mean 'log'"),
        ({"a": {"choices": [0, {"low": 3, "high": 1}]}}, r"a\.1: low: 3 is not below high: 1"),
        ({"images": {"low": 1, "high": 2}}, "images: decides how a trial is measured"),
        ({"quality": {"samples": {"low": 50, "high": 99}}}, "quality: decides how a trial is"),
    ],
)
def test_refuses_spaces_that_cannot_be_searched(tree, error):
    with pytest.raises(ValueError, match=error):
        space.check(tree)
