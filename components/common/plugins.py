"""Plugins: functions outside this package that a recipe names as `module:function`."""

import importlib
import importlib.util
import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from components.common.registry import nearest

FORM = "module:function"

T = TypeVar("T")

_PATH = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")


def is_import_path(name: str) -> bool:
    """Whether a name is a `module:function` rather than the name of a registry entry.

    Nothing is imported, so the module need not exist yet.

    Raises:
      ValueError: if the name has a colon but not that form.
    """
    if ":" not in name:
        return False
    if not _PATH.fullmatch(name):
        raise ValueError(f"{name!r} is not of the form {FORM}, e.g. my_package.networks:make")
    return True


def source_file(path: str) -> Path:
    """The source file of the module in `module:function`, without importing it.

    Raises:
      ValueError: if there is no such module.
    """
    spec = _module(importlib.util.find_spec, path)
    if spec is None or not spec.origin:
        raise _missing(path)
    return Path(spec.origin)


def load(path: str) -> Callable:
    """The function that `module:function` names.

    Raises:
      ValueError: if there is no such module or function.
    """
    module = _module(importlib.import_module, path)
    name = path.partition(":")[2]
    function = getattr(module, name, None)
    if not callable(function):
        known = [other for other, value in vars(module).items()
                 if callable(value) and not other.startswith("_")]  # fmt: skip
        raise ValueError(
            f"{path}: {module.__name__} has no function {name!r}: {nearest(name, known)}"
        )
    return function


def _module(find: Callable[[str], T], path: str) -> T:
    name = path.partition(":")[0]
    try:
        return find(name)
    except ModuleNotFoundError as error:
        # The missing module may be one that the plugin imports.
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise
        raise _missing(path) from error


def _missing(path: str) -> ValueError:
    return ValueError(
        f"{path}: no module {path.partition(':')[0]!r} can be imported; put it beside the recipe, "
        "or its folder on PYTHONPATH"
    )
