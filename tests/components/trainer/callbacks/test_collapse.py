"""Detection of mode collapse."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from components.trainer.callbacks.collapse import CollapseWatch, WatchConfig
from components.trainer.callbacks.quality import Measurement


def judge(measured, accuracy, config=WatchConfig()):  # noqa: B008
    """Whether it counts as a collapse, and all warnings."""
    watch = CollapseWatch(config)
    collapse = watch.collapse(measured) if measured else []
    return bool(collapse), [*collapse, *watch.saturation(accuracy)]


def measurement(coverage=1.0, diversity=1.0):
    return Measurement(fid=1.0, kid=0.1, coverage=coverage, recall=1, diversity=diversity)


@pytest.mark.parametrize(
    ("measured", "accuracy", "collapsed", "topics"),
    [
        pytest.param(measurement(), 0.8, False, [], id="well"),
        pytest.param(measurement(0.5, 0.3), 0.995, False, [], id="just well"),
        pytest.param(measurement(coverage=0.32), 0.8, True, ["coverage"], id="modes dropped"),
        pytest.param(measurement(diversity=0.0), 0.8, True, ["diversity"], id="one image"),
        pytest.param(measurement(0.05, 0.1), 0.8, True, ["coverage", "diversity"], id="both"),
        pytest.param(measurement(), 1.0, False, ["discriminator"], id="saturated"),
        pytest.param(None, 0.999, False, ["discriminator"], id="saturated, not measured"),
        pytest.param(None, 0.0, False, [], id="not measured"),
        pytest.param(
            measurement(0.05, 0.1),
            1.0,
            True,
            ["coverage", "diversity", "discriminator"],
            id="all of it",
        ),
    ],
)
def test_verdicts(measured, accuracy, collapsed, topics):
    found, warnings = judge(measured, accuracy)

    assert found is collapsed
    assert [topic in line for topic, line in zip(topics, warnings, strict=True)] == [
        True for _ in topics
    ]


@pytest.mark.parametrize(
    ("measured", "accuracy", "words"),
    [
        (measurement(coverage=0.32), 0.8, ["0.32", "watch.min_coverage 0.5", "r1"]),
        (measurement(diversity=0.1234), 0.8, ["0.1234", "watch.min_diversity 0.3", "rate"]),
        (None, 0.9987, ["0.9987", "watch.max_confidence 0.995", "discriminator_optimizer"]),
    ],
)
def test_a_warning_names_value_threshold_and_remedy_in_one_line(measured, accuracy, words):
    _, (line,) = judge(measured, accuracy)

    assert "\n" not in line
    assert [word for word in words if word not in line] == []


@given(st.floats(0, 1), st.floats(0, 3), st.floats(0, 1))
def test_worse_scores_never_turn_a_collapse_into_health(coverage, diversity, factor):
    before, warnings_before = judge(measurement(coverage, diversity), 0.5)
    after, warnings_after = judge(measurement(coverage * factor, diversity * factor), 0.5)

    assert after >= before
    assert len(warnings_after) >= len(warnings_before)


def test_thresholds_are_the_sections():
    low = measurement(coverage=0.4, diversity=0.2)

    assert judge(low, 0.9)[0]
    lenient = WatchConfig(min_coverage=0.4, min_diversity=0.2, max_confidence=1.0)
    assert judge(low, 1.0, lenient) == (False, [])
    assert WatchConfig().rollback is False


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"min_coverage": 1.1}, "less than or equal to 1"),
        ({"min_diversity": -0.1}, "greater than or equal to 0"),
        ({"max_confidence": 0.5}, "greater than 0.5"),
        ({"grace_images": -1}, "greater than or equal to 0"),
        ({"learning_rate_factor": 1.0}, "less than 1"),
        ({"learning_rate_factor": 0.0}, "greater than 0"),
        ({"max_rollbacks": 0}, "greater than or equal to 1"),
        ({"max_rollback": 1}, "Extra inputs are not permitted"),
    ],
)
def test_sections_that_make_no_sense_are_refused(section, message):
    with pytest.raises(ValidationError, match=message):
        WatchConfig(**section)


def test_fakes_that_do_not_follow_their_labels_are_a_warning_but_no_collapse():
    watch = CollapseWatch(WatchConfig())
    ignoring = dataclasses.replace(measurement(), class_accuracy=0.125, follows_labels=False)

    assert watch.collapse(ignoring) == []
    (line,) = watch.ignored_labels(ignoring)
    assert "class_accuracy 0.125" in line
    assert watch.ignored_labels(measurement()) == []
