"""The verdicts of the watch, and the best of a training across a checkpoint."""

import math

import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from components.trainer.callbacks.collapse import CollapseWatch, Selection, WatchConfig
from components.trainer.callbacks.quality import Measurement

watch = CollapseWatch(min_coverage=0.5, min_diversity=0.3, max_confidence=0.995)


def measurement(coverage=1.0, diversity=1.0):
    return Measurement(fid=1.0, kid=0.1, coverage=coverage, diversity=diversity)


@pytest.mark.parametrize(
    ("measured", "confidence", "collapsed", "topics"),
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
def test_verdicts(measured, confidence, collapsed, topics):
    verdict = watch.judge(measured, confidence)

    assert verdict.collapsed is collapsed
    assert [topic in line for topic, line in zip(topics, verdict.warnings, strict=True)] == [
        True for _ in topics
    ]


@pytest.mark.parametrize(
    ("measured", "confidence", "words"),
    [
        (measurement(coverage=0.32), 0.8, ["0.32", "watch.min_coverage 0.5", "r1"]),
        (measurement(diversity=0.1234), 0.8, ["0.1234", "watch.min_diversity 0.3", "rate"]),
        (None, 0.9987, ["0.9987", "watch.max_confidence 0.995", "discriminator_optimizer"]),
    ],
)
def test_a_warning_names_value_threshold_and_remedy_in_one_line(measured, confidence, words):
    (line,) = watch.judge(measured, confidence).warnings

    assert "\n" not in line
    assert [word for word in words if word not in line] == []


@given(st.floats(0, 1), st.floats(0, 3), st.floats(0, 1))
def test_worse_scores_never_turn_a_collapse_into_health(coverage, diversity, factor):
    before = watch.judge(measurement(coverage, diversity), 0.5)
    after = watch.judge(measurement(coverage * factor, diversity * factor), 0.5)

    assert after.collapsed >= before.collapsed
    assert len(after.warnings) >= len(before.warnings)


def test_the_defaults_of_the_section_make_a_watch():
    config = WatchConfig()
    thresholds = config.model_dump(include={"min_coverage", "min_diversity", "max_confidence"})

    assert CollapseWatch(**thresholds).judge(measurement(), 0.9).warnings == ()
    assert config.rollback is False


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


def test_the_first_score_is_the_best_and_lower_is_better():
    selection = Selection()

    assert not selection.made
    assert [selection.offer(score, 10 * n) for n, score in enumerate([9, 7, 8, 7, 6], 1)] == [
        True,
        True,
        False,
        False,
        True,
    ]
    assert selection.made
    assert (float(selection.score), int(selection.images)) == (6, 50)


def test_nan_is_never_the_best():
    selection = Selection()

    assert not selection.offer(math.nan, 10)
    assert selection.offer(-0.5, 20)
    assert not selection.offer(math.nan, 30)


def test_patience_counts_scores_in_a_row():
    selection = Selection()
    seen = []
    for n, score in enumerate([5, 6, 7, 4, 5, 6, 4]):
        selection.offer(score, n)
        seen.append(selection.exhausted(2))

    # The 4 in between starts the count again; another 4 is no better.
    assert seen == [False, False, True, False, False, True, True]
    assert not selection.exhausted(4)
    assert not selection.exhausted(None)


@given(st.lists(st.floats(-10, 10), min_size=1, max_size=6))
def test_the_best_is_the_first_minimum(scores):
    selection = Selection()
    for n, score in enumerate(scores):
        selection.offer(score, n)

    assert float(selection.score) == min(scores)
    assert int(selection.images) == scores.index(min(scores))
    assert int(selection.worse) == len(scores) - 1 - scores.index(min(scores))


def test_a_selection_survives_a_checkpoint(tmp_path):
    selection, again = Selection(), Selection()
    selection.offer(0.1 + 0.2, 2**40)
    selection.offer(5.0, 2**41)
    path = tf.train.Checkpoint(selection=selection).save(str(tmp_path / "state"))

    tf.train.Checkpoint(selection=again).restore(path).assert_consumed()

    # To the last bit: a resumed training must decide as the other would have.
    assert float(again.score) == 0.1 + 0.2
    assert (int(again.images), int(again.worse)) == (2**40, 1)
    assert again.exhausted(1)
