"""The keys of a recipe, from its pydantic models: `tfx-gan list --keys`."""

import dataclasses
import difflib
import json
import types
import typing
from collections.abc import Iterator
from typing import Any

from components.common.config import Config, section_in
from pipeline.config import Recipe

REQUIRED = "required"

# Stands for any name or index: `resources.*.cpu`, `trainer.penalties.*.name`.
_ANY = "*"
_WORDS = {Any: "any", type(None): "null", str: "string", float: "number"}


@dataclasses.dataclass(frozen=True)
class Key:
    """One key: its dotted name, and its type, default and description as text."""

    name: str
    type: str
    default: str
    description: str


def find(prefix: str = "") -> list[Key]:
    """The keys at or below `prefix`, by default all of them, in the order of the recipe.

    Raises:
      ValueError: for an unknown prefix, naming the nearest key.

    >>> [key.name for key in find("trainer.watch.roll")]
    Traceback (most recent call last):
    ValueError: trainer.watch.roll: unknown key; did you mean 'trainer.watch.rollback'?
    >>> [key.default for key in find("resources.GANTrainer.gpu")]
    ['0']
    """
    known = {key.name: key for key in _walk(Recipe)}
    wanted = prefix.split(".") if prefix else []
    found = [key for name, key in known.items() if _starts_with(name.split("."), wanted)]
    if not found:
        sections = {".".join(name.split(".")[:depth]) for name in known for depth in range(1, 5)}
        (near,) = difflib.get_close_matches(prefix, {*known, *sections}, n=1, cutoff=0)
        raise ValueError(f"{prefix}: unknown key; did you mean {near!r}?")
    return found


def _starts_with(parts: list[str], wanted: list[str]) -> bool:
    return len(wanted) <= len(parts) and all(
        part in (want, _ANY) for part, want in zip(parts, wanted, strict=False)
    )


def _walk(section: type[Config], prefix: str = "") -> Iterator[Key]:
    for field_name, field in section.model_fields.items():
        name = f"{prefix}{field.alias or field_name}"
        inner = section_in(field.annotation)
        if inner is not field.annotation:
            default = REQUIRED if field.is_required() else json.dumps(field.get_default())
            description = field.description or (inner.__doc__ or "").partition(".")[0]
            yield Key(name, _words(field.annotation), default, description)
        if inner is not Config:
            many = typing.get_origin(field.annotation) in (dict, tuple)
            yield from _walk(inner, f"{name}.{_ANY}." if many else f"{name}.")


def _words(annotation: Any) -> str:  # noqa: ANN401
    """A type in words for authors of recipes: `number or null`, `list of string`."""
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _words(inner[0])
    if origin is typing.Literal:
        return " or ".join(map(str, inner))
    if origin in (typing.Union, types.UnionType):
        return " or ".join(dict.fromkeys(map(_words, inner)))
    if origin is tuple:
        if inner[1:] == (...,):
            return f"list of {_words(inner[0])}"
        return f"[{', '.join(map(_words, inner))}]"
    if origin is dict:
        return f"map to {_words(inner[1])}"
    if isinstance(annotation, type) and issubclass(annotation, Config):
        return "section"
    return _WORDS.get(annotation, getattr(annotation, "__name__", str(annotation)))
