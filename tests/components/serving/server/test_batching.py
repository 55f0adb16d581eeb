import asyncio
import contextlib
import threading

import numpy as np
import pytest

from components.serving.server.batching import Batcher, split
from components.serving.server.errors import RequestError
from components.serving.server.servable import Servable


@pytest.fixture(scope="module")
def servable(generator_folder):
    return Servable(str(generator_folder / "17"), 17)


class Recorder:
    """Passes calls on once it is let, and notes their rows."""

    def __init__(self, servable):
        self._servable = servable
        self.signatures, self.max_rows = servable.signatures, servable.max_rows
        self.calls = []
        self.go = threading.Event()

    def __call__(self, signature, inputs):
        self.go.wait()
        self.calls.append((signature, [len(value) for value in inputs.values()]))
        return self._servable(signature, inputs)


def inputs(seeds, labels=None):
    return {"seeds": np.array(seeds, np.int64), "labels": np.resize(labels or [0, 2], len(seeds))}


async def answers(servable, requests, **options):
    """The results of requests that have all come while the model was busy."""
    recorder = Recorder(servable)
    with contextlib.closing(Batcher(**options)) as batcher:
        futures = [batcher.submit(recorder, "draw_labels", {"seeds": np.array([1])}, 1)]
        await asyncio.sleep(0.05)
        for signature, given in requests:
            rows = len(next(iter(given.values())))
            futures.append(batcher.submit(recorder, signature, given, rows))
        recorder.go.set()
        results = await asyncio.gather(*futures, return_exceptions=True)
    return results[1:], recorder.calls[1:]


def test_the_bytes_are_those_of_a_request_alone(servable):
    random = np.random.default_rng(0)
    counts = [1, 3, 0, 7, 1, 64, 2, 1]
    requests = [
        (signature, inputs(random.integers(-(2**63), 2**63, count)))
        for signature in ("sample", "sample_png")
        for count in counts
    ]
    results, calls = asyncio.run(answers(servable, requests))

    # Two calls for sixteen requests.
    assert calls == [("sample", [79, 79]), ("sample_png", [79, 79])]
    for (signature, given), result in zip(requests, results, strict=True):
        (name, alone), *_ = servable(signature, given).items()
        assert result[name].tolist() == alone.tolist()


def test_a_bad_request_does_not_fail_its_company(servable):
    requests = [("sample", inputs([seed])) for seed in range(9)]
    requests[4] = ("sample", inputs([4], labels=[1]))
    requests.append(("sample", {"seeds": np.array([1, 2]), "labels": np.array([0])}))
    results, _ = asyncio.run(answers(servable, requests))

    for index, (result, (signature, given)) in enumerate(zip(results, requests, strict=True)):
        if index in (4, 9):
            assert isinstance(result, RequestError)
            assert "labels: " in result.message
        else:
            expected = servable(signature, given)["images"]
            assert (result["images"] == expected).all()


def test_a_call_has_no_more_rows_than_the_model_takes(servable):
    requests = [("draw_labels", {"seeds": np.arange(400)}) for _ in range(5)]
    results, calls = asyncio.run(answers(servable, requests))

    assert [rows for _, (rows,) in calls] == [800, 800, 400]
    assert all(len(result["labels"]) == 400 for result in results)


def test_what_does_not_work_by_rows_is_never_merged(half_folder):
    half = Servable(str(half_folder / "123"), 123)

    async def run():
        with contextlib.closing(Batcher()) as batcher:
            futures = [
                batcher.submit(half, "total", {"x": np.ones(n, np.float32)}, n) for n in (1, 2, 3)
            ]
            return [result["y"].item() for result in await asyncio.gather(*futures)]

    assert asyncio.run(run()) == [1.0, 2.0, 3.0]


def test_a_request_that_nobody_waits_for_is_not_computed(servable):
    async def run():
        recorder = Recorder(servable)
        with contextlib.closing(Batcher()) as batcher:
            first = batcher.submit(recorder, "sample", inputs([1]), 1)
            await asyncio.sleep(0.05)
            batcher.submit(recorder, "sample", inputs([2]), 1).cancel()
            last = batcher.submit(recorder, "sample", inputs([3, 4]), 2)
            recorder.go.set()
            await asyncio.gather(first, last)
        return recorder.calls

    assert asyncio.run(run()) == [("sample", [1, 1]), ("sample", [2, 2])]


def test_requests_wait_for_others_if_told_to(servable):
    async def run():
        recorder = Recorder(servable)
        recorder.go.set()
        with contextlib.closing(Batcher(wait_seconds=60)) as batcher:
            # Full, so that nobody has to wait for a minute.
            counts = (1000, 24)
            futures = [batcher.submit(recorder, "sample", inputs(range(n)), n) for n in counts]
            await asyncio.gather(*futures)
        return recorder.calls

    assert asyncio.run(run()) == [("sample", [1024, 1024])]


def test_rows_of_others_are_not_handed_out():
    outputs = {"images": np.arange(6).reshape(3, 2)}
    assert [each["images"].tolist() for each in split(outputs, [1, 0, 2])] == [
        [[0, 1]],
        [],
        [[2, 3], [4, 5]],
    ]
    with pytest.raises(ValueError, match="images: expected 4 rows, found 3"):
        split(outputs, [2, 2])
