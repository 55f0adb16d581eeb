"""What the commands share: one-line errors, options, output."""

import contextlib
import gc
import os
import re
import sys
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import click
from rich.console import Console

F = TypeVar("F", bound=Callable)

REFUSED_EXIT_CODE = 3

_INTERRUPTED_EXIT_CODE = 130
_PIPE_WIDTH = 200

ROOT = click.option(
    "--root", default="runs", show_default=True, help="Folder for everything that runs write."
)


class Command(click.Command):
    """A command with --debug; without it, a failure is one line on standard error, exit code 1.

    Args:
      tensorflow: whether the command uses TensorFlow, which takes seconds to import.
    """

    def __init__(self, *args: Any, tensorflow: bool = True, **kwargs: Any) -> None:  # noqa: ANN401
        super().__init__(*args, **kwargs)
        self._tensorflow = tensorflow
        self.params.append(
            click.Option(["--debug"], is_flag=True, help="Show the traceback on failure.")
        )

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401
        debug = ctx.params.pop("debug")
        try:
            if self._tensorflow and not debug:
                _load_tensorflow()
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("tfx-gan: interrupted; the next run resumes from here", err=True)
            sys.exit(_INTERRUPTED_EXIT_CODE)
        except click.ClickException:
            raise
        except Exception as error:  # noqa: BLE001
            if debug:
                raise
            click.echo(f"tfx-gan: {reason(error)}", err=True)
            sys.exit(1)


def takes_recipe(function: F) -> F:
    """The argument RECIPE and the option --set."""
    overrides = click.option(
        "--set",
        "overrides",
        multiple=True,
        metavar="KEY=VALUE",
        help="Override a key of the recipe, e.g. trainer.batch_size=64; repeatable.",
    )
    return click.argument("recipe", type=click.Path(dir_okay=False))(overrides(function))


def reason(error: Exception) -> str:
    """An error in one line, without the name of the step that Beam appends."""
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}"
    text = re.sub(r"\s*\[while running .*", "", str(error), flags=re.DOTALL)
    line = " ".join(text.split())
    known = isinstance(error, ValueError | OSError | FloatingPointError) and line
    return line if known else f"{type(error).__name__}: {line}"


def progress(line: str) -> None:
    """Prints a line on standard error."""
    click.echo(line, err=True)


def console() -> Console:
    """A console as wide as the terminal, or 200 characters in a file or a pipe."""
    return Console() if sys.stdout.isatty() else Console(width=_PIPE_WIDTH)


def add_recipe_folder(recipe: str) -> None:
    """Adds the recipe's folder to the import path, for plugins named `module:function`."""
    sys.path.append(os.path.dirname(os.path.abspath(recipe)))


@contextlib.contextmanager
def importing() -> Iterator[None]:
    """For imports of much, such as TensorFlow or TFX: no garbage is looked for in what stays.

    Python would look through all that is there again and again while it grows, for a fifth of the
    time of `run`. What was imported is left out of later collections too.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _load_tensorflow() -> None:
    """Imports TensorFlow without its start-up messages, which 2.21 writes at every log level."""
    standard_error = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        with importing():
            import tensorflow  # noqa: F401
    finally:
        os.dup2(standard_error, 2)
        os.close(standard_error)
