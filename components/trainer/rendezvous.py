"""The workers of a cluster find each other before TensorFlow connects them.

TensorFlow's own start waits for missing workers in C++, without a limit, deaf to SIGTERM and to
Python's other threads. So workers first report to the chief, at the address that its TensorFlow
server will use, and nobody starts TensorFlow's servers before all are there. A worker that is
restarted alone waits here until the others, which have lost it, are restarted too.
"""

import contextlib
import json
import logging
import os
import socket
import time
from collections.abc import Mapping, Sequence
from typing import NoReturn

# EX_TEMPFAIL in sysexits.h: a temporary failure, try again later.
RESUME_EXIT_CODE = 75

# Both ends know who speaks: TensorFlow's server, at the same address, says something else.
_GREETING = "tfx-gan"
_SECONDS_BETWEEN_TRIES = 0.2
_SECONDS_TO_ANSWER = 2.0

_log = logging.getLogger(__name__)


class TryAgain(SystemExit):
    """Exits with `RESUME_EXIT_CODE`: the same command, of all workers, can continue."""

    def __init__(self, message: str) -> None:
        super().__init__(RESUME_EXIT_CODE)
        self.message = message


def meet(addresses: Sequence[str], own: int, minutes: float) -> None:
    """Returns when all workers have called it.

    Args:
      addresses: "host:port" of each worker, the chief's first.
      own: this worker's index in `addresses`.
      minutes: how long to wait for the others.

    Raises:
      TryAgain: if someone is missing after `minutes`; the message names them.
      OSError: if the chief cannot listen at its own address.
    """
    seconds = minutes * 60
    missing = _report(addresses[0], own, seconds) if own else _gather(addresses, seconds)
    if missing:
        give_up(
            f"after {minutes:g} minutes, missing: {in_words(addresses, missing)}; start all "
            "workers, or raise trainer.wait_for_workers_minutes"
        )


def give_up(message: str) -> NoReturn:
    """Logs the message, as `SystemExit` prints nothing, and raises `TryAgain`."""
    _log.error(message)
    raise TryAgain(message) from None


def unreachable(addresses: Sequence[str], own: int, seconds: float = 0.0) -> list[int]:
    """The indices of the workers at whose address nobody listens.

    Args:
      addresses: of all workers.
      own: this worker's index, which is not among them.
      seconds: how long to wait until there is one.
    """
    until = time.monotonic() + seconds
    others = [index for index in range(len(addresses)) if index != own]
    while not (found := [index for index in others if not _listens(addresses[index])]):
        if time.monotonic() >= until:
            break
        time.sleep(_SECONDS_BETWEEN_TRIES)
    return found


def in_words(addresses: Sequence[str], indices: Sequence[int]) -> str:
    """Workers by index and address.

    >>> in_words(["a:1", "b:1", "c:1"], [0, 2])
    'worker 0 (a:1), worker 2 (c:1)'
    """
    return ", ".join(f"worker {index} ({addresses[index]})" for index in indices)


def addresses_of(cluster: Mapping[str, Sequence[str]]) -> list[str]:
    """The addresses in TF_CONFIG's cluster that take part in training, the chief's first."""
    return [*cluster.get("chief", ()), *cluster.get("worker", ())]


def _gather(addresses: Sequence[str], seconds: float) -> list[int]:
    """The chief's part: waits for the reports of all; returns who is missing."""
    deadline = time.monotonic() + seconds
    reported: dict[int, socket.socket] = {}
    port = _host_and_port(addresses[0])[1]
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(_listen(port))
        listener.settimeout(_SECONDS_BETWEEN_TRIES)

        def missing() -> list[int]:
            return [index for index in range(1, len(addresses)) if index not in reported]

        while missing() and time.monotonic() < deadline:
            try:
                connection = stack.enter_context(listener.accept()[0])
            except TimeoutError:
                pass
            else:
                index = int(_read(connection).get("worker", 0))
                if 0 < index < len(addresses):
                    # A restarted worker replaces what it was before.
                    reported[index] = connection
            for index in [index for index, each in reported.items() if _is_closed(each)]:
                del reported[index]
        left = missing()
        for connection in reported.values():
            with contextlib.suppress(OSError):
                _write(connection, {"missing": left})
    return left


def _report(chief: str, own: int, seconds: float) -> list[int]:
    """A worker's part: reports to the chief until it answers; returns who is missing."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            with socket.create_connection(_host_and_port(chief), _SECONDS_TO_ANSWER) as connection:
                _write(connection, {"worker": own})
                # A chief that is there started its own clock later, and knows who is missing.
                connection.settimeout(seconds + _SECONDS_TO_ANSWER)
                answer = _read(connection)
                if "missing" in answer:
                    return answer["missing"]
        except OSError:
            pass
        time.sleep(_SECONDS_BETWEEN_TRIES)
    return [0]


def _listens(address: str) -> bool:
    try:
        socket.create_connection(_host_and_port(address), _SECONDS_TO_ANSWER).close()
    except OSError:
        return False
    return True


def _listen(port: int) -> socket.socket:
    family = socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET
    return socket.create_server(
        ("", port), family=family, dualstack_ipv6=family == socket.AF_INET6, reuse_port=False
    )


def _write(connection: socket.socket, message: Mapping[str, object]) -> None:
    connection.sendall(json.dumps({_GREETING: os.getpid(), **message}).encode() + b"\n")


def _read(connection: socket.socket) -> dict:
    """One message; {} if the other end is not one of us, or is gone."""
    connection.settimeout(connection.gettimeout() or _SECONDS_TO_ANSWER)
    try:
        with connection.makefile("rb") as lines:
            message = json.loads(lines.readline(1 << 16))
    except (OSError, ValueError):
        return {}
    return message if isinstance(message, dict) and _GREETING in message else {}


def _is_closed(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return connection.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True
    finally:
        connection.settimeout(_SECONDS_TO_ANSWER)


def _host_and_port(address: str) -> tuple[str, int]:
    host, port = address.rsplit(":", 1)
    return host.strip("[]"), int(port)
