"""Classes for data that have none: clusters of their features."""

import warnings

import numpy as np
from scipy.cluster.vq import kmeans2

# Examples of a cluster on average, and the most clusters, unless their number is given.
_OF_A_CLUSTER, _MOST = 100, 100
# Distances in more dimensions hardly differ (Beyer et al. 1999), and take longer.
_DIMENSIONS = 64
_ITERATIONS = 100


def find(features: np.ndarray, count: int | None = None, seed: int = 0) -> np.ndarray:
    """Divides data into clusters: k-means (k-means++) of their features' principal components.

    A generator that is asked for clusters has to make all of them (Liu et al. 2020, "Diverse Image
    Generation via Self-Conditioned GANs", arXiv:2006.10728, who cluster a discriminator's features
    again and again; here they are those of a fixed extractor, once).

    >>> labels = find(np.array([[0.0], [0.1], [5.0], [5.1]]), count=2)
    >>> bool(labels[0] == labels[1] != labels[2] == labels[3])
    True

    Args:
      features: [n, d].
      count: of clusters, at most; default: one for each 100 examples, from 2 to 100.
      seed: of the first centres.

    Returns:
      The cluster of each example, int32 [n], from 0, none of them empty.

    Raises:
      ValueError: for fewer different features than clusters.
    """
    count = count or max(2, min(_MOST, len(features) // _OF_A_CLUSTER))
    different = len(np.unique(features, axis=0))
    if different < count:
        raise ValueError(
            f"{different} different features, expected as many as the {count} clusters"
        )
    centred = np.asarray(features, np.float64) - np.mean(features, axis=0, dtype=np.float64)
    # In ascending order of the variance.
    axes = np.linalg.eigh(centred.T @ centred)[1][:, -_DIMENSIONS:]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "One of the clusters is empty", UserWarning)
        _, labels = kmeans2(centred @ axes, count, iter=_ITERATIONS, minit="++", seed=seed)
    return np.unique(labels, return_inverse=True)[1].astype(np.int32)
