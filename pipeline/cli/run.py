"""`tfx-gan run` and `list`."""

import sys

import click
from rich.table import Table

from pipeline.cli import command
from pipeline.cli.command import Command


@click.command(cls=Command)
@command.takes_recipe
@command.ROOT
@click.option("--dry-run", is_flag=True, help="Check the data, print the resolved recipe and stop.")
@click.option("--no-cache", is_flag=True, help="Run every stage, even if nothing changed.")
def run(recipe: str, overrides: tuple[str, ...], root: str, dry_run: bool, no_cache: bool) -> None:
    """Run RECIPE on this machine.

    Exit codes: 0 blessed and pushed; 1 failed; 2 wrong usage; 3 the gate refused the model;
    75 stopped by SIGTERM while training: the same command resumes.
    """
    with command.importing():
        from pipeline import config, previews

    command.add_recipe_folder(recipe)
    resolved = config.load(recipe, overrides).settled()
    data = config.check_data(resolved)
    if dry_run:
        command.progress(previews.text(data))
    else:
        for each in data.left_out:
            command.progress(f"left out: {each}")
    click.echo(resolved.to_yaml())
    if dry_run:
        return
    with command.importing():
        from pipeline.runners import local

    outcome = local.run(resolved, root, command.progress, use_cache=not no_cache)
    stages = Table("stage")
    for head in ("seconds", "peak GB"):
        stages.add_column(head, justify="right")
    for name, cost in outcome.costs.items():
        words = (f"{cost.seconds:.1f}", f"{cost.peak_gb:.2f}") if cost else ("cached", "")
        stages.add_row(name, *words)
    metrics = Table("metric", "value")
    for name, value in sorted(outcome.metrics.items()):
        metrics.add_row(name, f"{value:.4g}")
    for table in (stages, metrics):
        command.console().print(table)
    click.echo("blessed" if outcome.blessed else f"refused: {outcome.reasons}")
    click.echo(f"model   {outcome.pushed or 'not pushed'}")
    click.echo(f"report  {outcome.report}")
    click.echo(f"samples {outcome.samples}")
    if outcome.page:
        click.echo(f"page    {outcome.page}")
    if not outcome.blessed:
        sys.exit(command.REFUSED_EXIT_CODE)


@click.command("list", cls=Command)
@click.option(
    "--keys",
    "prefix",
    is_flag=False,
    flag_value="",
    metavar="[PREFIX]",
    help="List the keys of a recipe instead, or those below PREFIX, e.g. trainer.quality: type, "
    "default and meaning.",
)
def list_(prefix: str | None) -> None:
    """List the names that a recipe, and `tfx-gan new --preset`, can use."""
    if prefix is not None:
        from pipeline import keys

        found = keys.find(prefix)
        widths = [max(len(key.name) for key in found), max(len(key.type) for key in found)]
        for key in found:
            name, kind = key.name.ljust(widths[0]), key.type.ljust(widths[1])
            click.echo(f"{name}   {kind}   {key.default.ljust(8)}   {key.description}")
        return

    from components.evaluator.metrics.registry import METRICS
    from components.example_gen.formats.registry import READERS
    from components.feature_extractor import EXTRACTORS
    from components.trainer.gan.augmentation import AUGMENTATIONS
    from components.trainer.gan.losses import LOSSES
    from components.trainer.gan.optimizers import OPTIMIZERS
    from components.trainer.gan.penalties import PENALTIES
    from components.trainer.gan.schedules import SHAPES
    from components.trainer.networks import DISCRIMINATORS, GENERATORS
    from pipeline.onboarding import PRESETS

    for registry in (
        READERS,
        GENERATORS,
        DISCRIMINATORS,
        LOSSES,
        PENALTIES,
        AUGMENTATIONS,
        OPTIMIZERS,
        SHAPES,
        EXTRACTORS,
        METRICS,
        PRESETS,
    ):
        click.echo(f"{registry.kind:16}{', '.join(registry.names())}")
