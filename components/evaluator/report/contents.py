"""What the report shows of a comparison: pictures, and the tables of classes and columns."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from components.evaluator.evaluation import ClassRow, ColumnRow, Pictures, Score, Vectors
from components.evaluator.metrics import uncertainty
from components.evaluator.metrics.comparison import Comparison
from components.evaluator.metrics.registry import score_all
from components.evaluator.protocol import choose

_SHOWN = 64
_EXTREMES = 16
_NEAREST = 8
# Few enough that the images of one class have them.
_CLASS_METRICS = ("fid", "precision", "recall")


def pictures(comparison: Comparison, interpolations: np.ndarray | None) -> Pictures | None:
    """The images to show; None for vectors.

    Args:
      comparison: the candidate's.
      interpolations: uint8 [rows, columns, height, width, channels]; None where there are none.
    """
    if not comparison.has("images"):
        return None
    fake, train = comparison.fake.data, comparison.reference.train
    none = np.empty((0, 1, *fake.shape[1:]), np.uint8)
    ranked = fake[np.argsort(-comparison.manifolds.realism, kind="stable")]
    nearest = none
    if train is not None:
        rows, distances = comparison.nearest_train
        chosen = np.argsort(distances[:, 0], kind="stable")[:_NEAREST]
        shown = fake[comparison.searched[chosen]]
        nearest = np.concatenate([shown[:, np.newaxis], train.data[rows[chosen]]], axis=1)
    return Pictures(
        real=choose(comparison.real.data, _SHOWN, comparison.settings.seed),
        fake=fake[:_SHOWN],
        interpolations=none if interpolations is None else interpolations,
        best=ranked[:_EXTREMES],
        worst=ranked[::-1][:_EXTREMES],
        nearest=nearest,
    )


def vectors(comparison: Comparison) -> Vectors | None:
    """The rows and the table of their columns; None for images."""
    if not comparison.has("vectors"):
        return None
    real, fake = comparison.real.data, comparison.fake.data
    rows = []
    for place, column in enumerate(comparison.reference.columns):
        whole, *left_out = comparison.column_distances[:, place]
        distance = uncertainty.jackknife(whole, left_out)
        pair = [data[:, place].astype(np.float64) for data in (real, fake)]
        there = [values[~np.isnan(values)] for values in pair]
        row = ColumnRow(
            column,
            dataclasses.replace(distance, low=max(distance.low or 0.0, 0.0)),
            *(float(np.isnan(values).mean()) for values in pair),
        )
        if not column.kind.discrete and all(values.size for values in there):
            means = [float(values.mean()) for values in there]
            spreads = [float(values.std()) for values in there]
            row = dataclasses.replace(
                row,
                real_mean=means[0],
                fake_mean=means[1],
                real_deviation=spreads[0],
                fake_deviation=spreads[1],
            )
        rows.append(row)
    return Vectors(rows, real, fake, comparison.fake.categories)


def classes(
    comparison: Comparison, of_class: Mapping[int, Comparison], names: Mapping[int, str]
) -> list[ClassRow]:
    """A row for each class that the extractor knows; empty where its classes are not the data's.

    Args:
      comparison: the candidate's.
      of_class: a conditional generator's samples of a class beside the real images of that class,
        by label.
      names: of the classes, by label.
    """
    if not comparison.has("classes"):
        return []
    real, fake = (
        sample.probabilities.argmax(axis=1) for sample in (comparison.real, comparison.fake)
    )
    return [
        ClassRow(
            label=label,
            real_share=float(np.mean(real == label)),
            fake_share=float(np.mean(fake == label)),
            name=names.get(label),
            scores=_class_scores(of_class[label], label) if label in of_class else {},
        )
        for label in range(comparison.real.probabilities.shape[1])
    ]


def _class_scores(comparison: Comparison, label: int) -> dict[str, Score]:
    right = comparison.fake.probabilities.argmax(axis=1) == label
    accuracy = uncertainty.mean(right, comparison.fake_groups)
    return {"accuracy": accuracy, **score_all(comparison, _CLASS_METRICS)}
