"""A server in this process, until it is told to end."""

import os
import signal
import socket
from collections.abc import Callable, Mapping

import uvicorn

from components.serving.server.app import Limits, create_app
from components.serving.server.versions import Versions

# Beyond what a request may take, for the answers to be sent.
_GRACE_SECONDS = 5
_BACKLOG = 1024


def run(
    folder: str,
    name: str,
    host: str,
    port: int,
    newest: int,
    labels: Mapping[str, int],
    limits: Limits,
    token: str | None,
    wait_seconds: float,
    log: Callable[[str], None],
) -> None:
    """Serves a folder of versions until SIGTERM or SIGINT, and ends with the last request.

    Args:
      folder, name, newest, labels: see `Versions`.
      host, port: to listen on; port 0 for any that is free.
      limits, token, wait_seconds: see `create_app`.
      log: is told in a line what happens.

    Raises:
      FileNotFoundError: if there is no version to serve.
      OSError: if the address cannot be listened on.
    """
    # First, as it is quick to fail.
    listener = _listen(host, port)
    with listener:
        versions = Versions(folder, name, newest, labels, log=log)
        versions.start()
        try:
            app = create_app(versions, name, limits, token, wait_seconds, log)
            config = uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=int(limits.seconds) + _GRACE_SECONDS,
            )
            # The server raises them again when it has ended, which would end this process by them.
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: None)
            log(f"http://{_printed(host)}:{listener.getsockname()[1]}/v1/models/{name}")
            uvicorn.Server(config).run(sockets=[listener])
        finally:
            versions.stop()
    log("ended")


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=_BACKLOG)
        # Connections inherit it. An answer is sent in two parts, and the second would wait for the
        # client to acknowledge the first: 40 ms.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listener
    except OSError as error:
        # Names that cannot be looked up have numbers of their own.
        known = error.errno is not None and not isinstance(error, socket.gaierror)
        reason = os.strerror(error.errno or 0) if known else error.strerror
        raise OSError(
            f"{_printed(host)}:{port}: {reason}; name another --host or --port"
        ) from error


def _printed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
