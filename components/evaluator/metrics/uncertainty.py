"""How far a score can be trusted: the delete-a-group jackknife.

Images are divided into groups at random; a score is computed again without each of them, and how
much it moves says how much it would move with other images. It suits scores that a bootstrap does
not: a resample repeats images, which raises a Fréchet distance and shrinks neighbourhoods to
nothing. Wolter, "Introduction to Variance Estimation", 2007, chapter 4.
"""

import dataclasses
import itertools
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from scipy import stats

from components.evaluator.evaluation import Score
from components.features.distances import Moments

_CONFIDENCE = 0.95


def assign(count: int, groups: int, seed: int) -> np.ndarray:
    """The group of each of `count` images, int64 [count]: random, as equal in size as can be."""
    return np.random.default_rng(seed).permutation(count) % groups


def jackknife(
    value: float, left_out: Sequence[float] | np.ndarray, details: Mapping[str, float] | None = None
) -> Score:
    """A score from its value and its values without each group.

    The groups of two samples (real and fake) are left out together, so that both samples' errors
    are in it.
    """
    scores = np.asarray(left_out, np.float64)
    groups = len(scores)
    # Scaled so that their standard deviation is the jackknife's standard error.
    replicates = value + (groups - 1) / np.sqrt(groups) * (scores - scores.mean())
    return _interval(value, replicates, details)


def subsets(value: float, parts: Sequence[float]) -> Score:
    """A score from its value and its values on disjoint parts of the images."""
    scores = np.asarray(parts, np.float64)
    return _interval(value, value + (scores - scores.mean()) / np.sqrt(len(scores)), None)


def mean(
    values: np.ndarray, groups: np.ndarray, details: Mapping[str, float] | None = None
) -> Score:
    """The mean of one number an image, [n], whose images are in `groups`, [n]."""
    sums, counts = np.bincount(groups, values), np.bincount(groups)
    left_out = (sums.sum() - sums) / (counts.sum() - counts)
    return jackknife(float(np.mean(values)), left_out, details)


def with_exact_ends(share: Score, count: int) -> Score:
    """A share of `count` samples; that of none or of all gets the Clopper-Pearson end.

    No group changes such a share, so that the jackknife has an interval of width 0 for it.
    """
    end = stats.beta.ppf((1 - _CONFIDENCE) / 2, count, 1) if count > 0 else 0.0
    low, high = share.low, share.high
    if share.value == 0:
        high = max(high or 0.0, 1 - end)
    elif share.value == 1:
        low = min(1.0 if low is None else low, end)
    return dataclasses.replace(share, low=low, high=high)


def recomputed(
    score: Callable[[np.ndarray], float], groups: np.ndarray, value: float | None = None
) -> Score:
    """A score that is computed again for every group; `score` is given the rows to keep, bool [n].

    Args:
      score: rows to value.
      groups: of the rows.
      value: the score of all rows, where it is known.
    """
    if value is None:
        value = score(np.ones(len(groups), bool))
    return jackknife(value, [score(groups != group) for group in range(groups.max() + 1)])


def difference(score: Score, other: Score) -> Score:
    """`score` minus `other`, both against the same real images.

    What both owe to these real images cancels in their replicates.
    """
    value = score.value - other.value
    if score.replicates is None or other.replicates is None:
        raise ValueError("a score without replicates has no interval")
    return _interval(value, score.replicates - other.replicates, None)


def _interval(value: float, replicates: np.ndarray, details: Mapping[str, float] | None) -> Score:
    reach = stats.t.ppf((1 + _CONFIDENCE) / 2, len(replicates) - 1) * np.std(replicates, ddof=1)
    return Score(
        value=float(value),
        low=float(value - reach),
        high=float(value + reach),
        details=details or {},
        replicates=replicates,
    )


def moments_without_each_group(features: np.ndarray, groups: np.ndarray) -> list[Moments]:
    """Those of all rows, and then of all rows without each group."""
    parts = [Moments.of(features[groups == g]) for g in range(groups.max() + 1)]

    def running(parts: list[Moments]) -> list[Moments]:
        return list(itertools.accumulate(parts, Moments.merge))

    before, after = running(parts), running(parts[::-1])[::-1]
    inner = [a.merge(b) for a, b in zip(before[:-2], after[2:], strict=True)]
    return [before[-1], after[1], *inner, before[-2]]
