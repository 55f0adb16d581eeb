"""`tfx-gan studio`: the versions of a serving folder in one page, side by side.

The networks run in the browser; this server delivers the page, what is known of each version, and
the ONNX files.
"""

import contextlib
import threading
from collections.abc import Callable
from typing import Any

import tensorflow as tf
import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from components.common import saved_models
from components.serving import listening, page
from pipeline import pages

# ONNX files in memory, as a comparison goes back and forth between versions.
_KEPT = 8


class UnknownVersionError(Exception):
    """There is no such version in the folder."""


class Studio:
    """The versions of a serving folder.

    Args:
      folder: of the versions, a path or URI; new versions are seen by the next request.

    Raises:
      FileNotFoundError: if there is no such folder.
    """

    def __init__(self, folder: str) -> None:
        if not tf.io.gfile.isdir(folder):
            raise FileNotFoundError(f"{folder}: no such folder")
        self.folder = folder
        self._models: dict[str, bytes] = {}
        # One conversion at a time, which takes all cores; and the same one is not made twice.
        self._lock = threading.Lock()

    def versions(self) -> list[dict[str, Any]]:
        """By age, oldest first: `version`, and either `problem` or `description` and `metrics`."""
        return [self._version(name) for name in saved_models.versions(self.folder)]

    def model(self, version: str) -> bytes:
        """The ONNX file of a version; converted when it is asked for first.

        Raises:
          UnknownVersionError: if there is no such version.
          ValueError: if it cannot be shown.
        """
        if version not in saved_models.versions(self.folder):
            raise UnknownVersionError(f"there is no version {version}; reload the page")
        with self._lock:
            if version not in self._models:
                path = self._path(version)
                page.check(saved_models.description(path))
                while len(self._models) >= _KEPT:
                    del self._models[next(iter(self._models))]
                self._models[version] = pages.onnx(path)
            return self._models[version]

    def _version(self, name: str) -> dict[str, Any]:
        try:
            description = saved_models.description(self._path(name))
            page.check(description)
        except ValueError as error:
            return {"version": name, "problem": str(error)}
        metrics = page.pushed_metrics(description)
        return {"version": name, "description": description, "metrics": metrics}

    def _path(self, version: str) -> str:
        return f"{self.folder.rstrip('/')}/{version}"


def application(folder: str, title: str) -> Starlette:
    """The studio of a serving folder as an ASGI application.

    Raises:
      FileNotFoundError: if there is no such folder.
    """
    studio = Studio(folder)
    text = page.studio(title)

    async def show(request: Request) -> Response:
        return HTMLResponse(text)

    async def list_versions(request: Request) -> Response:
        found = await run_in_threadpool(studio.versions)
        return JSONResponse(found, headers={"Cache-Control": "no-store"})

    async def send_model(request: Request) -> Response:
        version = request.path_params["version"]
        content = await run_in_threadpool(studio.model, version)
        return Response(content, media_type="application/octet-stream")

    return Starlette(
        routes=[
            Route("/", show),
            Route("/versions", list_versions),
            Route("/versions/{version}/model.onnx", send_model),
        ],
        exception_handlers={404: _nothing_there, **dict.fromkeys(_STATUS, _failed)},
    )


def serve(folder: str, title: str, host: str, port: int, started: Callable[[str], None]) -> None:
    """Serves the studio until it is interrupted.

    Args:
      folder: as `Studio` takes it.
      title: heading of the page.
      host, port: to listen at; port 0 is any that is free.
      started: called with the address once there is one.

    Raises:
      FileNotFoundError: if there is no such folder.
      OSError: if the address cannot be listened at.
    """
    app = application(folder, title)
    listener = listening.listen(host, port)
    started(f"{listening.address(host, listener)}/")
    config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1)
    # An interrupt is how it ends.
    with listener, contextlib.suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listener])


async def _nothing_there(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": f"{request.url.path}: nothing there"}, 404)


# What can go wrong with a version, and the status that says so.
_STATUS: dict[type[Exception], int] = {
    UnknownVersionError: 404,
    ValueError: 422,
    OSError: 500,
    RuntimeError: 500,
    tf.errors.OpError: 500,
}


async def _failed(request: Request, error: Exception) -> Response:
    status = next(code for kind, code in _STATUS.items() if isinstance(error, kind))
    return JSONResponse({"error": " ".join(str(error).split())}, status)
