"""The base of every section of the recipe."""

import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

import pydantic
from pydantic import AfterValidator, BaseModel, ConfigDict

from components.common.registry import Registry, nearest


class Config(BaseModel):
    """A frozen section: unknown keys and wrong types are errors, and defaults are validated too."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=False, validate_default=True)


Section = TypeVar("Section", bound=Config)

# Names of the alternatives of a union, which pydantic puts among the keys of an error's path.
NUMBER_TAG, SECTION_TAG = "(number)", "(section)"
_UNION_TAGS = (NUMBER_TAG, SECTION_TAG)


def name_in(registry: Registry) -> AfterValidator:
    """Checks that a field is a name of `registry`: `Annotated[str, name_in(LOSSES)]`."""

    def check(name: str) -> str:
        registry.get(name)
        return name

    return AfterValidator(check)


def validate(section: type[Section], tree: Mapping[str, Any]) -> Section:
    """The section that `tree` holds.

    Raises:
      ValueError: one line that names every key that is unknown, missing or wrong.
    """
    try:
        return section.model_validate(tree)
    except pydantic.ValidationError as error:
        raise ValueError(_in_words(error, section)) from error


def flatten(tree: Any, prefix: str = "") -> dict[str, Any]:  # noqa: ANN401
    """Dotted keys to leaves; a list is a leaf unless it holds sections.

    >>> flatten({"a": {"b": 1}, "c": [{"d": 2}], "e": [3]})
    {'a.b': 1, 'c.0.d': 2, 'e': [3]}
    """
    items: Iterable[tuple[Any, Any]]
    if isinstance(tree, Mapping):
        items = tree.items()
    elif isinstance(tree, list) and any(isinstance(value, Mapping) for value in tree):
        items = enumerate(tree)
    else:
        return {prefix: tree}
    return {
        key: value
        for name, branch in items
        for key, value in flatten(branch, f"{prefix}.{name}" if prefix else str(name)).items()
    }


def _in_words(error: pydantic.ValidationError, root: type[Config]) -> str:
    """All errors of a validation, each with its dotted key."""
    words: dict[str, None] = {}
    for item in error.errors():
        path = [part for part in item["loc"] if part not in _UNION_TAGS]
        key = ".".join(str(part) for part in path)
        if item["type"] == "extra_forbidden":
            *sections, name = path
            text = f"{key}: unknown key; {nearest(str(name), _keys(root, sections))}"
        elif item["type"] == "missing":
            text = f"{key}: missing"
        elif item["type"] == "value_error":
            # Our own errors say what was found.
            text = f"{key}: {item['ctx']['error']}" if key else str(item["ctx"]["error"])
        else:
            found = "" if isinstance(item["input"], Mapping) else f", found {item['input']!r}"
            text = f"{key}: {item['msg'][:1].lower()}{item['msg'][1:]}{found}"
        words[text] = None
    return "; ".join(words)


def _keys(section: type[Config], path: Sequence[str | int]) -> list[str]:
    """The keys of the section at `path`."""
    for part in path:
        section = next(
            (
                section_in(field.annotation)
                for name, field in section.model_fields.items()
                if part in (name, field.alias)
            ),
            section,
        )
    return [field.alias or name for name, field in section.model_fields.items()]


def section_in(annotation: Any) -> type[Config]:  # noqa: ANN401
    """The section class in `Resources` or `dict[Stage, Resources]`; `Config` if there is none."""
    if isinstance(annotation, types.UnionType) or typing.get_origin(annotation):
        inner = [section_in(part) for part in typing.get_args(annotation)]
        return next((part for part in inner if part is not Config), Config)
    is_section = isinstance(annotation, type) and issubclass(annotation, Config)
    return annotation if is_section else Config
