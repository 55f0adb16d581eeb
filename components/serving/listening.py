"""The sockets that servers of generators listen on."""

import os
import socket

_BACKLOG = 1024


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens; port 0 is any that is free.

    Raises:
      OSError: in one line, if the address cannot be listened on.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=_BACKLOG)
        # Connections inherit it. An answer is sent in two parts, and the second would wait for the
        # client to acknowledge the first: 40 ms.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listener
    except OSError as error:
        # Names that cannot be looked up have numbers of their own, which are negative. Python adds
        # the address to the reason.
        known = error.errno is not None and error.errno > 0
        reason = os.strerror(error.errno or 0) if known else str(error.strerror).partition(" (")[0]
        raise OSError(
            f"{_printed(host)}:{port}: {reason}; name another --host or --port"
        ) from error


def address(host: str, listener: socket.socket) -> str:
    """The URL of a listening socket, without a slash at its end."""
    return f"http://{_printed(host)}:{listener.getsockname()[1]}"


def _printed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
