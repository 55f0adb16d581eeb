"""The workers find each other, whatever the order in which they come, and name who does not."""

import concurrent.futures
import logging
import socket
import threading
import time

import pytest

from components.trainer import rendezvous


@pytest.fixture
def addresses():
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
    found = [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]
    for each in sockets:
        each.close()
    return found


def _meet(addresses, delays, minutes=0.5):
    """What each worker, by index, gets that comes after its delay in seconds."""

    def come(index):
        time.sleep(delays[index])
        try:
            return rendezvous.meet(addresses, index, minutes)
        except rendezvous.TryAgain as error:
            assert error.code == 75
            return error.message

    with concurrent.futures.ThreadPoolExecutor() as pool:
        return dict(zip(delays, pool.map(come, delays), strict=True))


@pytest.mark.parametrize(
    "delays", [{0: 0, 1: 0, 2: 0}, {0: 0.5, 1: 0, 2: 0.2}, {0: 0, 1: 0.2, 2: 0.5}]
)
def test_all_meet_in_any_order(addresses, delays):
    assert _meet(addresses, delays) == {0: None, 1: None, 2: None}


@pytest.mark.parametrize(
    ("present", "missing"), [([0, 1], [2]), ([0, 2], [1]), ([0], [1, 2]), ([1, 2], [0])]
)
def test_who_is_missing_is_named_to_all(addresses, present, missing, caplog):
    found = _meet(addresses, dict.fromkeys(present, 0), minutes=0.02)
    names = ", ".join(f"worker {index} ({addresses[index]})" for index in missing)
    for message in found.values():
        assert message == (
            f"after 0.02 minutes, missing: {names}; start all workers, or raise "
            "trainer.wait_for_workers_minutes"
        )
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert [record.getMessage() for record in errors] == list(found.values())


def test_a_worker_that_died_while_waiting_is_replaced_by_its_next_attempt(addresses):
    with concurrent.futures.ThreadPoolExecutor() as pool:
        chief = pool.submit(rendezvous.meet, addresses[:2], 0, 0.5)
        host, port = addresses[0].split(":")
        # Its first attempt: reports and is killed.
        deadline = time.monotonic() + 10
        while True:
            try:
                dead = socket.create_connection((host, int(port)))
                break
            except ConnectionRefusedError:
                assert time.monotonic() < deadline
        dead.close()
        assert pool.submit(rendezvous.meet, addresses[:2], 1, 0.5).result() is None
        assert chief.result() is None


def test_a_training_that_is_under_way_is_not_joined(addresses):
    # TensorFlow's server: accepts, and speaks another language.
    listener = socket.create_server(("127.0.0.1", 0))
    address = f"127.0.0.1:{listener.getsockname()[1]}"

    def serve():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.sendall(b"\x00\x00\x18\x04\x00\n")

    server = threading.Thread(target=serve)
    server.start()
    try:
        with pytest.raises(rendezvous.TryAgain) as caught:
            rendezvous.meet([address, "b:1"], 1, 0.02)
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        server.join()
    assert f"missing: worker 0 ({address})" in caught.value.message


def test_strangers_do_not_disturb_the_chief(addresses):
    with concurrent.futures.ThreadPoolExecutor() as pool:
        chief = pool.submit(rendezvous.meet, addresses[:2], 0, 0.5)
        host, port = addresses[0].split(":")
        deadline = time.monotonic() + 10
        sent = 0
        while sent < 3:
            try:
                with socket.create_connection((host, int(port))) as stranger:
                    stranger.sendall([b"GET / HTTP/1.1\n", b"[1]\n", b'{"worker": 1}\n'][sent])
                    sent += 1
            except ConnectionRefusedError:
                assert time.monotonic() < deadline
        assert not chief.done()
        rendezvous.meet(addresses[:2], 1, 0.5)
        assert chief.result() is None


def test_nobody_listens_where_a_worker_is_gone(addresses):
    host, port = addresses[1].split(":")
    with socket.create_server((host, int(port))):
        assert rendezvous.unreachable(addresses, own=0) == [2]
        assert rendezvous.unreachable(addresses, own=2) == [0]


def test_a_worker_that_is_dying_is_waited_for(addresses):
    host, port = addresses[1].split(":")
    listener = socket.create_server((host, int(port)))
    dies = threading.Timer(0.5, listener.close)
    dies.start()
    pair = addresses[:2]
    assert rendezvous.unreachable(pair, own=0) == []
    assert rendezvous.unreachable(pair, own=0, seconds=30) == [1]
    dies.join()
