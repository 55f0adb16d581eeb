"""`tfx-gan compile`, `rehearse` and `submit`: the pipeline on a cluster."""

import os
import sys
from collections.abc import Sequence

import click

from pipeline.cli import command
from pipeline.cli.command import Command

# Stands for what this machine holds.
_IMAGE = "rehearsal"
_STATE = click.option(
    "--state",
    help="Where checkpoints, pushed models and the history of the data outlive runs: a folder on a "
    "volume, or gs://…; default: the first of kubeflow.volumes, or below a gs:// --root.",
)


def _assignments(_: click.Context, option: click.Parameter, given: Sequence[str]) -> dict[str, str]:
    found = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise click.BadParameter(f"{text!r}: expected {option.metavar}")
        found[key] = value
    return found


_PARAMETERS = click.option(
    "--parameter",
    "parameters",
    multiple=True,
    callback=_assignments,
    metavar="KEY=VALUE",
    help="Parameter of the run; repeatable.",
)


@click.command("compile", cls=Command)
@command.takes_recipe
@click.option("--image", required=True, help="Container image with tfx-gan installed.")
@click.option("--gpu-image", help="Image of the stages with GPUs; default: --image.")
@click.option("--root", required=True, help="URI for artifacts: gs://…, s3://… or minio://….")
@_STATE
@click.option(
    "--backend", type=click.Choice(["kubeflow", "vertex"]), default="kubeflow", show_default=True
)
@click.option(
    "--workers",
    type=int,
    default=1,
    show_default=True,
    help="Pods that train together. Several are a job that the trainer stage starts and waits for.",
)
@click.option(
    "--job",
    type=click.Choice(["jobset", "trainjob"]),
    default="jobset",
    show_default=True,
    help="Kind of that job. There is no TFJob: its operator is deprecated.",
)
@click.option("--out", required=True, type=click.Path(dir_okay=False), help="YAML to write.")
def compile_(
    recipe: str,
    overrides: tuple[str, ...],
    image: str,
    gpu_image: str | None,
    root: str,
    state: str | None,
    backend: str,
    workers: int,
    job: str,
    out: str,
) -> None:
    """Compile RECIPE for Kubeflow Pipelines v2 or Vertex AI Pipelines."""
    from pipeline import config
    from pipeline.kubeflow import compiling

    command.add_recipe_folder(recipe)
    compiling.compile_recipe(
        config.load(recipe, overrides),
        image=image,
        gpu_image=gpu_image,
        root=root,
        state=state,
        backend=backend,
        workers=workers,
        job=job,
        out=out,
    )
    click.echo(out)


@click.command(cls=Command)
@command.takes_recipe
@click.option(
    "--root", default="minio://rehearsal/v2", show_default=True, help="The cluster's pipeline root."
)
@_STATE
@click.option(
    "--work",
    default="rehearsal",
    show_default=True,
    type=click.Path(file_okay=False),
    help="Folder for objects, volumes, logs and the cache; the same one again is a second "
    "submission.",
)
@click.option(
    "--backend",
    default="2.17",
    show_default=True,
    help="Which backend is played: a release of Kubeflow Pipelines (2.4, 2.14, 2.17), mlmd-free "
    "(those after 2.18) or vertex.",
)
@click.option(
    "--volume",
    "volumes",
    multiple=True,
    callback=_assignments,
    metavar="CLAIM=FOLDER",
    help="Folder that stands for a persistent volume claim; repeatable.",
)
@_PARAMETERS
@click.option(
    "--in-image",
    "folders",
    multiple=True,
    metavar="FOLDER",
    type=click.Path(exists=True, file_okay=False),
    help="Folder that the image holds too, read-only at the same path, e.g. of data; repeatable.",
)
@click.option(
    "--endpoint", metavar="URL", help="Store that speaks S3; by default, files in --work."
)
def rehearse(
    recipe: str,
    overrides: tuple[str, ...],
    root: str,
    state: str | None,
    work: str,
    backend: str,
    volumes: dict[str, str],
    parameters: dict[str, str],
    folders: tuple[str, ...],
    endpoint: str | None,
) -> None:
    """Run RECIPE here as a cluster would: each stage in a file system of its own.

    Exit codes: 0 every stage ran; 1 one failed; 2 wrong usage.
    """
    import pipeline
    from pipeline import config
    from pipeline.kubeflow import compiling
    from pipeline.rehearsal import pod
    from pipeline.rehearsal.rehearse import FAILED
    from pipeline.rehearsal.rehearse import rehearse as play

    pod.check()
    command.add_recipe_folder(recipe)
    resolved = config.load(recipe, overrides)
    code = [os.path.dirname(os.path.dirname(os.path.abspath(pipeline.__file__)))]
    code.append(os.path.dirname(os.path.abspath(recipe)))
    compiled = os.path.join(work, "pipeline.yaml")
    kind = "vertex" if backend == "vertex" else "kubeflow"
    compiling.compile_recipe(
        resolved, image=_IMAGE, root=root, state=state, backend=kind, out=compiled
    )
    result = play(
        compiled,
        work=work,
        root=root,
        parameters=parameters,
        dialect=backend,
        volumes=volumes,
        image=pod.Image(code, folders),
        endpoint=endpoint,
        log=click.echo,
    )
    for task in result.tasks:
        if task.state == FAILED:
            for line in task.words:
                click.echo(f"  {line}")
            click.echo(f"{task.name} failed: {task.error}; see {task.pod}")
    if result.skipped:
        click.echo(f"not run: {', '.join(result.skipped)}")
    if not result.ok:
        sys.exit(1)
    click.echo(f"all {len(result.tasks)} stages ran as on {backend}")


@click.command(cls=Command, tensorflow=False)
@click.argument("pipeline", type=click.Path(exists=True, dir_okay=False))
@_PARAMETERS
@click.option("--host", help="URL of Kubeflow Pipelines.")
@click.option("--root", help="URI for artifacts; default: the cluster's own.")
@click.option("--namespace", help="Namespace of the run, where there are several.")
@click.option("--experiment", help="Experiment to put the run into.")
@click.option(
    "--token-file", type=click.Path(exists=True, dir_okay=False), help="File with a bearer token."
)
@click.option("--project", help="Project of Google Cloud, instead of --host: to Vertex.")
@click.option("--location", default="us-central1", show_default=True, help="Of Vertex.")
def submit(
    pipeline: str,
    parameters: dict[str, str],
    host: str | None,
    root: str | None,
    namespace: str | None,
    experiment: str | None,
    token_file: str | None,
    project: str | None,
    location: str,
) -> None:
    """Start a run of the compiled PIPELINE on a cluster, and print its page or name."""
    from pipeline.kubeflow import submitting

    if (host is None) == (project is None):
        raise click.UsageError("give either --host, of Kubeflow Pipelines, or --project, of Vertex")
    if host is not None:
        started = submitting.to_kubeflow(
            pipeline,
            host=host,
            parameters=parameters,
            root=root,
            namespace=namespace,
            experiment=experiment,
            token_file=token_file,
        )
    elif root is None:
        raise click.UsageError("--project: Vertex needs --root, a gs:// URI")
    else:
        started = submitting.to_vertex(
            pipeline, project=str(project), location=location, parameters=parameters, root=root
        )
    click.echo(started)
