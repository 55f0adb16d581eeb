"""The rules that decide a blessing."""

import numpy as np
import pytest
from pydantic import ValidationError

from components.evaluator import gate
from components.evaluator.config import EvaluatorConfig, GateConfig
from components.evaluator.evaluation import Score

NAN = float("nan")
# Of a Student t of 19 degrees of freedom, which is what 20 replicates have.
T = 2.093


def score(value, error=0.0):
    """With a standard error, and replicates that have it."""
    pattern = np.tile([-1.0, 1.0], 10)
    replicates = value + error * pattern / pattern.std(ddof=1)
    return Score(value, value - T * error, value + T * error, replicates=replicates)


def scored(extractor="e", real="r", **scores):
    return gate.Scored({"recall": score(1.0), **scores}, extractor, real)


def failed(verdicts):
    return [verdict.metric for verdict in verdicts if not verdict.passed]


@pytest.mark.parametrize(
    ("bound", "found", "passed"),
    [
        pytest.param({"max": 60}, score(60.0), True, id="on the border"),
        pytest.param({"max": 60}, score(60.1), False, id="beyond the border"),
        pytest.param({"max": 60}, score(55.0, 2.0), True, id="whole interval within"),
        pytest.param({"max": 60}, score(59.0, 2.0), False, id="estimate within, interval not"),
        pytest.param({"max": 60}, score(NAN), False, id="NaN above"),
        pytest.param({"min": 1}, score(1.0), True, id="least"),
        pytest.param({"min": 1}, score(1.5, 0.3), False, id="interval reaches below the least"),
        pytest.param({"min": 1}, score(NAN), False, id="NaN below"),
        pytest.param({"max": 60}, Score(59.0), True, id="no interval: the estimate"),
    ],
)
def test_the_whole_interval_must_lie_within_the_bounds(bound, found, passed):
    config = GateConfig(bounds={"fid": bound})

    verdicts = gate.judge(scored(fid=found), None, config)

    assert failed(verdicts) == ([] if passed else ["fid"])


@pytest.mark.parametrize(
    ("metric", "candidate", "baseline", "better", "not_worse"),
    [
        pytest.param("fid", score(20.0), score(20.0), False, True, id="the same"),
        pytest.param("fid", score(18.0, 0.5), score(20.0), True, True, id="clearly better"),
        pytest.param("fid", score(19.5, 0.5), score(20.0), False, True, id="perhaps better"),
        pytest.param("fid", score(21.0, 0.2), score(20.0), False, True, id="a little worse"),
        pytest.param("fid", score(21.5, 0.5), score(20.0), False, False, id="perhaps too bad"),
        pytest.param("fid", score(23.0), score(20.0), False, False, id="clearly worse"),
        pytest.param("fid", score(NAN), score(20.0), False, False, id="NaN"),
        pytest.param("precision", score(0.6), score(0.5), True, True, id="higher is better"),
        pytest.param("precision", score(0.4), score(0.5), False, False, id="lower is worse"),
        # An estimate below zero is as good as it gets: the tolerance still leaves room.
        pytest.param("kid", score(-0.0019), score(-0.002), False, True, id="below zero"),
        pytest.param("kid", score(-0.0005), score(-0.002), False, False, id="too far from it"),
    ],
)
def test_the_interval_of_the_change_is_compared(metric, candidate, baseline, better, not_worse):
    pair = scored(**{metric: candidate}), scored(**{metric: baseline})

    rules = GateConfig(better_than_blessed=[metric])
    assert failed(gate.judge(*pair, rules)) == ([] if better else [metric])
    rules = GateConfig(not_worse_than_blessed={metric: 0.1})
    assert failed(gate.judge(*pair, rules)) == ([] if not_worse else [metric])


def test_a_tolerance_does_not_add_up_over_runs():
    """Each FID is within half of the one before, which alone would bless all five."""
    rules = GateConfig(bounds={"fid": {"max": 100}}, not_worse_than_blessed={"fid": 0.5})
    blessed, refused = [], {}
    for fid in (20.0, 29.0, 42.0, 61.0, 88.0):
        candidate = scored(fid=score(fid))
        last = blessed[-1] if blessed else None
        best = min(blessed, key=lambda each: each.scores["fid"].value, default=None)
        verdicts = gate.judge(candidate, last, rules, best=None if best is last else best)
        if failed(verdicts):
            refused[fid] = [verdict.rule for verdict in verdicts if not verdict.passed]
        else:
            blessed.append(candidate)

    assert [each.scores["fid"].value for each in blessed] == [20, 29]
    assert refused[42.0] == ["FID at most 50 % worse than the best blessed model's"]
    assert list(refused) == [42, 61, 88]


def test_only_the_last_blessed_model_has_to_be_improved_on():
    rules = GateConfig(better_than_blessed=["fid"])
    candidate, last, best = (scored(fid=score(fid)) for fid in (25.0, 29.0, 20.0))

    verdicts = gate.judge(candidate, last, rules, best=best)

    assert failed(verdicts) == []
    assert [verdict.rule for verdict in verdicts if verdict.metric == "fid"] == [
        "FID better than the last blessed model's"
    ]


def test_what_both_owe_to_the_real_images_does_not_make_them_indistinguishable():
    candidate, baseline = score(18.0, 5.0), score(20.0, 5.0)

    verdicts = gate.judge(
        scored(fid=candidate), scored(fid=baseline), GateConfig(better_than_blessed=["fid"])
    )

    assert failed(verdicts) == []


@pytest.mark.parametrize(("value", "passed"), [(1e9, True), (NAN, False)])
def test_without_a_blessed_model_comparisons_pass(value, passed):
    rules = GateConfig(not_worse_than_blessed={"fid": 0.1}, better_than_blessed=["fid"])

    verdicts = gate.judge(scored(fid=score(value)), None, rules)

    assert failed(verdicts) == ([] if passed else ["fid", "fid"])
    assert "there is none yet" in str(verdicts[-1])


@pytest.mark.parametrize("differing", ["extractor", "real"])
def test_scores_under_another_protocol_are_never_compared(differing):
    candidate, baseline = scored(fid=score(1.0)), scored(fid=score(9.0), **{differing: "other"})
    rules = GateConfig(better_than_blessed=["fid"])

    for last, best in ((baseline, None), (scored(fid=score(9.0)), baseline)):
        *_, verdict = gate.judge(candidate, last, rules, best=best)

        assert not verdict.passed
        assert "other" in verdict.found
    assert gate.changes(candidate, baseline) == {}
    assert gate.changes(candidate, scored(fid=score(9.0)))["fid"].value == -8


def share(value, real=0.0, p=0.0):
    return Score(value, value, value, details={"real": real, "excess_p": p})


REFERENCES = {
    "train": {"fid": score(2.0), "precision": score(0.8), "recall": score(0.8)},
    "untrained": {"fid": score(302.0)},
    "noise": {"fid": score(1000.0)},
}


@pytest.mark.parametrize(
    ("metric", "found", "kept"),
    [
        pytest.param("precision", score(0.41), True, id="half of the train split's"),
        pytest.param("precision", score(0.39, 0.2), True, id="less, by chance"),
        pytest.param("precision", score(0.39, 0.1), False, id="less"),
        pytest.param("precision", score(NAN), False, id="NaN"),
        pytest.param("fid", score(76.0), True, id="a quarter of the way to untrained"),
        pytest.param("fid", score(80.0, 40.0), True, id="further, by chance"),
        pytest.param("fid", score(80.0, 10.0), False, id="further"),
        pytest.param("copies", share(0.09), True, id="few copies"),
        pytest.param("copies", share(0.12), False, id="more than a tenth"),
        pytest.param("copies", share(0.12, p=0.001), True, id="chance explains it"),
        pytest.param("duplicates", share(0.62, real=0.6), True, id="real rows repeat as often"),
        pytest.param("duplicates", share(0.7, real=0.6), False, id="real rows repeat less"),
        pytest.param("modes", score(0.9), True, id="nine of ten classes"),
        pytest.param("modes", score(0.8), False, id="eight of ten"),
        pytest.param(
            "class_accuracy",
            Score(0.5, details={"real": 0.9, "chance": 0.1}),
            True,
            id="half-way from chance",
        ),
        pytest.param(
            "class_accuracy",
            Score(0.49, details={"real": 0.9, "chance": 0.1}),
            False,
            id="nearer to chance",
        ),
        pytest.param("mode_kl", Score(0.5, details={"p_value": 0.01}), True, id="few samples"),
        pytest.param("mode_kl", Score(0.5, details={"p_value": 1e-9}), False, id="other classes"),
    ],
)
def test_a_metric_has_a_standard_unless_the_recipe_has_a_bound(metric, found, kept):
    candidate = gate.Scored({metric: found}, "e", "r")

    assert failed(gate.judge(candidate, None, GateConfig(), REFERENCES)) == (
        [] if kept else [metric]
    )
    lenient = GateConfig(bounds={metric: None})
    assert gate.judge(candidate, None, lenient, REFERENCES) == []


def test_without_references_only_absolute_standards_are_left():
    candidate = gate.Scored({"fid": score(1e9), "precision": score(0.0)}, "e", "r")

    assert gate.judge(candidate, None, GateConfig()) == []


@pytest.mark.parametrize(
    ("metric", "baseline", "candidate", "passed"),
    [
        ("copies", score(0.0), score(0.001, 0.001), True),
        ("copies", score(0.0), score(0.06), False),
        ("fid", score(0.0), score(2.9), True),
        ("fid", score(0.0), score(3.1), False),
    ],
)
def test_a_tolerance_has_a_scale_where_the_baseline_is_nothing(metric, baseline, candidate, passed):
    rules = GateConfig(not_worse_than_blessed={metric: 0.5}, bounds={metric: {"max": 100}})

    verdicts = gate.judge(
        scored(**{metric: candidate}), scored(**{metric: baseline}), rules, REFERENCES
    )

    assert failed(verdicts) == ([] if passed else [metric])


def test_a_rule_about_a_metric_that_is_not_there_is_an_error():
    with pytest.raises(ValueError, match=r"evaluator.gate: inception_score .*there are recall"):
        gate.judge(scored(), None, GateConfig(bounds={"inception_score": {"min": 2}}))


def test_a_verdict_says_rule_value_and_interval():
    verdicts = gate.judge(
        scored(fid=score(25.0, 1.0)), None, GateConfig(bounds={"fid": {"max": 24}})
    )

    text = [str(verdict) for verdict in verdicts if verdict.metric == "fid"]
    assert text == ["FID at most 24: 25 [22.91, 27.09], failed"]


@pytest.mark.parametrize(
    ("gate_section", "reason"),
    [
        ({"bounds": {"fid": {}}}, "min and max"),
        ({"bounds": {"fid": {"min": 2, "max": 1}}}, "min 2 lies above max 1"),
        ({"bounds": {"fids": {"max": 1}}}, "did you mean 'fid'"),
        ({"bounds": {"fid": {"max": NAN}}}, "finite"),
        ({"not_worse_than_blessed": {"fid": -0.1}}, "greater than or equal to 0"),
        ({"better_than_blessed": ["speed"]}, "unknown metric 'speed'"),
        ({"bound": {}}, "Extra inputs"),
    ],
)
def test_a_wrong_rule_is_an_error_before_anything_runs(gate_section, reason):
    with pytest.raises(ValidationError, match=reason):
        EvaluatorConfig(gate=gate_section)
