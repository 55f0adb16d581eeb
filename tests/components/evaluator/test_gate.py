"""The rules that decide a blessing."""

import math

import pytest
from pydantic import ValidationError

from components.evaluator import gate
from components.evaluator.config import EvaluatorConfig, GateConfig
from components.evaluator.scores import Score

NAN = float("nan")


def scores(**values):
    return {name: Score(value) for name, value in values.items()}


@pytest.mark.parametrize(
    ("rules", "value", "passed"),
    [
        ({"bounds": {"fid": {"max": 60}}}, 60.0, True),
        ({"bounds": {"fid": {"max": 60}}}, 60.1, False),
        ({"bounds": {"fid": {"max": 60}}}, NAN, False),
        ({"bounds": {"fid": {"min": 1}}}, 0.9, False),
        ({"bounds": {"fid": {"min": 1}}}, 1.0, True),
        ({"bounds": {"fid": {"min": 1}}}, NAN, False),
        ({"not_worse_than_blessed": {"fid": 0.1}}, NAN, False),
        ({"not_worse_than_blessed": {"fid": 0.1}}, 1e9, True),
    ],
)
def test_without_a_baseline_the_bounds_decide(rules, value, passed):
    (verdict,) = gate.judge(scores(fid=value), None, GateConfig(**rules))

    assert verdict.passed is passed
    assert verdict.value == value or math.isnan(value)


@pytest.mark.parametrize(
    ("metric", "tolerance", "value", "baseline", "limit", "passed"),
    [
        ("fid", 0.1, 21.9, 20.0, 22.0, True),
        ("fid", 0.1, 22.1, 20.0, 22.0, False),
        ("fid", 0.0, 20.0, 20.0, 20.0, True),
        ("fid", 0.1, NAN, 20.0, 22.0, False),
        ("precision", 0.1, 0.46, 0.5, 0.45, True),
        ("precision", 0.1, 0.44, 0.5, 0.45, False),
        # An estimate below zero is as good as it gets: the tolerance still leaves room.
        ("kid", 0.5, -0.0012, -0.002, -0.001, True),
        ("kid", 0.5, -0.0008, -0.002, -0.001, False),
    ],
)
def test_a_baseline_sets_the_limit(metric, tolerance, value, baseline, limit, passed):
    config = GateConfig(not_worse_than_blessed={metric: tolerance})

    (verdict,) = gate.judge(scores(**{metric: value}), scores(**{metric: baseline}), config)

    assert verdict.limit == pytest.approx(limit)
    assert verdict.passed is passed


def test_every_rule_has_a_verdict_in_words():
    config = GateConfig(
        bounds={"fid": {"max": 60}, "precision": {"min": 0.2, "max": 1}},
        not_worse_than_blessed={"fid": 0.1},
    )

    verdicts = gate.judge(scores(fid=24, precision=0.1), scores(fid=20, precision=0.9), config)

    assert [str(verdict) for verdict in verdicts] == [
        "FID at most 60: 24, passed",
        "Precision at least 0.2: 0.1, failed",
        "Precision at most 1: 0.1, passed",
        "FID at most 10 % worse than the last blessed model's (limit 22): 24, failed",
    ]


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({}, "gate"),
        ({"gate": {}}, "evaluator.gate: no rule"),
        ({"gate": {"bounds": {"fidd": {"max": 1}}}}, "unknown metric 'fidd': did you mean 'fid'"),
        ({"gate": {"bounds": {"fid": {}}}}, "a bound without min and max"),
        ({"gate": {"bounds": {"fid": {"min": 2, "max": 1}}}}, "min 2 lies above max 1"),
        ({"gate": {"bounds": {"fid": {"max": NAN}}}}, "finite"),
        ({"gate": {"bounds": {"fid": {"most": 1}}}}, "most"),
        ({"gate": {"not_worse_than_blessed": {"fid": -0.1}}}, "greater than or equal to 0"),
        ({"gate": {"not_worse_than_blessed": {"psnr": 0.1}}}, "unknown metric 'psnr'"),
        ({"gate": {"bounds": {"fid": {"max": 1}}}, "num_fake": 0}, "num_fake"),
    ],
)
def test_sections_that_cannot_be_meant_are_refused(section, message):
    with pytest.raises(ValidationError, match=message):
        EvaluatorConfig(**section)
