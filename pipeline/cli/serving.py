"""`tfx-gan serve`, `page` and `studio`: generators for those who call them or look at them."""

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence

import click

from pipeline.cli.command import Command

_EXTRA = ("orjson", "prometheus_client", "starlette", "uvicorn")


def _labels(_: click.Context, __: click.Parameter, given: Sequence[str]) -> dict[str, int]:
    found = {}
    for each in given:
        label, _separator, version = each.partition("=")
        if not label or not version.isascii() or not version.isdecimal():
            raise click.BadParameter(f"{each!r}, expected LABEL=VERSION, such as stable=1795321108")
        found[label] = int(version)
    return found


_HOST = click.option("--host", default="127.0.0.1", show_default=True, help="To listen on.")


def _port(default: int) -> Callable[[Callable], Callable]:
    number = click.IntRange(0, 65535)
    return click.option(
        "--port", default=default, show_default=True, type=number, help="0: any free."
    )


@click.command(cls=Command)
@click.argument("serving_dir")
@_HOST
@_port(8501)
@click.option("--name", default="generator", show_default=True, help="Of the model, in paths.")
@click.option(
    "--versions",
    "newest",
    default=1,
    show_default=True,
    type=click.IntRange(1),
    help="How many of the newest to serve.",
)
@click.option(
    "--label",
    "labels",
    multiple=True,
    callback=_labels,
    metavar="LABEL=VERSION",
    help="Version to serve under a label too; repeatable.",
)
@click.option(
    "--token-file",
    type=click.Path(exists=True, dir_okay=False),
    help="File with the token that requests have to bear.",
)
@click.option(
    "--max-body", default=8.0, show_default=True, type=click.FloatRange(0.001), help="MB."
)
@click.option(
    "--max-rows", default=1024, show_default=True, type=click.IntRange(1), help="Of a request."
)
@click.option(
    "--max-requests", default=256, show_default=True, type=click.IntRange(1), help="At a time."
)
@click.option(
    "--timeout", default=30.0, show_default=True, type=click.FloatRange(0.001), help="Seconds."
)
@click.option(
    "--batch-wait",
    default=0.0,
    show_default=True,
    type=click.FloatRange(0, 1000),
    help="Milliseconds that a request waits for others, to be computed with them.",
)
def serve(
    serving_dir: str,
    host: str,
    port: int,
    name: str,
    newest: int,
    labels: dict[str, int],
    token_file: str | None,
    max_body: float,
    max_rows: int,
    max_requests: int,
    timeout: float,
    batch_wait: float,
) -> None:
    """Serve the generators in SERVING_DIR over HTTP, as TensorFlow Serving's REST API does.

    New versions are picked up, and rollbacks followed, without dropping a request. SIGTERM ends
    the server when the requests in flight are answered.
    """
    with _serving("serve"):
        from components.serving.server import app, running

    running.run(
        serving_dir,
        name,
        host,
        port,
        newest,
        labels,
        app.Limits(int(max_body * 10**6), max_rows, max_requests, timeout),
        _token(token_file) if token_file else None,
        batch_wait / 1000,
        functools.partial(click.echo, err=True),
    )


@click.command(cls=Command)
@click.argument("model_dir")
@click.option("--out", required=True, type=click.Path(dir_okay=False), help="HTML file to write.")
@click.option("--title", default="Generator", show_default=True, help="Heading of the page.")
def page(model_dir: str, out: str, title: str) -> None:
    """Write a page that runs MODEL_DIR, a generator of images, in any browser, without a server."""
    from pipeline import pages

    pages.write(model_dir, out, title)
    click.echo(out)


@click.command(cls=Command)
@click.argument("serving_dir")
@_HOST
@_port(8502)
@click.option("--title", default="Studio", show_default=True, help="Heading of the page.")
def studio(serving_dir: str, host: str, port: int, title: str) -> None:
    """Serve a page that shows and compares the versions in SERVING_DIR, until interrupted."""
    with _serving("studio"):
        from pipeline import studio

    studio.serve(serving_dir, title, host, port, started=click.echo)


@contextlib.contextmanager
def _serving(command: str) -> Iterator[None]:
    """Says which extra an import within belongs to."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name not in _EXTRA:
            raise
        raise ValueError(
            f"{command} needs {error.name}, which is not installed: pip install 'tfx-gan[serve]'"
        ) from error


def _token(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        token = file.read().strip()
    if not token.isascii() or not token.isprintable() or not token or " " in token:
        raise ValueError(f"{path}: expected a token of printable ASCII characters without spaces")
    return token
