"""What an evaluation is: data only, as the executor, the report and the command line share them."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from components.data.columns import Column


@dataclasses.dataclass(frozen=True)
class Score:
    """A number and how far it can be trusted.

    Attributes:
      value: the estimate.
      low, high: its 95 % interval; None where there is none.
      details: further numbers that belong to it, e.g. {"p_value": 0.2}.
      replicates: values of which the standard deviation is the score's standard error, one for
        each group of images; two scores against the same real images have replicates of the same
        groups, so that their difference has an interval too. Not written to files.
    """

    value: float
    low: float | None = None
    high: float | None = None
    details: Mapping[str, float] = dataclasses.field(default_factory=dict)
    replicates: np.ndarray | None = dataclasses.field(default=None, repr=False, compare=False)

    @property
    def lower(self) -> float:
        """The lower end of the interval; the value where there is no interval."""
        return self.value if self.low is None else self.low

    @property
    def upper(self) -> float:
        """The upper end of the interval; the value where there is no interval."""
        return self.value if self.high is None else self.high

    def to_json(self) -> dict[str, Any]:
        """Without the replicates."""
        return {
            "value": self.value,
            "low": self.low,
            "high": self.high,
            "details": dict(self.details),
        }


@dataclasses.dataclass(frozen=True)
class Verdict:
    """One rule of the gate and how the candidate stands to it.

    Attributes:
      rule: in words, with the limit.
      found: in words, what was compared with the limit.
      passed: whether the rule is kept.
      metric: name of the metric that the rule is about; None for a rule about the protocol.
    """

    rule: str
    found: str
    passed: bool
    metric: str | None = None

    def __str__(self) -> str:
        return f"{self.rule}: {self.found}, {'passed' if self.passed else 'failed'}"


@dataclasses.dataclass(frozen=True)
class ClassRow:
    """One class of the data, or, for an extractor without labels, one class it predicts.

    Attributes:
      label: the class.
      real_share, fake_share: share of the images that the extractor puts into the class, in [0, 1].
      name: of the class; None where the data have only its number.
      scores: of a conditional generator's samples of this class against the real images of this
        class, by metric; empty for an unconditional one. `accuracy` is the share of the samples
        that the extractor puts into the class.
    """

    label: int
    real_share: float
    fake_share: float
    name: str | None = None
    scores: Mapping[str, Score] = dataclasses.field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As it is in metrics.json."""
        scores = {name: score.to_json() for name, score in self.scores.items()}
        return {**dataclasses.asdict(self), "scores": scores}


@dataclasses.dataclass(frozen=True)
class Pictures:
    """Images that the report shows: uint8, [..., height, width, channels]; empty arrays for none.

    Attributes:
      real: [n, ...], drawn at random with a fixed seed.
      fake: [n, ...], the first samples of the fixed seed, beside the real ones.
      interpolations: [rows, columns, ...], along great circles between latents.
      best, worst: [n, ...], the fakes of highest and lowest realism, best and worst first.
      nearest: [n, 1 + neighbours, ...], the fakes nearest to the train split, nearest first, each
        followed by its nearest images of the train split.
    """

    real: np.ndarray
    fake: np.ndarray
    interpolations: np.ndarray
    best: np.ndarray
    worst: np.ndarray
    nearest: np.ndarray


@dataclasses.dataclass(frozen=True)
class ColumnRow:
    """One column of rows.

    Attributes:
      column: its name and type.
      distance: of the fakes from the real rows: docs/metrics.md.
      real_missing, fake_missing: share of the rows without a value, in [0, 1].
      real_mean, fake_mean, real_deviation, fake_deviation: in the units of the data, of datetimes
        in microseconds (since 1970); None for a discrete column, and where there is no value.
    """

    column: Column
    distance: Score
    real_missing: float
    fake_missing: float
    real_mean: float | None = None
    fake_mean: float | None = None
    real_deviation: float | None = None
    fake_deviation: float | None = None

    @property
    def name(self) -> str:
        """Of the column."""
        return self.column.name

    def to_json(self) -> dict[str, Any]:
        """As it is in metrics.json."""
        fields = {**vars(self), "distance": self.distance.to_json()}
        del fields["column"]
        return {"name": self.name, "type": self.column.type, **fields}


@dataclasses.dataclass(frozen=True)
class Vectors:
    """Rows that the report shows.

    Attributes:
      columns: in the order of the data, 1 or more.
      real, fake: codes [n, columns] and [m, columns], all that were compared.
      categories: by discrete column, what the codes mean.
    """

    columns: Sequence[ColumnRow]
    real: np.ndarray
    fake: np.ndarray
    categories: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """Everything that metrics.json and the report show.

    Attributes:
      model: where the candidate is.
      verdicts: the gate's, every rule.
      scores: by subject, then by metric: `model`, and of its references those that there are, of
        `baseline`, `best` (the best blessed generator, if it is not the baseline), `train`,
        `untrained`, `noise`, `halves` (one half of the real images against the other: the floor).
        `on_train` is the candidate's FID against images of the train split, as many as there are
        real ones; below the one against the real images, it tells of memory.
      changes: by metric, candidate minus last blessed model, with its interval; empty without one.
      classes: by label.
      pictures: None for vectors.
      vectors: None for images.
      log: lines of the training's log (`images`, `images_per_second`, `*_loss`, on some lines `fid`
        and `kid`); may be empty.
      data: about the data: `shape`, `eval examples`, `eval examples by class`, …
      protocol: `protocol.describe`'s: extractor, counts, settings, versions.
      lineage: where the candidate comes from: data span, schema, code versions, artifact ids.
      stages: `seconds`, `peak_gb` and `cached` of the stages before this one, by name.
      config: the recipe's sections that the candidate was trained and measured with.
    """

    model: str
    verdicts: Sequence[Verdict]
    scores: Mapping[str, Mapping[str, Score]]
    changes: Mapping[str, Score]
    classes: Sequence[ClassRow]
    pictures: Pictures | None
    vectors: Vectors | None
    log: Sequence[Mapping[str, Any]]
    data: Mapping[str, Any]
    protocol: Mapping[str, Any]
    lineage: Mapping[str, Any]
    stages: Mapping[str, Mapping[str, Any]]
    config: Mapping[str, Any]

    @property
    def blessed(self) -> bool:
        """Whether all rules are kept."""
        return all(verdict.passed for verdict in self.verdicts)

    def to_json(self) -> dict[str, Any]:
        """The content of metrics.json."""
        scores = {
            subject: {name: score.to_json() for name, score in of_subject.items()}
            for subject, of_subject in self.scores.items()
        }
        return {
            "model": self.model,
            "blessed": self.blessed,
            "metrics": scores.pop("model"),
            "references": scores,
            "changes": {name: score.to_json() for name, score in self.changes.items()},
            "classes": [row.to_json() for row in self.classes],
            "columns": [row.to_json() for row in self.vectors.columns] if self.vectors else [],
            "gate": [dataclasses.asdict(verdict) for verdict in self.verdicts],
            "data": dict(self.data),
            "protocol": dict(self.protocol),
            "lineage": dict(self.lineage),
            "stages": dict(self.stages),
        }
