"""The command line: tfx-gan new, schema, validate, run, runs, compare, evaluate, sample, …"""

import functools
import os
import re
import sys
import warnings
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import click
from rich.console import Console
from rich.table import Table

from components.common import artifact_files

# Before TensorFlow is imported, which the commands do: its start-up lines are not news, and the
# first stage to use a GPU decides how its memory is taken.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
warnings.filterwarnings("ignore", category=FutureWarning, module="google")

_REFUSED_EXIT_CODE = 3
_INTERRUPTED_EXIT_CODE = 130
_PIPE_WIDTH = 200

Params = ParamSpec("Params")
Result = TypeVar("Result")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tfx-gan")
def main() -> None:
    """Images in, a validated, measured and gated generator SavedModel out."""


def _one_line_errors(
    *, tensorflow: bool = True
) -> Callable[[Callable[Params, Result]], Callable[..., Result]]:
    """Adds --debug; without it a failure is one line on standard error and exit code 1.

    Args:
      tensorflow: whether the command uses it, which takes seconds to import.
    """

    def decorate(command: Callable[Params, Result]) -> Callable[..., Result]:
        @click.option("--debug", is_flag=True, help="Show the traceback of a failure.")
        @functools.wraps(command)
        def wrapper(*args: Params.args, debug: bool, **kwargs: Params.kwargs) -> Result:
            try:
                if tensorflow and not debug:
                    _load_tensorflow()
                return command(*args, **kwargs)
            except KeyboardInterrupt:
                click.echo("tfx-gan: interrupted; the next run takes up from here", err=True)
                sys.exit(_INTERRUPTED_EXIT_CODE)
            except Exception as error:  # noqa: BLE001
                if debug:
                    raise
                click.echo(f"tfx-gan: {_reason(error)}", err=True)
                sys.exit(1)

        return wrapper

    return decorate


def _load_tensorflow() -> None:
    """Imports TensorFlow without its start-up lines, which 2.21 writes at every log level."""
    standard_error = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        import tensorflow  # noqa: F401
    finally:
        os.dup2(standard_error, 2)
        os.close(standard_error)


def _reason(error: Exception) -> str:
    """One line: Beam adds the step that failed to a message, TensorFlow adds stacks."""
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}"
    text = re.sub(r"\s*\[while running .*", "", str(error), flags=re.DOTALL)
    line = " ".join(text.split())
    known = isinstance(error, ValueError | OSError | FloatingPointError) and line
    return line if known else f"{type(error).__name__}: {line}"


_recipe_arguments = [
    click.argument("recipe", type=click.Path(dir_okay=False)),
    click.option(
        "--set",
        "overrides",
        multiple=True,
        metavar="KEY=VALUE",
        help="Override a key of the recipe, e.g. trainer.batch_size=64; may be repeated.",
    ),
]


_ROOT = click.option(
    "--root", default="runs", show_default=True, help="Folder of everything that runs leave."
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
_EXTRACTOR_HELP = (
    "Folder of a feature extractor (a stage's artifact or a SavedModel), or a kind to fit on the "
    "training data: see `tfx-gan list`."
)
_DATA_FORMAT_HELP = "Of the data, found from the names of files if left out: see `tfx-gan list`."
_FORMAT_HELP = (
    "Of all data, found from the names of files if left out: see `tfx-gan list`; or examples, what "
    "a pipeline's ImageExampleGen has left."
)


def _takes_recipe(command: Callable[Params, Result]) -> Callable[Params, Result]:
    for decorate in reversed(_recipe_arguments):
        command = decorate(command)
    return command


@main.command()
@_takes_recipe
@_ROOT
@click.option("--dry-run", is_flag=True, help="Stop after the resolved configuration.")
@click.option("--no-cache", is_flag=True, help="Run every stage, changed or not.")
@_one_line_errors()
def run(recipe: str, overrides: tuple[str, ...], root: str, dry_run: bool, no_cache: bool) -> None:
    """Run RECIPE on this machine.

    Exit codes: 0 blessed and pushed; 1 failed; 2 wrong usage; 3 the gate refused the model;
    75 stopped by SIGTERM while training: the same command resumes.
    """
    from pipeline import config

    _look_beside(recipe)
    resolved = config.load(recipe, overrides)
    splits = config.find_data(resolved)
    click.echo(resolved.to_yaml())
    if dry_run:
        return
    from pipeline.runners import local

    outcome = local.run(resolved, splits, root, _progress, use_cache=not no_cache)
    table = Table("metric", "value")
    for name, value in sorted(outcome.metrics.items()):
        table.add_row(name, f"{value:.4g}")
    _console().print(table)
    click.echo("blessed" if outcome.blessed else f"refused: {outcome.reasons}")
    click.echo(f"model   {outcome.pushed or 'not pushed'}")
    click.echo(f"report  {outcome.report}")
    click.echo(f"samples {outcome.samples}")
    if not outcome.blessed:
        sys.exit(_REFUSED_EXIT_CODE)


def _sizes(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> list[int] | None:
    del context, parameter
    try:
        return value and [int(size) for size in value.split(",")]
    except ValueError as error:
        raise click.BadParameter("expected height,width,channels, e.g. 64,64,3") from error


@main.command()
@click.argument("data")
@click.option("--out", required=True, type=click.Path(), help="Folder to make.")
@_one_line_errors()
def new(data: str, out: str) -> None:
    """Make a recipe for DATA, images or a table: what to train, and a schema to curate.

    DATA is a folder, a file or a glob: docs/data.md says what is read.
    """
    from pipeline import onboarding, validation

    judgement = onboarding.write_recipe(data, out, _progress)
    _console().print(validation.table(judgement))
    for name in (onboarding.RECIPE_FILE, onboarding.SCHEMA_FILE):
        click.echo(os.path.join(out, name))
    if judgement.findings:
        click.echo("tfx-gan run refuses these data until what the table says is changed", err=True)


@main.command()
@click.argument("data")
@click.option("--out", required=True, type=click.Path(dir_okay=False), help="Schema to write.")
@click.option(
    "--image-shape",
    metavar="H,W,C",
    callback=_sizes,
    help="What images are made into; found from them if left out.",
)
@click.option("--fit", help="How: exact, crop, pad or stretch.")
@click.option("--format", "data_format", default="auto", help=_DATA_FORMAT_HELP)
@click.option("--force", is_flag=True, help="Replace files that are there.")
@_one_line_errors()
def schema(data: str, out: str, force: bool, **options: object) -> None:
    """Propose a schema for DATA, to be curated; beside it, the statistics of DATA.

    Later data are compared with these: name them in a recipe's validation.reference.
    """
    from pipeline import onboarding, validation

    written = (out, validation.reference_of(out))
    for path in written:
        if os.path.lexists(path) and not force:
            raise FileExistsError(f"{path}: exists already; --force replaces it")
    seen = onboarding.look(data, **options)
    _progress(seen.words)
    judgement = onboarding.write_schema(seen.data, out, _progress)
    _console().print(validation.table(judgement))
    for path in written:
        click.echo(path)


@main.command()
@click.argument("data")
@click.option("--schema", type=click.Path(), help="What DATA must be; by default the recipe's.")
@click.option("--recipe", type=click.Path(dir_okay=False), help="How DATA are read.")
@click.option(
    "--reference",
    type=click.Path(),
    help="Statistics to compare with; by default the recipe's, or those beside the schema.",
)
@click.option("--serving", is_flag=True, help="DATA are what a model meets in use.")
@click.option("--out", type=click.Path(), help="Folder to make, with statistics and anomalies.")
@_one_line_errors()
def validate(data: str, recipe: str | None, out: str | None, **options: object) -> None:
    """Say all that is wrong with DATA, against a schema.

    Exit codes: 0 nothing; 1 failed; 2 wrong usage; 3 anomalies: a run would refuse the data.
    """
    from pipeline import config, validation

    judgement = validation.validate(
        data, recipe=config.load(recipe) if recipe else None, out=out, tell=_progress, **options
    )
    _console().print(validation.table(judgement))
    count = len(judgement.findings)
    anomalies = "1 anomaly" if count == 1 else f"{count} anomalies"
    click.echo(f"refused: {anomalies}" if count else "no anomalies")
    if out:
        click.echo(f"pages   {os.path.join(out, validation.ANOMALIES_PAGE)}")
        click.echo(f"        {os.path.join(out, validation.STATISTICS_PAGE)}")
    if count:
        sys.exit(_REFUSED_EXIT_CODE)


@main.command(name="runs")
@_ROOT
@click.option(
    "--metric", "metrics", multiple=True, metavar="NAME", help="Show this one; may be repeated."
)
@_JSON
@_one_line_errors(tensorflow=False)
def runs_(root: str, metrics: tuple[str, ...], as_json: bool) -> None:
    """List the runs of a root: state, metrics, gate, pushed version, lineage; newest last."""
    from pipeline.runs import history, listing

    listed = history.rows(root)
    if as_json:
        click.echo(history.to_json(listed))
    elif listed:
        console = _console()
        console.print(listing.table(listed, metrics, console.width))
    else:
        click.echo(f"no runs yet in {root}")


@main.command()
@click.argument("run_a")
@click.argument("run_b")
@_ROOT
@_JSON
@_one_line_errors(tensorflow=False)
def compare(run_a: str, run_b: str, root: str, as_json: bool) -> None:
    """Show how RUN_B differs from RUN_A, in metrics and in configuration.

    A run is named by its id, by the beginning of one, or as latest, latest~1 (the one before), …
    """
    from pipeline.runs import history, listing

    found = history.load(root)
    comparison = history.compare(history.choose(found, run_a), history.choose(found, run_b))
    if as_json:
        click.echo(history.to_json(comparison))
    else:
        _console().print(listing.tables(comparison))


@main.command()
@click.argument("model_or_data")
@click.argument("real")
@click.option("--extractor", required=True, metavar="FOLDER|KIND", help=_EXTRACTOR_HELP)
@click.option("--out", required=True, type=click.Path(), help="Folder to make.")
@click.option("--recipe", type=click.Path(dir_okay=False), help="Whose metrics and gate to use.")
@click.option("--train", help="Data the model was trained on; by default REAL's train split.")
@click.option("--count", type=click.IntRange(4), help="Fakes to score; by default as many as real.")
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), help="Of fakes and choices.")
@click.option("--format", "data_format", default="auto", help=_FORMAT_HELP)
@_one_line_errors()
def evaluate(out: str, recipe: str | None, **arguments: object) -> None:
    """Score MODEL_OR_DATA against the data in REAL.

    MODEL_OR_DATA is a SavedModel, a serving folder of versions, or data; data are images or a
    table of numbers, in a folder or a file of any format that a recipe can name.

    Exit codes: 0 the gate's rules are kept; 1 failed; 2 wrong usage; 3 the gate refuses.
    """
    from pipeline import config, standalone

    if recipe:
        _look_beside(recipe)
    evaluation = standalone.evaluate(
        out=out,
        recipe=config.load(recipe) if recipe else None,
        tell=_progress,
        **arguments,
    )
    _console().print(standalone.table(evaluation))
    for verdict in evaluation.verdicts:
        click.echo(verdict)
    click.echo("accepted" if evaluation.blessed else "refused")
    click.echo(f"report  {os.path.join(out, artifact_files.REPORT)}")
    if not evaluation.blessed:
        sys.exit(_REFUSED_EXIT_CODE)


@main.command()
@click.argument("model_dir")
@click.option("--count", default=64, show_default=True, type=click.IntRange(1, 65536))
@click.option("--seed", default=0, show_default=True, type=click.IntRange(-(2**63), 2**63 - 1))
@click.option("--label", type=click.IntRange(0), help="Class to make, if the model has classes.")
@click.option(
    "--out",
    required=True,
    type=click.Path(dir_okay=False),
    help="File to write: .png, a grid of images; .csv or .parquet, a row a vector.",
)
@_one_line_errors()
def sample(model_dir: str, count: int, seed: int, label: int | None, out: str) -> None:
    """Write samples of MODEL_DIR, a SavedModel or a serving folder of versions, to a file."""
    from pipeline import samples

    samples.write(_newest_version(model_dir), count, seed, label, out)
    click.echo(out)


def _progress(line: str) -> None:
    click.echo(line, err=True)


def _look_beside(recipe: str) -> None:
    """Networks of one's own, `module:function`, may lie beside the recipe."""
    sys.path.append(os.path.dirname(os.path.abspath(recipe)))


def _console() -> Console:
    """As wide as the terminal; in a file or a pipe, as wide as it takes."""
    return Console() if sys.stdout.isatty() else Console(width=_PIPE_WIDTH)


def _newest_version(folder: str) -> str:
    import tensorflow as tf

    if not tf.io.gfile.isdir(folder):
        raise FileNotFoundError(f"{folder}: no such folder")
    names = [name.rstrip("/") for name in tf.io.gfile.listdir(folder)]
    if "saved_model.pb" in names:
        return folder
    versions = [name for name in names if name.isdigit()]
    if not versions:
        raise FileNotFoundError(f"{folder}: neither a SavedModel nor versions of one")
    return os.path.join(folder, max(versions, key=int))


@main.command(name="list")
@_one_line_errors()
def list_() -> None:
    """Show the names that a recipe can use."""
    from components.evaluator.metrics.registry import METRICS
    from components.example_gen.formats.registry import READERS
    from components.feature_extractor import EXTRACTORS
    from components.trainer.gan.augmentation import AUGMENTATIONS
    from components.trainer.gan.losses import LOSSES
    from components.trainer.gan.optimizers import OPTIMIZERS
    from components.trainer.gan.penalties import PENALTIES
    from components.trainer.gan.schedules import SHAPES
    from components.trainer.networks import DISCRIMINATORS, GENERATORS

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
    ):
        click.echo(f"{registry.kind:16}{', '.join(registry.names())}")


@main.command(name="compile")
@_takes_recipe
@click.option("--image", required=True, help="Container image with tfx-gan installed.")
@click.option("--root", required=True, help="URI that the cluster can write to.")
@click.option("--out", required=True, type=click.Path(dir_okay=False), help="YAML to write.")
@_one_line_errors()
def compile_(recipe: str, overrides: tuple[str, ...], image: str, root: str, out: str) -> None:
    """Compile RECIPE for Kubeflow Pipelines v2."""
    from pipeline import config
    from pipeline.runners import kubeflow

    resolved = config.load(recipe, overrides)
    kubeflow.compile_recipe(resolved, image=image, root=root, out=out)
    click.echo(out)


if __name__ == "__main__":
    main()
