"""Latents and classes of seeds, in every runtime."""

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from components.serving import draws, numpy_draws

# Seeds with their latents, for every implementation there is.
VECTORS = json.loads(Path(__file__).with_name("latents.json").read_text())


def latents(seeds, size):
    return draws.latents(tf.constant(seeds, tf.int64), size)


def words(*values):
    return tuple(np.array([value], np.uint32).view(np.int32) for value in values)


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
        ((0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF), (0x1CB996FC, 0xBB002BE7)),
        ((0x243F6A88, 0x85A308D3), (0x13198A2E, 0x03707344), (0xC4923A9C, 0x483DF7A0)),
    ],
)
def test_threefry_gives_the_words_of_its_authors(counter, key, expected):
    """Known answers for threefry2x32 with 20 rounds in Random123's kat_vectors."""
    found = numpy_draws.threefry(words(*key), words(*counter), np.right_shift)

    assert [word.view(np.uint32).item() for word in found] == list(expected)


def test_the_shared_vectors():
    seeds = np.array([int(seed) for seed in VECTORS], np.int64)
    expected = np.array(list(VECTORS.values()), np.float32)
    size = expected.shape[1]

    np.testing.assert_array_almost_equal_nulp(numpy_draws.latents(seeds, size), expected, 1)
    np.testing.assert_array_almost_equal_nulp(latents(seeds, size).numpy(), expected, 1)


SEEDS = st.lists(st.integers(-(2**63), 2**63 - 1), max_size=6)


@settings(max_examples=20, deadline=None)
@given(seeds=SEEDS, size=st.integers(1, 9))
def test_both_libraries_agree_and_a_row_follows_from_its_seed(seeds, size):
    seeds = np.array(seeds, np.int64)
    found = latents(seeds, size).numpy()

    np.testing.assert_array_almost_equal_nulp(found, numpy_draws.latents(seeds, size), 1)
    assert found.shape == (len(seeds), size)
    for row, seed in zip(found, seeds, strict=True):
        np.testing.assert_array_equal(row, latents([seed], size + 2)[0, :size])


def test_latents_are_normal_and_independent():
    found = numpy_draws.latents(np.arange(20_000), 16)

    assert stats.kstest(found.ravel(), "norm").pvalue > 1e-3
    correlations = np.corrcoef(found.T) - np.eye(16)
    assert np.abs(correlations).max() < 5 / np.sqrt(len(found))
    # Neither do rows of neighbouring seeds hang together.
    neighbours = np.corrcoef(found[:-1].ravel(), found[1:].ravel())[0, 1]
    assert abs(neighbours) < 5 / np.sqrt(found.size)


def test_classes_come_as_often_as_their_shares_and_apart_from_the_latents():
    shares = np.array([0.0, 0.5, 0.0, 0.25, 0.25, 0.0])
    seeds = np.arange(20_000)

    found = draws.classes(tf.constant(seeds), shares).numpy()

    counts = np.bincount(found, minlength=6)
    assert not counts[shares == 0].any()
    served = shares > 0
    assert stats.chisquare(counts[served], shares[served] * len(seeds)).pvalue > 1e-3
    first = numpy_draws.latents(seeds, 1)[:, 0]
    groups = [first[found == label] for label in np.flatnonzero(served)]
    assert stats.f_oneway(*groups).pvalue > 1e-3


def test_between_lies_on_a_great_circle():
    start, end = latents([1], 50), latents([2], 50)

    def at(position):
        return draws.between(start, end, tf.constant([position])).numpy()[0]

    np.testing.assert_allclose(at(0.0), start[0], atol=1e-6)
    np.testing.assert_allclose(at(1.0), end[0], atol=1e-6)
    lengths = np.linalg.norm([start[0], end[0]], axis=1)
    assert lengths.min() * 0.9 < np.linalg.norm(at(0.5)) < lengths.max() * 1.1
    # Of the same seed there is no circle.
    np.testing.assert_allclose(draws.between(start, start, tf.constant([0.3])), start, 1e-6)


@settings(max_examples=20, deadline=None)
@given(seeds=SEEDS, shares=st.lists(st.sampled_from([0.0, 0.1, 0.5, 1.0]), min_size=1).filter(any))
def test_both_libraries_draw_the_same_classes(seeds, shares):
    seeds = np.array(seeds, np.int64)
    found = numpy_draws.classes(seeds, np.array(shares))

    assert found.dtype == np.int64
    np.testing.assert_array_equal(found, draws.classes(tf.constant(seeds), np.array(shares)))


def test_both_libraries_are_between_alike():
    seeds, positions = np.arange(20), np.linspace(0, 1, 20, dtype=np.float32)
    start, end = (numpy_draws.latents(each, 7) for each in (seeds, seeds[::-1] * 3))
    end[3] = start[3]

    found = numpy_draws.between(start, end, positions)

    assert found.dtype == np.float32
    expected = draws.between(*map(tf.constant, (start, end, positions)))
    np.testing.assert_allclose(found, expected, atol=2e-5)
