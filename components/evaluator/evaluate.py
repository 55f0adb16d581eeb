"""One evaluation from its parts: a generator, real data, an extractor, rules. No TFX."""

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from components import features
from components.common import artifact_files, files, grids, tables
from components.data import examples
from components.evaluator import gate, protocol
from components.evaluator.config import EvaluatorConfig
from components.evaluator.evaluation import (
    ClassRow,
    ColumnRow,
    Evaluation,
    Pictures,
    Score,
    Vectors,
    Verdict,
)
from components.evaluator.metrics import uncertainty
from components.evaluator.metrics.comparison import Comparison, Reference, Sample
from components.evaluator.metrics.registry import score_all
from components.evaluator.report import report
from components.features.distances import fid

# A SavedModel with the signatures of `components.trainer.export`, or its data: uint8 images, or
# float32 vectors.
Source = str | np.ndarray
Loaded = protocol.Generator | np.ndarray

_SHOWN = 64
_EXTREMES = 16
_NEAREST = 8
_INTERPOLATIONS = (6, 10)
# Of a class, whose images are few.
_CLASS_METRICS = ("fid", "precision", "recall")
_FEWEST_OF_A_CLASS = 20
# How much nearer fakes may be than real images, by chance, before the two seem swapped.
_CLEARLY = 2.0


def evaluate(
    candidate: Source,
    real: examples.Split,
    train: examples.Split | None,
    extractor: features.Extractor,
    config: EvaluatorConfig,
    *,
    model: str,
    columns: Sequence[str] | None = None,
    baseline: Source | None = None,
    references: Mapping[str, Source] | None = None,
    log: Sequence[Mapping[str, Any]] = (),
    lineage: Mapping[str, Any] | None = None,
    recipe: Mapping[str, Any] | None = None,
) -> Evaluation:
    """Scores the candidate beside its references and judges it.

    Args:
      candidate: the generator, or what it has made.
      real: what it is compared with, held out from training.
      train: what it was trained on; None where unknown, and then nothing tells copies.
      extractor: what turns the data into features.
      config: metrics and gate.
      model: what the candidate is called, a path or a URI.
      columns: names of the vectors' columns; "column 0", … if left out.
      baseline: the last blessed generator, scored again under the same protocol.
      references: further generators to put beside it, such as the untrained one.
      log: lines of the training's log.
      lineage, recipe: as `Evaluation` has them.

    Raises:
      ValueError: for data that a metric cannot be computed from, naming subject and metric; for
        samples of another shape than the real data; for a rule about an unknown metric.
    """
    run = _Run(real, train, extractor, config, columns)
    generator = _load(candidate)
    subjects = {"model": run.fakes(generator)}
    if baseline is not None:
        subjects["baseline"] = run.fakes(_load(baseline))
    if train is not None:
        subjects["train"] = protocol.choose(train.data, len(real), config.seed)
    subjects |= {name: run.fakes(_load(source)) for name, source in (references or {}).items()}
    subjects["noise"] = protocol.noise(run.count, config.seed, real.data)

    comparisons = {name: run.compare(name, data) for name, data in subjects.items()}
    comparisons["halves"] = run.halves()
    scores = {name: _scores(name, comparison) for name, comparison in comparisons.items()}

    scored = {
        name: gate.Scored(scores[name], extractor.id, run.real_id)
        for name in ("model", "baseline")
        if name in scores
    }
    verdicts = gate.judge(scored["model"], scored.get("baseline"), config.gate)
    verdicts += run.order(comparisons["model"])
    counts = {"eval": len(real), **{name: len(data) for name, data in subjects.items()}}
    if train is not None:
        counts["train split"] = len(train)
    return Evaluation(
        model=model,
        verdicts=verdicts,
        scores=scores,
        changes=gate.changes(scored["model"], scored["baseline"]) if baseline is not None else {},
        classes=run.classes(generator, comparisons["model"]),
        pictures=run.pictures(generator, comparisons["model"]),
        vectors=run.vectors(comparisons["model"]),
        log=log,
        data=_summary(real, train),
        protocol=protocol.describe(
            extractor.description, run.real_id, counts, real.data.shape[1:], config
        ),
        lineage=lineage or {},
        config={**(recipe or {}), "evaluator": config.model_dump(mode="json", exclude_none=True)},
    )


def write(evaluation: Evaluation, folder: str) -> None:
    """Writes metrics.json, report.html, and samples.png of images or samples.csv of vectors."""
    content = json.dumps(evaluation.to_json(), indent=2, allow_nan=False)
    files.write(os.path.join(folder, artifact_files.METRICS), content.encode())
    files.write(os.path.join(folder, artifact_files.REPORT), report.render(evaluation).encode())
    if evaluation.pictures is not None:
        grids.save_png(
            grids.grid(evaluation.pictures.fake), os.path.join(folder, artifact_files.PICTURE)
        )
    if evaluation.vectors is not None:
        names = [row.name for row in evaluation.vectors.columns]
        tables.save(evaluation.vectors.fake, names, os.path.join(folder, artifact_files.TABLE))


class _Run:
    """The parts of one evaluation that its steps share."""

    def __init__(
        self,
        real: examples.Split,
        train: examples.Split | None,
        extractor: features.Extractor,
        config: EvaluatorConfig,
        columns: Sequence[str] | None,
    ) -> None:
        self.config = config
        self.columns = columns
        self.extractor = extractor
        self.train_images = None if train is None else train.data
        self.labels = real.labels
        self.count = config.num_fake or len(real)
        self.real_id = features.data_id(real.data)
        self._real = self._known(examples.EVAL_SPLIT, real.data)
        known = None if train is None else self._known(examples.TRAIN_SPLIT, train.data)
        self._reference = self._reference_of(self._real, known)
        # What "train" is scored against: its images are all copies of themselves.
        self._without_train = self._reference_of(self._real, None)

    def fakes(self, source: Loaded) -> np.ndarray:
        """As many as are asked for, or all that there are."""
        return source if isinstance(source, np.ndarray) else self._make(source, self.count)

    def _make(
        self, generator: protocol.Generator, count: int, label: int | None = None
    ) -> np.ndarray:
        shape = self._real.data.shape[1:]
        seed, batch_size = self.config.seed, self.config.batch_size
        return protocol.sample(generator, count, seed, batch_size, shape, label)

    def compare(self, name: str, data: np.ndarray) -> Comparison:
        """Subject `name` beside the real images."""
        reference = self._without_train if name == "train" else self._reference
        try:
            return Comparison(reference, self._sample(data))
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error

    def halves(self) -> Comparison:
        """One half of the real images beside the other: what their number allows to see."""
        order = np.random.default_rng(self.config.seed).permutation(len(self._real))
        middle = len(order) // 2
        one, other = self._real[order[:middle]], self._real[order[middle:]]
        return Comparison(self._reference_of(one, None), other)

    def order(self, comparison: Comparison) -> list[Verdict]:
        """That real and fake images were not swapped, where the extractor knows the real ones."""
        known = self.extractor.reference(examples.EVAL_SPLIT)
        if known is None:
            return []
        # As many of each: FID is larger for fewer images.
        count = min(len(comparison.real), len(comparison.fake))
        real, fake = (
            fid(known.features, protocol.choose(sample.features.features, count, self.config.seed))
            for sample in (comparison.real, comparison.fake)
        )
        rule = "Real and fake are not swapped: the real ones are nearer to the extractor's own"
        return [Verdict(rule, f"FID {real:.4g} against {fake:.4g}", real <= _CLEARLY * fake)]

    def classes(self, source: Loaded, comparison: Comparison) -> list[ClassRow]:
        """By class that the extractor predicts; with scores where the generator has classes."""
        if not comparison.has("classes"):
            return []
        real, fake = (
            sample.features.probabilities.argmax(axis=1)
            for sample in (comparison.real, comparison.fake)
        )
        conditional = self.labels is not None and "sample_class" in _signatures(source)
        return [
            ClassRow(
                label=label,
                real_share=float(np.mean(real == label)),
                fake_share=float(np.mean(fake == label)),
                scores=self._of_class(source, label) if conditional else {},
            )
            for label in range(comparison.real.features.probabilities.shape[1])
        ]

    def _of_class(self, generator: protocol.Generator, label: int) -> dict[str, Score]:
        real = self._real[self.labels == label]
        if len(real) < _FEWEST_OF_A_CLASS:
            return {}
        fake = self._sample(self._make(generator, len(real), label))
        comparison = Comparison(self._reference_of(real, None), fake)
        right = fake.features.probabilities.argmax(axis=1) == label
        accuracy = uncertainty.mean(right, comparison.fake_groups)
        return {"accuracy": accuracy, **score_all(comparison, _CLASS_METRICS)}

    def pictures(self, source: Loaded, comparison: Comparison) -> Pictures | None:
        """Of images; None for vectors."""
        if not comparison.has("images"):
            return None
        fake = comparison.fake.data
        ranked = fake[np.argsort(-comparison.manifolds.realism, kind="stable")]
        nearest = np.empty((0, 1, *fake.shape[1:]), np.uint8)
        if comparison.has("train"):
            rows, apart = comparison.nearest_train
            chosen = np.argsort(apart[:, 0], kind="stable")[:_NEAREST]
            beside = self.train_images[rows[chosen]]
            nearest = np.concatenate([fake[chosen, np.newaxis], beside], axis=1)
        between = np.empty((0, 1, *fake.shape[1:]), np.uint8)
        if "serving_default" in _signatures(source):
            between = protocol.interpolations(source, *_INTERPOLATIONS, self.config.seed)
        return Pictures(
            real=protocol.choose(comparison.real.data, _SHOWN, self.config.seed),
            fake=fake[:_SHOWN],
            interpolations=between,
            best=ranked[:_EXTREMES],
            worst=ranked[::-1][:_EXTREMES],
            nearest=nearest,
        )

    def vectors(self, comparison: Comparison) -> Vectors | None:
        """Of vectors; None for images."""
        if not comparison.has("vectors"):
            return None
        real, fake = comparison.real.data, comparison.fake.data
        rows = []
        for place, name in enumerate(comparison.reference.columns):
            whole, *left_out = comparison.column_distances[:, place]
            distance = uncertainty.jackknife(whole, left_out)
            of_column = [data[:, place].astype(np.float64) for data in (real, fake)]
            rows.append(
                ColumnRow(
                    name,
                    dataclasses.replace(distance, low=max(distance.low, 0.0)),
                    *(float(column.mean()) for column in of_column),
                    *(float(column.std()) for column in of_column),
                )
            )
        return Vectors(rows, real, fake)

    def _known(self, split: str, data: np.ndarray) -> Sample:
        stored = self.extractor.stored(split, data)
        return self._sample(data) if stored is None else Sample(data, stored)

    def _sample(self, data: np.ndarray) -> Sample:
        return Sample(data, self.extractor(data, self.config.batch_size))

    def _reference_of(self, real: Sample, train: Sample | None) -> Reference:
        by_label = bool(self.extractor.description.get("classes_are_labels"))
        return Reference(
            real, train, self.config, classes_are_labels=by_label, columns=self.columns
        )


def _scores(name: str, comparison: Comparison) -> dict[str, Score]:
    try:
        return score_all(comparison)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


def _signatures(source: Loaded) -> frozenset[str]:
    return frozenset() if isinstance(source, np.ndarray) else source.signatures


def _load(source: Source) -> Loaded:
    return protocol.Generator(source) if isinstance(source, str) else source


def _summary(real: examples.Split, train: examples.Split | None) -> dict[str, Any]:
    splits = {"eval": real} if train is None else {"train": train, "eval": real}
    summary: dict[str, Any] = {"shape": list(real.data.shape[1:])}
    for name, split in splits.items():
        summary[f"{name} examples"] = len(split)
        if split.labels is not None:
            counts = np.bincount(split.labels)
            summary[f"{name} examples by class"] = counts.tolist()
    return summary
