"""`tfx-gan new`, `schema` and `validate`."""

import csv
import os
import sys
from typing import Any

import click

from pipeline.cli import command
from pipeline.cli.command import Command


def _shape(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> list[int] | None:
    del context, parameter
    try:
        return [int(size) for size in value.split(",")] if value else None
    except ValueError as error:
        raise click.BadParameter("expected height,width,channels, e.g. 64,64,3") from error


def _splits(
    context: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> dict[str, str] | None:
    del context, parameter
    pairs = [value.partition("=") for value in values]
    if not all(name and pattern for name, _, pattern in pairs):
        raise click.BadParameter("expected NAME=PATTERN, e.g. train=2024/*/*")
    splits = {name: pattern for name, _, pattern in pairs}
    if len(splits) < len(pairs):
        raise click.BadParameter("a split is given twice; | separates its patterns")
    return splits or None


def _columns(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> list[str] | None:
    del context, parameter
    if value is None:
        return None
    # A name that holds a comma is quoted, as in the table itself.
    names = [name.strip() for name in next(csv.reader([value]), [])]
    if not all(names) or not names:
        raise click.BadParameter("expected names of columns, e.g. wind,temp_max")
    return names


_COLUMNS = click.option(
    "--columns",
    metavar="NAME,…",
    callback=_columns,
    help="Columns of a table, whose types are recognised; by default all but ids, constants, free "
    "text and empty ones.",
)
_IMAGE_SHAPE = click.option(
    "--image-shape",
    metavar="H,W,C",
    callback=_shape,
    help="Shape of all images after resizing; inferred by default.",
)
_FIT = click.option("--fit", help="How to resize images: exact, crop, pad or stretch.")
_SET = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="A key of how the data are read, e.g. data.bits=12; repeatable.",
)
_ALL = click.option(
    "--all",
    "every_record",
    is_flag=True,
    help="Look at all records, and not at a sample if they are many.",
)


@click.command(cls=Command)
@click.argument("data", nargs=-1, required=True)
@click.option("--out", required=True, type=click.Path(), help="Folder to create.")
@click.option(
    "--splits",
    multiple=True,
    metavar="NAME=PATTERN",
    callback=_splits,
    help="Files of train and of eval, relative to DATA, e.g. train=2024/*/*; repeatable; inferred "
    "from names by default.",
)
@click.option(
    "--format",
    "data_format",
    default="auto",
    help="Data format; inferred from file names by default: see `tfx-gan list`.",
)
@click.option("--labels", help="CSV file with the columns file and label, in DATA.")
@click.option(
    "--preset",
    help="Preset of the training; by default the one that suits the data: see `tfx-gan list`.",
)
@_IMAGE_SHAPE
@_FIT
@_COLUMNS
@_SET
@_ALL
def new(data: tuple[str, ...], out: str, **options: Any) -> None:  # noqa: ANN401
    """Create a recipe and a schema to curate for DATA, images or a table.

    DATA is a folder, a file or a glob of any format in docs/data.md, or several of these.
    """
    with command.importing():
        from pipeline import onboarding, validation

    result = onboarding.write_recipe(data, out, command.progress, **options)
    command.console().print(validation.table(result))
    for name in (onboarding.RECIPE_FILE, onboarding.SCHEMA_FILE):
        click.echo(os.path.join(out, name))
    if result.findings:
        command.progress(
            "tfx-gan run will refuse these data until the anomalies above are resolved"
        )


@click.command(cls=Command)
@click.argument("data")
@click.option("--out", required=True, type=click.Path(dir_okay=False), help="Schema to write.")
@_IMAGE_SHAPE
@_FIT
@click.option(
    "--format",
    "data_format",
    default="auto",
    help="Data format; inferred from file names by default: see `tfx-gan list`.",
)
@_COLUMNS
@_SET
@_ALL
@click.option("--force", is_flag=True, help="Replace existing files.")
def schema(data: str, out: str, every_record: bool, force: bool, **options: Any) -> None:  # noqa: ANN401
    """Propose a schema for DATA, for you to curate, and write the statistics of DATA beside it.

    To compare later data with these statistics, name them in a recipe's validation.reference.
    """
    with command.importing():
        from pipeline import onboarding, previews, validation

    written = (out, validation.reference_of(out), previews.path_beside(out))
    for path in written:
        if os.path.lexists(path) and not force:
            raise FileExistsError(f"{path}: exists already; --force replaces it")
    suggestion = onboarding.inspect(data, **options)
    result = onboarding.write_schema(suggestion, out, command.progress, every_record)
    command.console().print(validation.table(result))
    for path in written:
        click.echo(path)


@click.command(cls=Command)
@click.argument("data")
@click.option(
    "--schema", type=click.Path(), help="Schema to validate against; by default the recipe's."
)
@click.option(
    "--recipe", type=click.Path(dir_okay=False), help="Recipe that specifies how to read DATA."
)
@click.option(
    "--reference",
    type=click.Path(),
    help="Statistics to compare with; by default the recipe's, or those beside the schema.",
)
@click.option("--serving", is_flag=True, help="DATA are inputs of a model in production.")
@click.option(
    "--out", type=click.Path(), help="Folder to create for HTML pages of statistics and anomalies."
)
def validate(data: str, recipe: str | None, out: str | None, **options: Any) -> None:  # noqa: ANN401
    """Validate DATA against a schema and report every anomaly.

    Exit codes: 0 no anomalies; 1 failed; 2 wrong usage; 3 anomalies: a run would refuse DATA.
    """
    with command.importing():
        from pipeline import config, validation

    result = validation.validate(
        data,
        recipe=config.load(recipe) if recipe else None,
        out=out,
        log=command.progress,
        **options,
    )
    command.console().print(validation.table(result))
    count = len(result.findings)
    anomalies = "1 anomaly" if count == 1 else f"{count} anomalies"
    click.echo(f"refused: {anomalies}" if count else "no anomalies")
    if out:
        click.echo(f"pages   {os.path.join(out, validation.ANOMALIES_PAGE)}")
        click.echo(f"        {os.path.join(out, validation.STATISTICS_PAGE)}")
    if count:
        sys.exit(command.REFUSED_EXIT_CODE)
