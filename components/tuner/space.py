"""The space of a search: a tree of the trainer's keys with holes in place of values.

    space = {"batch_size": {"choices": [32, 64]},
             "penalties": {"choices": [[], [{"name": "r1", "weight": {"low": 0.1, "high": 10.0}}]]}}

A hole is a `Range` or a `Choice`. Sections of a filled tree are merged with those of the recipe,
other values replace them. A choice may hold holes, which are asked for only if it is taken.
Each hole is a parameter of a trial, named by its dotted key; below a choice, by its index there.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import yaml
from pydantic import Field, model_validator

from components.common.config import Config, validate

Tree = Any
# Where holes are: a hole to the value, or to the index of the choice.
Ask = Callable[[str, "Range | Choice"], Any]

# They decide how a trial is measured, so its scores would not be comparable.
FIXED = ("images", "seed", "quality", "callbacks")


class Range(Config):
    """All numbers from `low` to `high`; whole numbers if both are."""

    low: int | float = Field(description="lowest value")
    high: int | float = Field(description="highest value")
    log: bool = Field(False, description="whether factors count, not differences")
    step: int | float | None = Field(
        None, gt=0, description="distance between values; default: any"
    )

    @model_validator(mode="after")
    def _holds_something(self) -> "Range":
        if not self.low < self.high:
            raise ValueError(f"low: {self.low} is not below high: {self.high}")
        if self.log and self.low <= 0:
            raise ValueError(f"low: {self.low} has no logarithm; set log: false, or a positive low")
        if self.log and self.step is not None:
            raise ValueError("step: does not go with log: true; leave out one of the two")
        return self

    @property
    def whole(self) -> bool:
        """Whether values are whole numbers."""
        return all(isinstance(each, int) for each in (self.low, self.high, self.step or 1))


class Choice(Config):
    """One of several values, which may have holes."""

    choices: tuple[Any, ...]

    @model_validator(mode="after")
    def _leaves_a_choice(self) -> "Choice":
        if len(self.choices) < 2:
            raise ValueError(f"choices: {len(self.choices)}, expected 2 or more")
        return self

    @property
    def labels(self) -> tuple[str, ...]:
        """A name for each choice, in the order of the choices, no two alike."""
        names = [_in_words(choice) for choice in self.choices]
        return tuple(
            name if names.count(name) == 1 else f"{name} ({index})"
            for index, name in enumerate(names)
        )


def hole(tree: Tree, name: str = "") -> Range | Choice | None:
    """The hole that `tree` is; None if it is a value or a section.

    Raises:
      ValueError: for a range or choices that are not possible; `name` is its dotted key.
    """
    kinds: dict[str, type[Range] | type[Choice]]
    kinds = {"choices": Choice, "low": Range, "high": Range}
    kind = next((kinds[key] for key in kinds if isinstance(tree, Mapping) and key in tree), None)
    if kind is None:
        return None
    try:
        return validate(kind, tree)  # type: ignore[arg-type]
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


def fill(tree: Tree, ask: Ask, name: str = "") -> Tree:
    """The tree with a value in each hole that `ask` is asked for.

    >>> fill({"a": {"low": 1, "high": 5}, "b": 2}, lambda name, hole: hole.high)
    {'a': 5, 'b': 2}
    """
    found = hole(tree, name)
    if isinstance(found, Range):
        return ask(name, found)
    if found:
        index = ask(name, found)
        return fill(found.choices[index], ask, f"{name}.{index}")
    if isinstance(tree, Mapping):
        return {key: fill(value, ask, _join(name, key)) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [fill(value, ask, _join(name, index)) for index, value in enumerate(tree)]
    return tree


def leaves(tree: Tree, name: str = "") -> dict[str, Any]:
    """The values of a filled tree by dotted key; a list, or an empty section, is a value.

    >>> leaves({"a": {"b": 3, "c": {}}, "d": [{"e": 1}]})
    {'a.b': 3, 'a.c': {}, 'd': [{'e': 1}]}
    """
    if not isinstance(tree, Mapping) or not tree:
        return {name: tree} if name else {}
    found = [leaves(value, _join(name, key)) for key, value in tree.items()]
    return {key: value for each in found for key, value in each.items()}


def match(tree: Tree, value: Tree, name: str = "") -> dict[str, Any] | None:
    """The parameters with which the holes of `tree` have the values of a section.

    Keys of a section that a tree leaves out count as equal.

    Returns:
      By name, a number or the index of a choice; None if there are none.

    >>> match({"a": {"choices": [1, {"b": {"low": 0, "high": 9}}]}}, {"a": {"b": 3}, "c": 4})
    {'a': 1, 'a.1.b': 3}
    """
    found = hole(tree, name)
    if isinstance(found, Range):
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return {name: value} if number and found.low <= value <= found.high else None
    if found:
        for index, choice in enumerate(found.choices):
            inner = match(choice, value, f"{name}.{index}")
            if inner is not None:
                return {name: index, **inner}
        return None
    if isinstance(tree, Mapping) and isinstance(value, Mapping):
        parts = [(tree[key], value.get(key), _join(name, key)) for key in tree]
    elif isinstance(tree, list | tuple) and isinstance(value, list | tuple):
        if len(tree) != len(value):
            return None
        parts = [(each, value[index], _join(name, index)) for index, each in enumerate(tree)]
    else:
        return {} if tree == value else None
    every = [match(*part) for part in parts]
    if any(each is None for each in every):
        return None
    return {key: number for each in every for key, number in (each or {}).items()}


def variants(tree: Tree, name: str = "") -> Iterator[Tree]:
    """Filled trees in which each hole has its lowest, its highest and a value between once.

    The others are in the middle, or at their first choice, so there are as many variants as values,
    not as combinations.
    """
    found = hole(tree, name)
    if isinstance(found, Range):
        middle = (found.low * found.high) ** 0.5 if found.log else (found.low + found.high) / 2
        yield from (int(middle) if found.whole else middle, found.low, found.high)
    elif found:
        for index, choice in enumerate(found.choices):
            yield from variants(choice, f"{name}.{index}")
    elif isinstance(tree, Mapping | list | tuple):
        items = tree.items() if isinstance(tree, Mapping) else enumerate(tree)
        parts = {key: list(variants(value, _join(name, key))) for key, value in items}
        middle = {key: values[0] for key, values in parts.items()}
        yield _like(tree, middle)
        for key, values in parts.items():
            yield from (_like(tree, {**middle, key: value}) for value in values[1:])
    else:
        yield tree


def holes(tree: Tree, name: str = "") -> Iterator[tuple[str, Range | Choice]]:
    """All holes by name, those of each choice too."""
    found = hole(tree, name)
    if found:
        yield name, found
    inner: Any = found.choices if isinstance(found, Choice) else () if found else tree
    if isinstance(inner, Mapping | list | tuple):
        items = inner.items() if isinstance(inner, Mapping) else enumerate(inner)
        for key, value in items:
            yield from holes(value, _join(name, key))


def check(tree: Tree) -> None:
    """Raises ValueError for a space without holes, with impossible ones, or with a fixed key."""
    for key in FIXED:
        if key in tree:
            raise ValueError(f"{key}: decides how a trial is measured, so it is not searched")
    if not list(holes(tree)):
        raise ValueError(
            "nothing to search: no key has a range, such as {low: 1.0e-5, high: 1.0e-2, log: true}"
            ", or choices, such as {choices: [32, 64]}"
        )


def _join(name: str, key: object) -> str:
    return f"{name}.{key}" if name else str(key)


def _like(tree: Tree, parts: Mapping[Any, Any]) -> Tree:
    return dict(parts) if isinstance(tree, Mapping) else list(parts.values())


def _in_words(choice: Tree) -> str:
    """A choice on one line, with … for a hole in it."""
    text = yaml.safe_dump(
        _shown(choice), default_flow_style=True, sort_keys=False, allow_unicode=True, width=1000
    )
    return text.removesuffix("\n").removesuffix("\n...")


def _shown(tree: Tree) -> Tree:
    if hole(tree):
        return "…"
    if isinstance(tree, Mapping):
        return {key: _shown(value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [_shown(value) for value in tree]
    return tree
