"""Which earlier statistics a span is compared with, over hand-made artifacts."""

import pytest
from tfx.types import artifact_utils, standard_artifacts

from components.data_validator.previous import LatestGoodSpan


def examples_of(span):
    examples = standard_artifacts.Examples()
    examples.set_int_custom_property("span", span)
    return examples


def statistics_with(number):
    statistics = standard_artifacts.ExampleStatistics()
    statistics.id = number
    return statistics


def anomalies_of(number, span, blessed):
    anomalies = standard_artifacts.ExampleAnomalies()
    anomalies.span = span
    anomalies.split_names = artifact_utils.encode_split_names(["train", "eval"])
    anomalies.set_json_value_custom_property("blessed", blessed)
    anomalies.set_int_custom_property("statistics_id", number)
    return anomalies


GOOD, BAD, HALF = {"train": 1, "eval": 1}, {"train": 0, "eval": 1}, {"train": 1}


@pytest.mark.parametrize(
    ("span", "judged", "others", "expected"),
    [
        # Number of the statistics, their span, the verdict.
        pytest.param(0, [(1, 0, GOOD)], [], [], id="data without spans"),
        pytest.param(2, [(1, 1, GOOD)], [9], [1], id="the span before"),
        pytest.param(3, [(4, 1, GOOD), (1, 2, GOOD)], [9], [1], id="the latest, in any order"),
        pytest.param(3, [(1, 1, GOOD), (4, 2, BAD)], [9], [1], id="refused spans do not count"),
        pytest.param(3, [(1, 1, GOOD), (4, 2, HALF)], [9], [1], id="nor half judged ones"),
        pytest.param(2, [(1, 1, GOOD), (4, 1, GOOD)], [9], [4], id="the latest of a span"),
        pytest.param(2, [(1, 3, GOOD)], [9], [], id="later spans do not count"),
    ],
)
def test_the_latest_good_span_before_the_current(span, judged, others, expected):
    examples = examples_of(span)
    resolved = LatestGoodSpan().resolve_artifacts(
        None,
        {
            "examples": [examples],
            "statistics": [statistics_with(n) for n in [*(n for n, _, _ in judged), *others]],
            "anomalies": [anomalies_of(*each) for each in judged],
        },
    )

    assert resolved["examples"] == [examples]
    assert [statistics.id for statistics in resolved["statistics"]] == expected
    assert [a.get_int_custom_property("statistics_id") for a in resolved["anomalies"]] == expected
