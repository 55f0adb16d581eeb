import os

import pytest
from tensorflow_metadata.proto.v0 import statistics_pb2

from components.data_validator import good_spans
from components.data_validator import statistics as data_statistics


def statistics(count):
    found = statistics_pb2.DatasetFeatureStatisticsList()
    found.datasets.add(num_examples=count)
    return found


@pytest.mark.parametrize(
    ("recorded", "span", "expected"),
    [
        # Span and number of examples, in the order in which they were validated.
        pytest.param([], 3, None, id="nothing yet"),
        pytest.param([(0, 10)], 0, None, id="data without spans"),
        pytest.param([(1, 10)], 2, 10, id="the span before"),
        pytest.param([(2, 20), (1, 10)], 3, 20, id="the latest, in any order"),
        pytest.param([(9, 90), (10, 100)], 11, 100, id="numbers, not names"),
        pytest.param([(1, 10), (1, 11)], 2, 11, id="the latest of a span"),
        pytest.param([(1, 10), (1, 11), (1, 10)], 2, 10, id="what was validated again"),
        pytest.param([(3, 30)], 2, None, id="later spans do not count"),
    ],
)
def test_the_latest_good_span_before_the_current(tmp_path, recorded, span, expected):
    folder = str(tmp_path / "good_spans")
    for order, (of_span, count) in enumerate(recorded):
        before = set(tmp_path.rglob("*.pb"))
        good_spans.record(folder, of_span, statistics(count))
        # Two files may be written within the resolution of a file system's clock.
        for path in set(tmp_path.rglob("*.pb")) - before or set(tmp_path.glob(f"*/{of_span}/*.pb")):
            if data_statistics.read(str(path)).datasets[0].num_examples == count:
                os.utime(path, ns=(order * 10**9, order * 10**9))

    found = good_spans.latest_before(folder, span)

    assert (data_statistics.read(found).datasets[0].num_examples if found else None) == expected


def test_the_same_statistics_have_the_same_name(tmp_path):
    names = set()
    for _ in range(2):
        good_spans.record(str(tmp_path), 1, statistics(5))
        names.add(good_spans.latest_before(str(tmp_path), 2))
    assert len(names) == 1
