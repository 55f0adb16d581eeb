"""`tfx-gan tune`."""

import contextlib

import click
from rich.table import Table

from pipeline.cli import command
from pipeline.cli.command import Command


@click.command(cls=Command)
@command.takes_recipe
@command.ROOT
@click.option("--trials", type=click.IntRange(min=1), help="Default: the recipe's tuner.trials.")
@click.option("--jobs", type=click.IntRange(min=1), help="Default: the recipe's tuner.jobs.")
@click.option("--out", help="Recipe to write; default: best.yaml in the root.")
def tune(
    recipe: str,
    overrides: tuple[str, ...],
    root: str,
    trials: int | None,
    jobs: int | None,
    out: str | None,
) -> None:
    """Search for better values of RECIPE's section trainer.

    The section tuner says what is searched; without one, it is what is worth searching for the
    recipe's networks. Stopped or killed, the same command goes on; with more --trials, too.
    """
    with command.importing():
        from pipeline import config, tuning

    command.add_recipe_folder(recipe)
    given = {"trials": trials, "jobs": jobs}
    settings = [f"tuner.{name}={value}" for name, value in given.items() if value is not None]
    resolved = config.load(recipe, [*overrides, *settings], needs=["tuner"])
    config.check_data(resolved)
    console = command.console()
    with tuning.shown_live(console) if console.is_terminal else contextlib.nullcontext():
        log = console.print if console.is_terminal else command.progress
        found = tuning.tune(resolved, root, log, out)
    shown = Table("finalist", "score of each seed", "mean")
    for each in found.report["finalists"]:
        values = ("failed" if value is None else f"{value:.4g}" for value in each["values"])
        name = f"trial {each['trial']}" if each["trial"] else "the recipe"
        shown.add_row(
            name, ", ".join(values), "–" if each["mean"] is None else f"{each['mean']:.4g}"
        )
    console.print(shown)
    click.echo(found.report["words"])
    for change in found.report["changes"]:
        click.echo(f"  {change}")
    click.echo(f"page    {found.page}")
    click.echo(f"recipe  {found.best}")
