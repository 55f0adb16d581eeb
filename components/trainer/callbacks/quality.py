"""Fast quality metrics for use during training: few images, one extractor, about a second.

They rank the checkpoints of one training and reveal mode collapse. They are not comparable with
published scores or with the evaluator's, which use more images, and held-out ones.
"""

import dataclasses
import warnings
from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np
import tensorflow as tf
from pydantic import Field, model_validator
from scipy.cluster.vq import kmeans2, vq

from components.common.config import Config
from components.features import Extractor, distances
from components.features.neighbourhoods.manifolds import manifolds
from components.trainer.data.encoding import Encoding

# Maps data [n, ...] to `features` [n, d]; if it has classes, also to `probabilities` [n, classes];
# and if these classes are the data's labels, to the predicted `labels` [n].
Extract = Callable[[np.ndarray], Mapping[str, np.ndarray]]

_PIXELS = 8
_FEWEST = 10
# Even a perfect generator misses a mode by chance: in 0.7 % of measurements if 5 samples are
# expected.
_FEWEST_OF_A_MODE = 5
_COVERED_FROM = 10  # A mode is covered from a tenth of its share in the data.
# Nearest neighbours of a manifold: Kynkäänniemi et al. 2019 (arXiv:1904.06991).
_NEIGHBOURS = 3
# FID's bias grows with dimensions over samples and depends on the fakes' covariance, so above this
# ratio it may rank two generators by their bias; KID has none.
_DIMENSIONS_PER_SAMPLE = 1 / 4
# Fakes follow their labels from this share of the real data's label skill on: far above the 0 of a
# generator that ignores its labels, and far below what a good one reaches.
_FOLLOWS_FROM = 0.5
# An extractor that tells the real classes apart no better than this is no judge of labels.
_JUDGES_FROM = 0.2


class QualityConfig(Config):
    """Quality measurements during training, and what they decide."""

    every_images: int | None = Field(
        10_000, ge=1, description="images between measurements; null: never measure"
    )
    samples: int = Field(1000, ge=50, description="number of fakes, and of real data, to compare")
    select_by: Literal["fid", "kid"] | None = Field(
        None,
        description="score that selects the generator to export; default: kid if the features have "
        "more than a quarter as many dimensions as there are samples, else fid",
    )
    patience: int | None = Field(
        None, ge=1, description="stop after this many measurements without improvement; null: never"
    )

    @model_validator(mode="after")
    def _patience_has_measurements(self) -> "QualityConfig":
        if self.patience is not None and self.every_images is None:
            raise ValueError(
                f"patience: {self.patience} counts measurements, and every_images is null; "
                "set every_images, or patience to null"
            )
        return self


@dataclasses.dataclass(frozen=True)
class Measurement:
    """The quality of one set of fakes.

    Attributes:
      fid: Fréchet distance of the features; 0 is best.
      kid: polynomial MMD of the features; around 0 is best, may be negative.
      coverage: share of the data's modes that the fakes cover, in [0, 1].
      recall: share of the data that lie in the manifold of the fakes, in [0, 1]; see
        `components.features.neighbourhoods.manifolds`.
      diversity: mean distance between two fakes over that between two real data, of a conditional
        generator between two of the same class: 1 is as diverse as the data, 0 means all fakes are
        the same.
      class_accuracy: share of fakes that the extractor assigns to the class they were asked to be;
        None if it does not know the classes, or none were asked for.
      follows_labels: False if the fakes' classes have little to do with those asked for; see
        `Quality`.
    """

    fid: float
    kid: float
    coverage: float
    recall: float
    diversity: float
    class_accuracy: float | None = None
    follows_labels: bool = True

    def scores(self) -> dict[str, float]:
        """The scores by name, without those that were not measured."""
        scores = {
            "fid": self.fid,
            "kid": self.kid,
            "coverage": self.coverage,
            "recall": self.recall,
            "diversity": self.diversity,
        }
        if self.class_accuracy is not None:
            scores["class_accuracy"] = self.class_accuracy
        return scores


class Quality:
    """Compares fakes with a fixed set of real data, whose statistics are computed once.

    The modes of the data are the classes that the extractor predicts or, if it predicts none (or
    too few real data per class), k-means clusters of the features. A mode is covered if its share
    among the fakes is at least a tenth of its share in the data. Modes with too few real data are
    ignored.

    FID, KID and coverage cannot tell whether each fake is of the class it was asked to be. Fakes
    follow their labels if the agreement of the asked and the predicted classes is at least half of
    that on real data. Agreement is Cohen's kappa, because it is 0 for a generator that ignores its
    labels, also where one class is so frequent that most fakes are right by chance.

    Args:
      real: uint8 images [n, height, width, channels] or vectors [n, d], at least 10 rows.
      extract: see `ExtractWith`, `pixels` and `identity`.
      labels: of the real data [n], for a conditional generator.
      clusters: maximum number of clusters; each has 10 real data on average, or more.
      seed: for the clusters, and for the pairs whose distances are averaged.

    Attributes:
      select_by: the score to rank generators by, "fid" or "kid"; see `QualityConfig`.

    Raises:
      ValueError: for too few data, for features that are NaN or infinite, and if all real features
        are the same.
    """

    def __init__(
        self,
        real: np.ndarray,
        extract: Extract,
        *,
        labels: np.ndarray | None = None,
        clusters: int = 20,
        seed: int = 0,
    ) -> None:
        if clusters < 2:
            raise ValueError(f"clusters: {clusters}, expected 2 or more")
        self._extract = extract
        self._seed = seed
        found = extract(real)
        self._label_skill: float | None = None
        if labels is not None and "labels" in found:
            self._label_skill = _agreement(labels, found["labels"])
        self._real = distances.matrix("real", found["features"], _FEWEST)
        count, dimensions = self._real.shape
        self.select_by = "kid" if dimensions > count * _DIMENSIONS_PER_SAMPLE else "fid"
        self._statistics = _statistics(self._real)
        self._spread = _mean_distance(self._real, seed)
        self._spread_in_class = 0.0 if labels is None else _mean_distance(self._real, seed, labels)
        if self._spread == 0:
            raise ValueError("real: all features are the same, so fakes cannot be compared to them")
        self._centres: np.ndarray | None = None
        modes = self._modes_of(found, self._real) if "probabilities" in found else None
        if modes is None or np.count_nonzero(np.bincount(modes) >= _FEWEST_OF_A_MODE) < 2:
            self._centres = _centres(self._real, clusters, seed)
            modes = self._modes_of(found, self._real)
        counts = np.bincount(modes)
        self._counts = np.where(counts >= _FEWEST_OF_A_MODE, counts, 0)

    def measure(self, fake: np.ndarray, labels: np.ndarray | None = None) -> Measurement:
        """The scores of fakes.

        Args:
          fake: [m, ...], of the same type and shape as the real data, m ≥ 2.
          labels: the classes the fakes were asked to be [m], for a conditional generator.

        Raises:
          ValueError: for features of a different length than the real ones', NaN or infinity.
        """
        found = self._extract(fake)
        _, features = distances.matrix_pair(self._real, found["features"], at_least=2)
        accuracy, follows = self._follows(labels, found)
        return Measurement(
            fid=distances.fid_from_statistics(*self._statistics, *_statistics(features)),
            kid=distances.polynomial_mmd(self._real, features),
            coverage=self._coverage(self._modes_of(found, features)),
            recall=self._recall(features),
            diversity=self._diversity(features, labels),
            class_accuracy=accuracy,
            follows_labels=follows,
        )

    def _diversity(self, features: np.ndarray, labels: np.ndarray | None) -> float:
        if labels is None or self._spread_in_class == 0:
            return _mean_distance(features, self._seed) / self._spread
        # Fakes that are one image for each class are far from each other.
        return _mean_distance(features, self._seed, labels) / self._spread_in_class

    def _follows(
        self, labels: np.ndarray | None, found: Mapping[str, np.ndarray]
    ) -> tuple[float | None, bool]:
        """`class_accuracy` and `follows_labels`."""
        if labels is None or self._label_skill is None:
            return None, True
        accuracy = float(np.mean(labels == found["labels"]))
        if not self._label_skill >= _JUDGES_FROM:
            return accuracy, True
        return accuracy, _agreement(labels, found["labels"]) >= _FOLLOWS_FROM * self._label_skill

    def _coverage(self, modes: np.ndarray) -> float:
        there = self._counts > 0
        fakes = np.bincount(modes, minlength=len(there))[: len(there)]
        # Shares compared by cross-multiplication: integers have no rounding at the threshold.
        covered = _COVERED_FROM * fakes * len(self._real) >= self._counts * len(modes)
        return float(np.mean(covered[there]))

    def _recall(self, features: np.ndarray) -> float:
        k = min(_NEIGHBOURS, len(features) - 1)
        return float(manifolds(self._real, features, k, k).in_fake.mean())

    def _modes_of(self, found: Mapping[str, np.ndarray], features: np.ndarray) -> np.ndarray:
        if self._centres is None:
            return np.argmax(found["probabilities"], axis=1)
        return vq(features, self._centres)[0]


class ExtractWith:
    """A loaded extractor, as `Quality` calls it."""

    def __init__(self, extractor: Extractor) -> None:
        self.extractor = extractor

    def __call__(self, data: np.ndarray) -> dict[str, np.ndarray]:
        found = self.extractor(data)
        named = {"features": found.features, "probabilities": found.probabilities}
        are_labels = self.extractor.description.get("classes_are_labels")
        if are_labels and found.probabilities is not None:
            named["labels"] = np.argmax(found.probabilities, axis=1)
        return {name: array for name, array in named.items() if array is not None}


def check_independent(extract: Extract | None, pretrained: str | None) -> None:
    """Raises ValueError for an extractor of the features that the discriminator is made of.

    Args:
      extract: what measures the generator.
      pretrained: the name of the published weights that the discriminator computes with.
    """
    if isinstance(extract, ExtractWith):
        extract.extractor.check_independent(pretrained, "the generator")


def identity(data: np.ndarray) -> dict[str, np.ndarray]:
    """The data themselves as features, float64 [n, d]: the extractor of plain vectors."""
    return {"features": np.reshape(data, (len(data), -1)).astype(np.float64)}


def encoded(encoding: Encoding) -> Extract:
    """Encoded rows as features, so that units do not weight the columns."""
    return lambda data: identity(encoding.encode(data))


def pixels(data: np.ndarray) -> dict[str, np.ndarray]:
    """Downsampled data, float64 [n, d]: the features if there is no extractor.

    Images [n, height, width, channels] are area-averaged to at most 8×8: small enough to estimate
    covariances from a thousand images, but blind to detail. Vectors are returned as they are.
    """
    if data.ndim != 4:
        return identity(data)
    size = [min(side, _PIXELS) for side in data.shape[1:3]]
    with tf.device("CPU"):
        shrunk = tf.image.resize(data, size, method="area").numpy()
    return identity(shrunk / 127.5 - 1.0 if data.dtype == np.uint8 else shrunk)


def _statistics(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return features.mean(axis=0), np.atleast_2d(np.cov(features, rowvar=False))


def _agreement(asked: np.ndarray, found: np.ndarray) -> float:
    """Cohen's kappa: 1 if all labels agree, 0 on average if they are independent."""
    count = 1 + max(asked.max(), found.max())
    shares = [np.bincount(labels, minlength=count) / len(labels) for labels in (asked, found)]
    chance = float(np.dot(*shares))
    # With one class there is nothing to confuse.
    return 1.0 if chance == 1 else (float(np.mean(asked == found)) - chance) / (1 - chance)


def _mean_distance(features: np.ndarray, seed: int, labels: np.ndarray | None = None) -> float:
    """Mean distance over n random pairs of different rows, of equal labels where there are some."""
    # Random pairs, because adjacent rows may be of the same class.
    order = np.random.default_rng(seed).permutation(len(features))
    if labels is not None:
        order = order[np.argsort(labels[order], kind="stable")]
    others = np.roll(order, 1)
    apart = np.linalg.norm(features[order] - features[others], axis=1)
    if labels is not None and (alike := labels[order] == labels[others]).any():
        apart = apart[alike]
    return float(apart.mean())


def _centres(features: np.ndarray, clusters: int, seed: int) -> np.ndarray:
    count = max(2, min(clusters, len(features) // 10, len(np.unique(features, axis=0))))
    with warnings.catch_warnings():
        # An empty cluster keeps its centre, and does not count as a mode.
        warnings.filterwarnings("ignore", "One of the clusters is empty", UserWarning)
        return kmeans2(features, count, iter=50, minit="++", seed=seed)[0]
