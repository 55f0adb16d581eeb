"""The HTTP of `tfx-gan serve`: routes, limits, errors."""

import asyncio
import contextlib
import dataclasses
import hmac
import re
import time
import urllib.parse
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import numpy as np
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from components.serving.server import json_values, messages, openapi, rest
from components.serving.server.batching import Batcher
from components.serving.server.errors import RequestError, invalid, not_found
from components.serving.server.metrics import Metrics
from components.serving.server.servable import Servable
from components.serving.server.versions import Versions

_JSON, _PNG = "application/json", "image/png"
_PNG_MAGIC = b"\x89PNG\r\n"
_HIGHEST_VERSION = 2**63 - 1

_MODEL = r"(?i)/v1/models/(?P<name>[^/:]+)(?:/versions/(?P<version>\d+)|/labels/(?P<label>[^/:]+))?"
_POST = re.compile(_MODEL + r":(?P<method>classify|regress|predict)", re.ASCII)
_GET = re.compile(_MODEL + r"(?:/(?P<method>metadata))?", re.ASCII)
_KINDS = {"classify": "classification", "regress": "regression"}


@dataclasses.dataclass(frozen=True)
class Limits:
    """What a request may cost.

    Attributes:
      body_bytes: of its body; 413 above.
      rows: of its inputs; 400 above.
      concurrency: requests to predict at a time; 429 above.
      seconds: for the body (408 above) and for the answer (503 above).
    """

    body_bytes: int = 8 * 2**20
    rows: int = 1024
    concurrency: int = 256
    seconds: float = 30.0


@dataclasses.dataclass(frozen=True)
class _Asked:
    """Which model a path names."""

    method: str
    version: int | None
    label: str | None


def create_app(
    versions: Versions,
    name: str,
    limits: Limits | None = None,
    token: str | None = None,
    wait_seconds: float = 0.0,
    log: Callable[[str], None] = lambda line: None,
) -> Starlette:
    """The ASGI application.

    Args:
      versions: started; its owner stops it.
      name: of the model, in paths.
      limits: of requests; None for the defaults.
      token: that requests have to bear, but for /healthz; None if they need none.
      wait_seconds: see `Batcher`.
      log: is told in a line of faults that are not the client's.
    """
    server = _Server(versions, name, limits or Limits(), token, wait_seconds, log)
    every = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
    model = server.endpoint(server.model)
    return Starlette(
        routes=[
            # The API does not know capitals.
            *(Route(f"/{v}1/{{rest:path}}", model, methods=every) for v in "vV"),
            Route("/healthz", server.health),
            Route("/metrics", server.endpoint(server.metrics_page)),
            Route("/openapi.json", server.endpoint(server.description)),
        ],
        exception_handlers={HTTPException: _http_error},
        lifespan=server.lifespan,
    )


class _Server:
    def __init__(
        self,
        versions: Versions,
        name: str,
        limits: Limits,
        token: str | None,
        wait_seconds: float,
        log: Callable[[str], None],
    ) -> None:
        self._versions = versions
        self._name = name
        self._limits = limits
        self._token = None if token is None else f"Bearer {token}".encode()
        self._log = log
        self._metrics = Metrics()
        self._batcher = Batcher(wait_seconds, self._metrics.called)
        self._active = 0

    @contextlib.asynccontextmanager
    async def lifespan(self, app: Starlette) -> AsyncIterator[None]:
        try:
            yield
        finally:
            self._batcher.close()

    def endpoint(
        self, answer: Callable[[Request], Awaitable[Response]]
    ) -> Callable[[Request], Awaitable[Response]]:
        """An answer behind the token, counted, with errors as JSON."""

        async def endpoint(request: Request) -> Response:
            start = time.perf_counter()
            try:
                self._authorize(request)
                response = await answer(request)
            except RequestError as error:
                response = _error(error.status, error.message)
            except ClientDisconnect:
                response = _error(400, "the client left")
            except Exception as error:  # noqa: BLE001 - the client learns its type, the log the rest.
                self._log(f"{request.method} {request.url.path}: {type(error).__name__}: {error}")
                response = _error(500, f"internal error: {type(error).__name__}")
            method = request.scope.get("tfx_gan_method", "other")
            self._metrics.answered(method, response.status_code, time.perf_counter() - start)
            return response

        return endpoint

    async def health(self, request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def metrics_page(self, request: Request) -> Response:
        served = [each.version for each in self._versions.states() if each.state == "AVAILABLE"]
        self._metrics.version.set(max(served, default=0))
        return Response(self._metrics.text(), media_type="text/plain; version=0.0.4")

    async def description(self, request: Request) -> Response:
        return JSONResponse(openapi.description(self._name, self._limits.rows, bool(self._token)))

    async def model(self, request: Request) -> Response:
        asked = self._parse_path(request)
        request.scope["tfx_gan_method"] = asked.method
        if asked.method == "status":
            return JSONResponse(messages.status(self._versions.states(asked.version, asked.label)))
        if asked.method == "metadata":
            with self._versions.use(asked.version, asked.label) as servable:
                return JSONResponse(messages.metadata(self._name, servable))
        if self._active >= self._limits.concurrency:
            raise RequestError(429, f"too many requests at a time, the most is {self._active}")
        self._active += 1
        try:
            with self._metrics.in_progress.track_inprogress():
                return await self._post(request, asked)
        finally:
            self._active -= 1

    def _authorize(self, request: Request) -> None:
        given = request.headers.get("authorization", "").encode()
        if self._token is not None and not hmac.compare_digest(given, self._token):
            raise RequestError(401, "expected the header Authorization: Bearer and the token")

    def _parse_path(self, request: Request) -> _Asked:
        # Escapes are those of names, so that slashes in them do not count.
        path = request.scope.get("raw_path", b"").partition(b"?")[0].decode("latin-1")
        malformed = invalid(f"Malformed request: {request.method} {path}")
        if request.method == "POST":
            found = _POST.fullmatch(path)
        elif request.method == "GET":
            if path.lower() == "/v1/models":
                raise invalid("Missing model name in request.")
            found = _GET.fullmatch(path)
        else:
            raise malformed
        if found is None:
            raise malformed
        method = (found["method"] or "status").lower()
        number, label = found["version"], found["label"]
        if number is not None and (len(number) > 19 or int(number) > _HIGHEST_VERSION):
            raise invalid(f"Failed to convert version: {number} to numeric.")
        version = None if number is None else int(number)
        name = urllib.parse.unquote(found["name"])
        label = None if label is None else urllib.parse.unquote(label)
        if name != self._name:
            raise _no_model(name, method, version, label)
        return _Asked(method, version, label)

    async def _post(self, request: Request, asked: _Asked) -> Response:
        png = _wants_png(request)
        document = await self._document(request)
        name = rest.signature_name(document)
        if asked.method != "predict":
            rest.check_examples(document)
        with self._versions.use(asked.version, asked.label) as servable:
            name = name or rest.DEFAULT_SIGNATURE
            if asked.method != "predict":
                raise _uncallable(servable, name, asked.method)
            if name not in servable.signatures:
                raise invalid(f'Serving signature name: "{name}" not found in signature def')
            inputs, row = rest.tensors(document, servable.signatures[name].inputs)
            rows = servable.check(name, inputs, self._limits.rows)
            future = self._batcher.submit(servable, name, inputs, rows)
            done, _ = await asyncio.wait([future], timeout=self._limits.seconds)
            if not done:
                future.cancel()
                raise RequestError(
                    503, f"not computed within {self._limits.seconds:g} s; try again later"
                )
            outputs = future.result()
        if png:
            return Response(_png(outputs, name), media_type=_PNG)
        return Response(rest.encode(outputs, row), media_type=_JSON)

    async def _document(self, request: Request) -> dict[str, Any]:
        if request.headers.get("content-encoding", "identity").lower() != "identity":
            raise RequestError(415, "Content-Encoding: expected none")
        try:
            body = await asyncio.wait_for(self._body(request), self._limits.seconds)
        except asyncio.TimeoutError as error:
            seconds = self._limits.seconds
            raise RequestError(408, f"the body did not come within {seconds:g} s") from error
        return rest.parse(body)

    async def _body(self, request: Request) -> bytes:
        limit = self._limits.body_bytes
        too_large = RequestError(413, f"a body may have {limit} bytes")
        length = request.headers.get("content-length", "0")
        if length.isascii() and length.isdecimal() and int(length) > limit:
            raise too_large
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > limit:
                raise too_large
        return bytes(body)


def _no_model(name: str, method: str, version: int | None, label: str | None) -> RequestError:
    if label is not None:
        return invalid(f"Unrecognized servable version label: {label}")
    if method == "status":
        words = "any versions" if version is None else f"version {version}"
        return not_found(f"Could not find {words} of model {name}")
    asked = f"Latest({name})" if version is None else f"Specific({name}, {version})"
    return not_found(f"Servable not found for request: {asked}")


def _uncallable(servable: Servable, name: str, method: str) -> RequestError:
    definition = servable.signature_defs.get(name)
    if definition is None:
        return invalid(f"No signature was found with the name: {name}")
    expected = f"tensorflow/serving/{method}"
    if definition.method_name != expected:
        return invalid(
            f"Expected {_KINDS[method]} signature method_name to be {expected}. Was: "
            f"{definition.method_name}"
        )
    return invalid(f"{name}: this server answers :predict only")


def _wants_png(request: Request) -> bool:
    """Whether PNG comes before JSON, or any type, in what the client accepts."""
    accepted = request.headers.get("accept", "").split(",")
    types = [each.partition(";")[0].strip().lower() for each in accepted]
    return next((each == _PNG for each in types if each in (_PNG, _JSON, "*/*")), False)


def _png(outputs: Mapping[str, np.ndarray], signature: str) -> bytes:
    found = next((v for n, v in outputs.items() if n.endswith(json_values.BYTES_SUFFIX)), None)
    if found is None or not all(each.startswith(_PNG_MAGIC) for each in found.ravel()):
        raise RequestError(406, f"{signature}: makes no PNG files; sample_png does")
    if found.size != 1:
        raise RequestError(406, f"{_PNG} is one image, asked for {found.size}; accept {_JSON}")
    return found.item()


def _error(status: int, message: str) -> Response:
    headers = {401: {"WWW-Authenticate": "Bearer"}, 429: {"Retry-After": "1"}}
    return JSONResponse({"error": message}, status, headers.get(status))


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # What it is registered for.
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)
