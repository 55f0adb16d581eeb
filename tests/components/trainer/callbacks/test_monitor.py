"""Selecting the best generator, also across a checkpoint."""

import math

import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from components.trainer.callbacks.monitor import Selection


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

    # The 4 in between resets the count; another 4 is no better.
    assert seen == [False, False, True, False, False, True, True]
    assert not selection.exhausted(4)
    assert not selection.exhausted(None)


def test_following_labels_beats_any_score():
    selection = Selection()
    offers = [(5, False), (4, False), (90, True), (1, False), (80, True), (85, True), (70, False)]

    taken = [selection.offer(score, n, follows) for n, (score, follows) in enumerate(offers)]

    assert taken == [True, True, True, False, True, False, False]
    assert float(selection.score) == 80
    assert not selection.offer(math.nan, 9, True)


@settings(deadline=None)
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

    # Bit-equal, because a resumed training must make the same decisions.
    assert float(again.score) == 0.1 + 0.2
    assert (int(again.images), int(again.worse)) == (2**40, 1)
    assert bool(again.follows_labels)
    assert again.exhausted(1)
