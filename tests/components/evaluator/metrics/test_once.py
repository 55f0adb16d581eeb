"""Threads that ask for the same value: one computes it, the others wait."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from components.evaluator.metrics.once import once


class Thing:
    def __init__(self):
        self.computed = []
        self.other_is_asked_for = threading.Event()

    @once
    def value(self):
        self.computed.append("value")
        assert self.other_is_asked_for.wait(30), "another property waited for this one"
        return object()

    @once
    def other(self):
        self.computed.append("other")
        self.other_is_asked_for.set()
        return 2

    @once
    def both(self):
        return self.value, self.other

    @once
    def fails(self):
        self.computed.append("fails")
        raise ValueError("no value")


def test_it_is_computed_once_and_others_go_on():
    thing = Thing()
    with ThreadPoolExecutor(5) as pool:
        first, *rest = [pool.submit(lambda: thing.value) for _ in range(4)]
        assert pool.submit(lambda: thing.other).result(30) == 2
        found = first.result(30)
        assert all(each.result(30) is found for each in rest)

    assert sorted(thing.computed) == ["other", "value"]
    assert thing.both == (found, 2)


def test_an_error_is_not_kept():
    thing = Thing()
    for _ in range(2):
        with pytest.raises(ValueError, match="no value"):
            _ = thing.fails

    assert thing.computed == ["fails", "fails"]
