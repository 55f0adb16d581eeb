"""Gradient-boosted trees on rows of codes, for the scores that ask a classifier."""

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier

# Enough to tell what can be told at some thousand rows, at half the time of scikit-learn's default.
_TREES = 50
# As many bins as scikit-learn has, at most.
_MOST_CATEGORIES = 255


def classifier(discrete: np.ndarray, seed: int) -> HistGradientBoostingClassifier:
    """A classifier of what `inputs` makes; missing values need no filling.

    Args:
      discrete: bool [columns], where splits are of categories, and not of their codes' order.
      seed: of its choices.
    """
    return HistGradientBoostingClassifier(
        max_iter=_TREES, early_stopping=False, random_state=seed, categorical_features=discrete
    )


def inputs(codes: np.ndarray, discrete: np.ndarray) -> np.ndarray:
    """The codes [n, columns] with few enough categories; the rarest of more are one.

    Args:
      codes: of all rows that are compared, so that equal values stay equal.
      discrete: bool [columns].
    """
    made = codes.astype(np.float64)
    for place in np.flatnonzero(discrete):
        there = ~np.isnan(made[:, place])
        _, inverse, counts = np.unique(made[there, place], return_inverse=True, return_counts=True)
        rank = np.argsort(np.argsort(-counts, kind="stable"))
        made[there, place] = np.minimum(rank, _MOST_CATEGORIES - 1)[inverse]
    return made
