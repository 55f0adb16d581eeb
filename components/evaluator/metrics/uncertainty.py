"""How far a score can be trusted: the delete-a-group jackknife.

Images are divided into groups at random; a score is computed again without each of them, and how
much it moves says how much it would move with other images. It suits scores that a bootstrap does
not: a resample repeats images, which raises a Fréchet distance and shrinks neighbourhoods to
nothing. Wolter, "Introduction to Variance Estimation", 2007, chapter 4.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence

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
    end = stats.beta.ppf((1 - _CONFIDENCE) / 2, count, 1)
    if share.value == 0:
        return dataclasses.replace(share, high=max(share.upper, 1 - end))
    if share.value == 1:
        return dataclasses.replace(share, low=min(share.lower, end))
    return share


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


@dataclasses.dataclass(frozen=True)
class MomentsWithoutEachGroup:
    """The moments of all rows, and then of all rows without each group, made as they are asked for.

    All of them together take 0.7 GB with the 2048 features of Inception. They are made by halving:
    what lies outside of a half of the groups is common to all that it holds. So the rows are read
    once for each of the log2(groups) halvings, as many moments are held at a time, and nothing is
    ever subtracted, which would leave rounding where a group holds nearly all the variance.

    Attributes:
      features: [n, d].
      groups: of the rows, int [n], from 0, none of them empty.
    """

    features: np.ndarray
    groups: np.ndarray

    def __iter__(self) -> Iterator[Moments]:
        yield Moments.of(self.features)
        yield from self._without(0, int(self.groups.max()) + 1, None)

    def _without(self, first: int, last: int, outside: Moments | None) -> Iterator[Moments]:
        """Those without each group from `first` to `last`, from what is outside of all these."""
        if last - first == 1:
            if outside is None:
                raise ValueError("groups: only one, expected 2 or more")
            yield outside
            return
        middle = (first + last) // 2
        halves = [(first, middle), (middle, last)]
        for inner, outer in (halves, halves[::-1]):
            yield from self._without(*inner, self._added(outside, *outer))

    def _added(self, outside: Moments | None, first: int, last: int) -> Moments:
        found = Moments.of(self.features[(first <= self.groups) & (self.groups < last)])
        return found if outside is None else outside.merge(found)


def moments_without_each_group(features: np.ndarray, groups: np.ndarray) -> MomentsWithoutEachGroup:
    """Those of all rows, and then of all rows without each group; can be iterated repeatedly."""
    return MomentsWithoutEachGroup(features, groups)
