"""How far generated images are from real ones: features in, numbers out.

Features are [n, d] arrays, one row an image; real and fake come from one extractor. A score means
something only beside the extractor, the counts and the seed it was computed with. Conventions, and
what agrees with which other implementation: docs/metrics.md.
"""

import numpy as np
from scipy import optimize

from components.features.distances import (
    checked_pair,
    matrix,
    matrix_pair,
    polynomial_kernel,
    polynomial_mmd,
)


def kid(
    real: np.ndarray,
    fake: np.ndarray,
    subsets: int = 100,
    subset_size: int = 1000,
    seed: int = 0,
) -> tuple[float, float]:
    """Kernel inception distance: mean and standard error of `polynomial_mmd` over subsets.

    The error is that of drawing the subsets. They overlap, so that it is smaller than the error of
    having drawn these images and not others.

    Args:
      real, fake: features [n, d] and [m, d], at least 4 rows each.
      subsets: how many pairs of subsets are drawn, at least 2.
      subset_size: rows of a subset, at least 2. No more than half of the smaller set is taken:
        subsets that are the whole set are all the same, and their standard error 0.
      seed: of the choice of rows.

    Raises:
      ValueError: for other shapes, too few rows or subsets, NaN or infinity.
    """
    if subsets < 2 or subset_size < 2:
        raise ValueError(f"subsets, subset_size: {subsets}, {subset_size}, expected 2 or more")
    real, fake = checked_pair(real, fake, at_least=4)
    size = min(subset_size, len(real) // 2, len(fake) // 2)
    rng = np.random.default_rng(seed)
    distances = [
        polynomial_mmd(
            *(x[rng.choice(len(x), size, replace=False, shuffle=False)] for x in (real, fake))
        )
        for _ in range(subsets)
    ]
    return float(np.mean(distances)), float(np.std(distances, ddof=1) / np.sqrt(subsets))


def mmd_without_each_group(
    real: np.ndarray, fake: np.ndarray, real_groups: np.ndarray, fake_groups: np.ndarray
) -> np.ndarray:
    """`polynomial_mmd` without each group, [groups], from each kernel value once.

    Args:
      real, fake: features [n, d] and [m, d], 4 rows or more.
      real_groups, fake_groups: int [n] and [m], the group of each row, from 0."""
    real, fake = matrix_pair(real, fake, at_least=4)

    def mean_without(
        x: np.ndarray, of_x: np.ndarray, y: np.ndarray, of_y: np.ndarray
    ) -> np.ndarray:
        kernel = polynomial_kernel(x, y)
        in_x, in_y = (np.eye(groups)[of] for of in (of_x, of_y))
        pairs = np.outer(in_x.sum(axis=0), in_y.sum(axis=0))
        if x is y:
            np.fill_diagonal(kernel, 0)
            pairs -= np.diag(in_x.sum(axis=0))
        sums = in_x.T @ kernel @ in_y

        def without(matrix: np.ndarray) -> np.ndarray:
            return matrix.sum() - matrix.sum(axis=0) - matrix.sum(axis=1) + np.diag(matrix)

        return without(sums) / without(pairs)

    groups = 1 + max(real_groups.max(), fake_groups.max())
    of_real, of_fake = (real, real_groups), (fake, fake_groups)
    return (
        mean_without(*of_real, *of_real)
        + mean_without(*of_fake, *of_fake)
        - 2 * mean_without(*of_real, *of_fake)
    )


def inception_score(probabilities: np.ndarray, splits: int = 10) -> tuple[float, float]:
    """exp E KL(p(y|x) ‖ p(y)): mean and standard deviation over equal parts of the images.

    Salimans et al., "Improved Techniques for Training GANs", 2016, section 4. From 1 (all images
    get one prediction) to the number of classes (sure of each image, all classes equally often).

    Args:
      probabilities: [n, classes], rows from 0 that sum to 1 (within 0.001).
      splits: parts, in the order of the rows; at most n.

    Raises:
      ValueError: for another shape, fewer rows than splits, and rows that are no probabilities.
    """
    if splits < 1:
        raise ValueError(f"splits: {splits}, expected 1 or more")
    probabilities = _distributions("probabilities", probabilities, at_least=splits)
    scores = []
    for part in np.array_split(probabilities, splits):
        marginal = part.mean(axis=0)
        # 0 log 0 is 0; a marginal is also 0 where the mean of denormal numbers underflows.
        some = (part > 0) & (marginal > 0)
        ratio = np.divide(part, marginal, out=np.ones_like(part), where=some)
        scores.append(np.exp((part * np.log(ratio)).sum(axis=1).mean()))
    return float(np.mean(scores)), float(np.std(scores))


def mode_coverage(
    real_probabilities: np.ndarray, fake_probabilities: np.ndarray
) -> tuple[int, int, float]:
    """How many classes the fakes have of those the reals have, and how differently often.

    Metz et al., "Unrolled Generative Adversarial Networks", 2017, section 3.3 (stacked MNIST). The
    class of an image is its most probable one.

    Args:
      real_probabilities, fake_probabilities: [n, classes] and [m, classes], rows from 0 that sum to
        1 (within 0.001), 1 row or more.

    Returns:
      modes_hit: classes with at least one real and one fake image.
      modes_there: classes with at least one real image.
      kl: KL(fake ‖ real) of the shares of the classes, in nats, 0 is best. A class without real
        images counts as if it had one, for the divergence is infinite otherwise.

    Raises:
      ValueError: for other shapes, no rows, and rows that are no probabilities.
    """
    real = _distributions("real_probabilities", real_probabilities, at_least=1)
    fake = _distributions("fake_probabilities", fake_probabilities, at_least=1)
    classes = real.shape[1]
    if fake.shape[1] != classes:
        raise ValueError(f"fake_probabilities: {fake.shape[1]} classes, expected {classes}")
    reals, fakes = (np.bincount(x.argmax(axis=1), minlength=classes) for x in (real, fake))
    expected = np.maximum(reals, 1) / np.maximum(reals, 1).sum()
    made = fakes > 0
    shares = fakes[made] / len(fake)
    kl = float(np.sum(shares * np.log(shares / expected[made])))
    return int(np.sum(made & (reals > 0))), int(np.sum(reals > 0)), max(kl, 0.0)


def class_shares(
    real_labels: np.ndarray, real_classes: np.ndarray, fake_classes: np.ndarray, classes: int
) -> np.ndarray:
    """The shares of the classes among the fakes, without what the classifier confuses.

    How often the classifier takes one class for another is known from real data with labels; the
    shares are those that, so confused, come nearest to what it says of the fakes. Saerens et al.,
    "Adjusting the Outputs of a Classifier to New a Priori Probabilities", 2002, section 2.3; Lipton
    et al., "Detecting and Correcting for Label Shift with Black Box Predictors", 2018.

    >>> class_shares(np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1]), np.array([0, 1]), 2)
    array([1., 0.])

    Args:
      real_labels: int [n], the classes of real data.
      real_classes: int [n], what the classifier says of them.
      fake_classes: int [m], what it says of the fakes.
      classes: how many there are.

    Returns:
      float64 [classes], 0 for classes without real data; the sum is 1.
    """
    confusion = np.zeros((classes, classes))
    np.add.at(confusion, (real_classes, real_labels), 1)
    counts = confusion.sum(axis=0)
    confusion /= np.maximum(counts, 1)
    said = np.bincount(fake_classes, minlength=classes) / len(fake_classes)
    shares, _ = optimize.nnls(confusion, said)
    # What no real class is ever taken for cannot be explained by any.
    return shares / shares.sum() if shares.any() else shares


def _distributions(name: str, probabilities: np.ndarray, at_least: int) -> np.ndarray:
    """float64 [n, classes], checked, rows that sum to 1."""
    probabilities = matrix(name, probabilities, at_least)
    sums = probabilities.sum(axis=1, keepdims=True)
    if (probabilities < 0).any() or (abs(sums - 1) > 1e-3).any():
        raise ValueError(f"{name}: rows must be 0 or more and sum to 1")
    return probabilities / sums
