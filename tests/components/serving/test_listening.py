import socket
import urllib.parse

import pytest

from components.serving.listening import address, listen


@pytest.mark.parametrize(
    ("host", "printed", "reason"),
    [
        ("nosuchhost.invalid", "nosuchhost.invalid", "(Name or service|Temporary failure).*"),
        # Of a network that is for documentation alone.
        ("203.0.113.7", "203.0.113.7", "Cannot assign requested address"),
        ("::zz", r"\[::zz\]", "(Name or service|Temporary failure|Address family).*"),
    ],
)
def test_what_cannot_be_listened_on_is_told_in_a_line(host, printed, reason):
    with pytest.raises(OSError, match=f"^{printed}:8501: {reason}; name another --host or --port$"):
        listen(host, 8501)


def test_a_port_that_is_taken():
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"^127.0.0.1:{port}: Address already in use; "):
            listen("127.0.0.1", port)


def test_the_address_is_one_that_clients_find():
    with listen("127.0.0.1", 0) as listener:
        found = urllib.parse.urlsplit(address("127.0.0.1", listener))
        with socket.create_connection((found.hostname, found.port)):
            accepted, _ = listener.accept()
            accepted.close()
    assert found.scheme == "http"
