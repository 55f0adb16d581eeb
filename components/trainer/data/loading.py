"""From the examples of an artifact to what a trainer learns from."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from components.data.examples import TRAIN_SPLIT, Split
from components.data.spec import DataSpec
from components.features import Extractor
from components.trainer.data import clusters, conditions, sources
from components.trainer.data.encoding import Encoding
from components.trainer.data.quantiles import Numbers


@dataclasses.dataclass(frozen=True)
class TrainingData:
    """The train split, prepared for a trainer.

    Attributes:
      source: what the trainer draws batches from.
      split: the examples as they are, with the names of the classes asked for.
      encoding: of a table; None of images.
    """

    source: sources.Source
    split: Split
    encoding: Encoding | None


def needed(spec: DataSpec, splits: Sequence[str]) -> Sequence[str]:
    """The splits to read, of all that there are.

    Of a table all, so that codes of categories are those that the extractor knows.
    """
    return splits if spec.columns else [TRAIN_SPLIT]


def load(
    spec: DataSpec,
    files: Mapping[str, Sequence[str]],
    *,
    numbers: Numbers,
    by: str | None,
    num_classes: int | None,
    judge: Extractor | None,
    mirror: bool,
    seed: int,
) -> TrainingData:
    """Reads the train split, of a table with what the other splits tell of its categories.

    Args:
      spec: of the examples.
      files: of tf.Examples, of the splits that `needed` names.
      numbers: how a table's numbers are learnt.
      by: `conditioning.by`; None without conditioning.
      num_classes: of clusters, at most; default: as of `clusters.find`.
      judge: the extractor by whose features clusters are found.
      mirror: whether each image is its mirror image half of the time.
      seed: of the noise that spreads ties, and of clusters.

    Raises:
      ValueError: for conditioning that the data do not have, and as `DataSpec.read_splits`.
    """
    split = spec.read_splits(files)[TRAIN_SPLIT]
    values, encoding = split.data, None
    if spec.columns:
        encoding = Encoding.learn(values, spec.columns, split.categories, numbers)
        values = encoding.encode(values, seed)
    dataset: Any = values if split.labels is None else (values, split.labels)
    if by == "clusters":
        labels = clusters.find(_features(split.data, judge), num_classes, seed)
        split = dataclasses.replace(split, labels=labels, class_names={})
        dataset = (values, split.labels)
    if by == "columns":
        if encoding is None:
            raise ValueError("conditioning.by: columns, but the data are images; ask by label")
        dataset = conditions.by_column(values, encoding)
        split = dataclasses.replace(split, class_names=encoding.condition_names)
    return TrainingData(sources.open_source(dataset, mirror=mirror), split, encoding)


def _features(images: np.ndarray, judge: Extractor | None) -> np.ndarray:
    if judge is None:
        raise ValueError("conditioning.by: clusters needs the features of an extractor")
    if judge.description.get("classes_are_labels"):
        raise ValueError(
            "conditioning.by: clusters, but the extractor knows the labels of these images; ask by "
            "label, or set feature_extractor.kind to one that learns without labels"
        )
    return judge(images).features
