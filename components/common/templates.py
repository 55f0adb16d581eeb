"""Jinja templates, stored beside the code that renders them."""

import functools
from collections.abc import Callable
from pathlib import Path

import jinja2


@functools.cache
def load(path: Path, **filters: Callable[..., str]) -> jinja2.Template:
    """A template in which undefined variables are errors; .html.jinja files escape variables."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(path.parent),
        autoescape=jinja2.select_autoescape(["html.jinja"]),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(filters)
    return environment.get_template(path.name)
