"""The base of every section of the recipe."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict

from components.registry import Registry


class Config(BaseModel):
    """A frozen section: unknown keys and wrong types are errors, defaults are checked too."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=False, validate_default=True)


def name_in(registry: Registry) -> object:
    """A str field type whose value must be a name of `registry`."""

    def check(name: str) -> str:
        registry.get(name)
        return name

    return Annotated[str, AfterValidator(check)]
