"""`tfx-gan runs`, `compare` and `evaluate`, and what is done with a model that is there."""

import os
import sys
from typing import Any

import click
from rich.console import Console

from components.common import artifact_files
from pipeline.cli import command
from pipeline.cli.command import Command

_SEED = click.option(
    "--seed", default=0, show_default=True, type=click.IntRange(-(2**31), 2**31 - 1)
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")


@click.command(cls=Command, tensorflow=False)
@command.ROOT
@click.option(
    "--metric", "metrics", multiple=True, metavar="NAME", help="Metric to show; repeatable."
)
@_JSON
def runs(root: str, metrics: tuple[str, ...], as_json: bool) -> None:
    """List the runs of a root, newest last: state, metrics, gate, pushed version, lineage."""
    from pipeline.runs import history, listing

    listed = history.rows(root)
    if as_json:
        click.echo(listing.to_json(listed))
    elif listed:
        console = command.console()
        console.print(listing.table(listed, metrics, console.width))
    else:
        click.echo(f"no runs yet in {root}")


@click.command(cls=Command, tensorflow=False)
@click.argument("run_a")
@click.argument("run_b")
@command.ROOT
@_JSON
def compare(run_a: str, run_b: str, root: str, as_json: bool) -> None:
    """Show how RUN_B differs from RUN_A, in metrics and in configuration.

    A run is named by its id, a unique prefix of it, or latest, latest~1 (the one before), …
    """
    from pipeline.runs import comparison, history, listing

    found = history.load(root)
    compared = comparison.compare(history.choose(found, run_a), history.choose(found, run_b))
    if as_json:
        click.echo(listing.to_json(compared))
    else:
        command.console().print(listing.tables(compared))


@click.command(cls=Command)
@click.argument("model_or_data")
@click.argument("real")
@click.option(
    "--extractor",
    required=True,
    metavar="FOLDER|KIND",
    help="Folder of a feature extractor (an artifact or a SavedModel), or a kind to fit on the "
    "training data: see `tfx-gan list`.",
)
@click.option("--out", required=True, type=click.Path(), help="Folder to create.")
@click.option(
    "--recipe", type=click.Path(dir_okay=False), help="Recipe with the metrics and the gate to use."
)
@click.option("--train", help="The model's training data; by default the train split of REAL.")
@click.option(
    "--count", type=click.IntRange(4), help="Number of fakes; by default as many as real data."
)
@click.option(
    "--seed", type=click.IntRange(0, 2**31 - 1), help="Seed of the fakes and of random choices."
)
@click.option(
    "--format",
    "data_format",
    default="auto",
    help="Format of all data; inferred from file names by default: see `tfx-gan list`; or "
    "examples, the output of a pipeline's ImageExampleGen.",
)
def evaluate(out: str, recipe: str | None, **arguments: Any) -> None:  # noqa: ANN401
    """Score MODEL_OR_DATA against the data in REAL.

    MODEL_OR_DATA is a SavedModel, a serving folder of versions, or data. Data are images or a table
    of numbers in any format that a recipe can name.

    Exit codes: 0 the model passes the gate; 1 failed; 2 wrong usage; 3 the gate refuses it.
    """
    with command.importing():
        from pipeline import config, standalone

    if recipe:
        command.add_recipe_folder(recipe)
    evaluation = standalone.evaluate(
        out=out, recipe=config.load(recipe) if recipe else None, log=command.progress, **arguments
    )
    command.console().print(standalone.table(evaluation))
    for verdict in evaluation.verdicts:
        click.echo(verdict)
    click.echo("accepted" if evaluation.blessed else "refused")
    click.echo(f"report  {os.path.join(out, artifact_files.REPORT)}")
    if not evaluation.blessed:
        sys.exit(command.REFUSED_EXIT_CODE)


@click.command(cls=Command)
@click.argument("model_dir")
@click.option("--count", default=64, show_default=True, type=click.IntRange(1, 65536))
@_SEED
@click.option(
    "--label",
    metavar="NUMBER|NAME",
    help="Class of the samples, for a model with classes; names come with the data. Of a table "
    "that was learnt so, what they have in a column: sex=female.",
)
@click.option(
    "--out",
    required=True,
    type=click.Path(dir_okay=False),
    help="File to write: .png for a grid of images; .csv or .parquet for one vector a row.",
)
def sample(model_dir: str, count: int, seed: int, label: str | None, out: str) -> None:
    """Write samples of MODEL_DIR, a SavedModel or a serving folder of versions, to a file."""
    from pipeline import samples

    samples.write(model_dir, count, seed, label, out)
    click.echo(out)


@click.command(cls=Command)
@click.argument("model_dir")
@click.option("--count", required=True, type=click.IntRange(1, 2**32), help="How many samples.")
@click.option("--out", required=True, help="Folder to write, a path or URI.")
@click.option(
    "--format",
    "file_format",
    required=True,
    help="png, npz, tfrecord, parquet or webdataset.",
)
@_SEED
@click.option(
    "--labels",
    metavar="NUMBER|NAME,…",
    help="Classes that the samples take in turn; default: as often as in the data.",
)
@click.option(
    "--truncation", type=click.FloatRange(0, 1), help="Of the latents; smaller is less varied."
)
@click.option(
    "--keep",
    default=1.0,
    show_default=True,
    type=click.FloatRange(0, 1, min_open=True),
    help="Share of the candidates that is kept, those that the discriminator finds likely.",
)
@click.option(
    "--beam", "runner", multiple=True, metavar="ARGUMENT", help="Of the Beam runner; repeatable."
)
def generate(
    model_dir: str,
    count: int,
    out: str,
    file_format: str,
    seed: int,
    labels: str | None,
    truncation: float | None,
    keep: float,
    runner: tuple[str, ...],
) -> None:
    """Write many samples of MODEL_DIR to files of 1000; run again, it goes on where it stopped."""
    from components.serving.generator import Generator
    from pipeline import generating, samples
    from pipeline.config import LOCAL_BEAM

    generator = Generator.load(model_dir)
    numbers = tuple(
        samples.class_number(each, generator.class_names)
        for each in (labels.split(",") if labels else ())
    )
    order = generating.Order(generator.path, count, file_format, seed, numbers, truncation, keep)
    generating.generate(order, out, runner or LOCAL_BEAM, Console(stderr=True))
    click.echo(out)


@click.command(cls=Command)
@click.argument("model_dir")
@click.option("--to", "runtime", required=True, help="onnx, tflite or tflite-float16.")
@click.option(
    "--signature",
    help="Which one becomes the model; default: sample, or the only one there can be.",
)
@click.option("--out", required=True, type=click.Path(dir_okay=False), help="File to write.")
def export(model_dir: str, runtime: str, signature: str | None, out: str) -> None:
    """Convert a signature of MODEL_DIR for another runtime, if that answers the same."""
    from components.serving import conversion
    from components.serving.generator import Generator

    known = conversion.RUNTIMES.get(runtime).signatures
    chosen = signature or ("sample" if "sample" in known else known[0])
    difference = conversion.export(Generator.load(model_dir), runtime, chosen, out)
    click.echo(f"{out}: {difference}")


@click.command(cls=Command)
@click.argument("serving_dir")
@click.option("--to", metavar="VERSION", help="Version to serve; default: the one before.")
def rollback(serving_dir: str, to: str | None) -> None:
    """Withdraw the newest versions in SERVING_DIR, so that an earlier one is served again."""
    from components.pusher import versions

    served, withdrawn = versions.rollback(serving_dir, to)
    for version in withdrawn:
        click.echo(f"{serving_dir}: {version} is withdrawn, now .withdrawn-{version}")
    click.echo(f"{serving_dir}: {served} is served")
