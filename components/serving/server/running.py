"""A server in this process, until it is told to end."""

import signal
from collections.abc import Callable, Mapping

import uvicorn

from components.serving import listening
from components.serving.server.app import Limits, create_app
from components.serving.server.versions import Versions

# Beyond what a request may take, for the answers to be sent.
_GRACE_SECONDS = 5


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
    listener = listening.listen(host, port)
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
            log(f"{listening.address(host, listener)}/v1/models/{name}")
            uvicorn.Server(config).run(sockets=[listener])
        finally:
            versions.stop()
    log("ended")
