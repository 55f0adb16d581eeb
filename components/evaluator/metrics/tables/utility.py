"""What a classifier that has learnt from generated rows is worth on real ones."""

import dataclasses

import numpy as np
from sklearn.metrics import roc_auc_score
from threadpoolctl import threadpool_limits

from components.evaluator.metrics.tables import trees

# Columns that are predicted, at most.
_MOST_TARGETS = 3
# Of a column; the rarest of more are one. Each costs a tree a step.
_MOST_CLASSES = 5
# To learn from: more make the ratio no surer, as its error is that of the real rows.
_MOST_ROWS = 5000
# Of a class, in the rows that are learnt from and in those that are predicted.
_FEWEST = 5
# Below this mean, real rows themselves teach next to nothing.
_LEAST = 0.1


@dataclasses.dataclass(frozen=True)
class Rows:
    """Rows to learn from or to predict.

    Attributes:
      codes: [n, columns].
      labels: int64 [n]; None where they have none.
      groups: int [n], of the rows that are predicted; None for others.
    """

    codes: np.ndarray
    labels: np.ndarray | None
    groups: np.ndarray | None = None


@dataclasses.dataclass(frozen=True)
class Worth:
    """How well the targets of real rows are predicted.

    Attributes:
      targets: names of the columns, or "label".
      from_fake, from_train: [1 + groups, targets], Gini coefficients in [-1, 1] of all real rows,
        and then without each group: 2 AUC - 1, of classes against the rest, weighted by how many
        rows they have.
    """

    targets: tuple[str, ...]
    from_fake: np.ndarray
    from_train: np.ndarray

    @property
    def ratios(self) -> np.ndarray:
        """[1 + groups], the mean of what was learnt from fakes over that from real rows."""
        return self.from_fake.mean(axis=1) / self.from_train.mean(axis=1)


@dataclasses.dataclass(frozen=True)
class _Target:
    """One task: what is predicted, and from which columns.

    Attributes:
      name: of the column, or "label".
      inputs: indices of the columns.
      classes: for the fakes, the rows of the train split and the real rows; NaN for rows that have
        none.
    """

    name: str
    inputs: np.ndarray
    classes: tuple[np.ndarray, np.ndarray, np.ndarray]


def measure(
    fake: Rows, train: Rows, real: Rows, names: tuple[str, ...], discrete: np.ndarray, seed: int
) -> Worth | None:
    """Train on synthetic, test on real, beside train on real; None where nothing can be predicted.

    As many rows of the train split are taken as there are fakes, or the other way round, and 5000
    at most. Sources: docs/metrics.md.

    Args:
      fake, train: to learn from.
      real: to predict.
      names: of the columns.
      discrete: bool [columns].
      seed: of the choice of rows and the classifiers.
    """
    count = min(len(fake.codes), len(train.codes), _MOST_ROWS)
    rng = np.random.default_rng(seed)
    fake, train = (_some(rows, rng.permutation(len(rows.codes))[:count]) for rows in (fake, train))
    parts = [fake.codes, train.codes, real.codes]
    ends = np.cumsum([len(part) for part in parts])[:-1]
    encoded = np.split(trees.inputs(np.concatenate(parts), discrete), ends)
    targets, of_fake, of_train = [], [], []
    for target in _targets(fake, train, real, names, discrete):
        inputs = [part[:, target.inputs] for part in encoded]
        chances = [
            _chances(inputs[place], target.classes[place], inputs[2], discrete[target.inputs], seed)
            for place in (0, 1)
        ]
        assert real.groups is not None  # The caller predicts these.
        kept = [np.ones(len(real.groups), bool)]
        kept += [real.groups != group for group in range(int(real.groups.max()) + 1)]
        from_fake, from_train = (
            [_gini(target.classes[2][rows], _at(chance, rows)) for rows in kept]
            for chance in chances
        )
        targets.append(target.name)
        of_fake.append(from_fake)
        of_train.append(from_train)
    if not targets or np.mean([each[0] for each in of_train]) < _LEAST:
        return None
    return Worth(tuple(targets), np.array(of_fake).T, np.array(of_train).T)


def _some(rows: Rows, places: np.ndarray) -> Rows:
    labels = None if rows.labels is None else rows.labels[places]
    return Rows(rows.codes[places], labels)


def _targets(
    fake: Rows, train: Rows, real: Rows, names: tuple[str, ...], discrete: np.ndarray
) -> list[_Target]:
    """The label where all rows have one, or the last columns that can be predicted."""
    columns = np.arange(len(names))
    sets = (fake, train, real)
    labels = [rows.labels for rows in sets]
    if all(each is not None for each in labels):
        classes = _frequent([np.asarray(each, np.float64) for each in labels])
        found = [_Target("label", columns, (classes[0], classes[1], classes[2]))]
        return [target for target in found if _can_be_told(target)]
    found = []
    for place in columns[::-1]:
        values = [rows.codes[:, place].astype(np.float64) for rows in sets]
        if discrete[place]:
            values = _frequent(values)
        elif not np.isnan(values[1]).all():
            middle = np.nanmedian(values[1])
            values = [np.where(np.isnan(each), np.nan, each > middle) for each in values]
        others = np.delete(columns, place)
        target = _Target(names[place], others, (values[0], values[1], values[2]))
        if len(others) and _can_be_told(target):
            found.append(target)
        if len(found) == _MOST_TARGETS:
            break
    return found


def _frequent(values: list[np.ndarray]) -> list[np.ndarray]:
    """The classes that are frequent in the train split, the second of three; the others are -1."""
    known, counts = np.unique(values[1][~np.isnan(values[1])], return_counts=True)
    if len(known) <= _MOST_CLASSES:
        return values
    kept = known[np.argsort(-counts, kind="stable")[: _MOST_CLASSES - 1]]
    return [np.where(np.isnan(each) | np.isin(each, kept), each, -1.0) for each in values]


def _can_be_told(target: _Target) -> bool:
    """Whether the train split and the real rows have two classes or more, and enough of each."""
    _, train, real = target.classes
    known = np.unique(train[~np.isnan(train)])
    counts = [np.sum(rows == label) for label in known for rows in (train, real)]
    often = [min(pair) >= _FEWEST for pair in zip(counts[::2], counts[1::2], strict=True)]
    return sum(often) > 1


def _chances(
    inputs: np.ndarray, classes: np.ndarray, asked: np.ndarray, discrete: np.ndarray, seed: int
) -> dict[float, np.ndarray]:
    """By class, how probable it is in the rows that are asked about, [n]."""
    there = ~np.isnan(classes)
    known = np.unique(classes[there])
    if len(known) < 2:
        # Nothing is learnt from one class, or from none.
        return {}
    with threadpool_limits(1, "openmp"):
        model = trees.classifier(discrete, seed).fit(inputs[there], classes[there])
        chances = model.predict_proba(asked)
    return {float(label): chances[:, place] for place, label in enumerate(model.classes_)}


def _at(chances: dict[float, np.ndarray], rows: np.ndarray) -> dict[float, np.ndarray]:
    return {label: chance[rows] for label, chance in chances.items()}


def _gini(classes: np.ndarray, chances: dict[float, np.ndarray]) -> float:
    """2 AUC - 1 of every class against the rest, weighted by its rows; 0 for an unknown class."""
    there = ~np.isnan(classes)
    labels, counts = np.unique(classes[there], return_counts=True)
    if len(labels) < 2:
        return 0.0
    found = [
        2 * roc_auc_score(classes[there] == label, chances[label][there]) - 1
        if label in chances
        else 0.0
        for label in labels
    ]
    return float(np.average(found, weights=counts))
