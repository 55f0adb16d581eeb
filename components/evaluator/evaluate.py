"""One evaluation from its parts: a generator, real data, an extractor, rules. No TFX."""

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from components import features
from components.common import artifact_files, files, grids
from components.data import examples, table_files
from components.data.columns import Column
from components.evaluator import gate, kept, protocol
from components.evaluator.config import EvaluatorConfig
from components.evaluator.evaluation import Evaluation, Score
from components.evaluator.metrics.comparison import Comparison, errors_of
from components.evaluator.metrics.reference import Reference
from components.evaluator.metrics.registry import score_all
from components.evaluator.report import contents, report
from components.evaluator.subjects import Source, Subject, Subjects


def evaluate(
    candidate: Source,
    real: examples.Split,
    train: examples.Split | None,
    extractor: features.Extractor,
    config: EvaluatorConfig,
    *,
    model: str,
    columns: Sequence[Column] | None = None,
    baseline: Source | None = None,
    best: Source | None = None,
    references: Mapping[str, Source] | None = None,
    log: Sequence[Mapping[str, Any]] = (),
    lineage: Mapping[str, Any] | None = None,
    stages: Mapping[str, Mapping[str, Any]] | None = None,
    recipe: Mapping[str, Any] | None = None,
    shelf: kept.Shelf | None = None,
) -> Evaluation:
    """Scores the candidate beside its references and judges it.

    Args:
      candidate: the generator, or what it has made.
      real: what it is compared with, held out from training.
      train: what it was trained on; None where unknown, and then nothing tells copies.
      extractor: what turns the data into features.
      config: metrics and gate.
      model: what the candidate is called, a path or a URI.
      columns: of rows; numbers called "column 0", … if left out.
      baseline: the last blessed generator, scored again under the same protocol.
      best: the best blessed generator, likewise; None if it is the last one.
      references: further generators to put beside it, such as the untrained one.
      log: lines of the training's log.
      lineage, stages, recipe: as `Evaluation` has them.
      shelf: where what does not depend on the generators is kept for later evaluations; by default
        it is computed and not kept.

    Raises:
      ValueError: for data that a metric cannot be computed from, naming subject and metric; for
        samples of another shape or other columns than the real data; for a train split or an
        extractor of other categories; for a rule about an unknown metric.
    """
    maker = Subjects(candidate, real, train, extractor, config, columns)
    others = {**({} if best is None else {"best": best}), **(references or {})}
    key = maker.key(shelf.version) if shelf else ""
    known = shelf.load(key) if shelf else None
    subjects = maker.of_generators(baseline, others, known.distances if known else None)
    comparisons = {name: _compare(name, subject) for name, subject in subjects.items()}
    scores = {name: _score(name, comparison) for name, comparison in comparisons.items()}
    ours = comparisons["model"]
    if known is None:
        known = _without_generator(maker, ours.reference)
        if shelf:
            shelf.store(key, known)
    # What is only asked of conditional generators says nothing beside others.
    scores |= {
        name: {metric: score for metric, score in each.items() if metric in scores["model"]}
        for name, each in known.scores.items()
    }
    on_train = maker.on_train(subjects["model"].sample)
    if on_train is not None:
        scores["on_train"] = score_all(_compare("on_train", on_train), ["fid"])
    shown = ("model", "baseline", "train", *others, "noise", "halves", "on_train")
    scores = {name: scores[name] for name in shown if name in scores}
    real_id = features.data_id(real.data)
    scored = {
        name: gate.Scored(scores[name], extractor.id, real_id)
        for name in ("model", "baseline", "best")
        if name in scores
    }
    # The noise of a table has the data's own means and spreads, and is not far from them.
    judging = ["train", "untrained", "halves", *(["noise"] if real.data.ndim == 4 else [])]
    verdicts = gate.judge(
        scored["model"],
        scored.get("baseline"),
        config.gate,
        {name: scores[name] for name in judging if name in scores},
        scored.get("best"),
    )
    verdicts += gate.order(extractor.reference(examples.EVAL_SPLIT), ours)

    of_classes = maker.of_classes(ours.asked, ours.large_classes)
    of_class = {label: _compare(f"class {label}", each) for label, each in of_classes.items()}
    counts = {"eval": len(real), **{name: len(s.sample) for name, s in subjects.items()}}
    counts |= known.counts
    if train is not None:
        counts["train split"] = len(train)
    return Evaluation(
        model=model,
        verdicts=verdicts,
        scores=scores,
        changes=gate.changes(scored["model"], scored["baseline"]) if baseline is not None else {},
        classes=contents.classes(
            ours, of_class, {**(train.class_names if train else {}), **real.class_names}
        ),
        pictures=contents.pictures(ours, maker.interpolations()),
        vectors=contents.vectors(ours),
        log=log,
        data=_summary(real, train),
        protocol=protocol.describe(
            extractor.description, real_id, counts, real.data.shape[1:], config
        ),
        lineage=lineage or {},
        stages=stages or {},
        config={**(recipe or {}), "evaluator": config.model_dump(mode="json", exclude_none=True)},
    )


def write(evaluation: Evaluation, folder: str, page: str | None = None) -> None:
    """Writes metrics.json, report.html, and samples.png of images or samples.csv of vectors.

    Args:
      evaluation: what is written.
      folder: to write to.
      page: the generator as a page that runs in a browser, for generator.html; None for none.
    """
    content = json.dumps(evaluation.to_json(), indent=2, allow_nan=False)
    files.write(os.path.join(folder, artifact_files.METRICS), content.encode())
    if page is not None:
        files.write(os.path.join(folder, artifact_files.PAGE), page.encode())
    beside = None if page is None else artifact_files.PAGE
    shown = report.render(evaluation, beside)
    files.write(os.path.join(folder, artifact_files.REPORT), shown.encode())
    if evaluation.pictures is not None:
        grids.save_png(
            grids.grid(evaluation.pictures.fake), os.path.join(folder, artifact_files.PICTURE)
        )
    if evaluation.vectors is not None:
        columns = [row.column for row in evaluation.vectors.columns]
        made, categories = evaluation.vectors.fake, evaluation.vectors.categories
        table_files.save(made, columns, categories, os.path.join(folder, artifact_files.TABLE))


def _without_generator(maker: Subjects, reference: Reference) -> kept.Kept:
    subjects = maker.without_generator()
    scores = {name: _score(name, _compare(name, each)) for name, each in subjects.items()}
    counts = {name: len(each.sample) for name, each in subjects.items() if name != "halves"}
    return kept.Kept(scores, counts, reference.distances())


def _compare(name: str, subject: Subject) -> Comparison:
    with errors_of(name):
        return Comparison(subject.reference, subject.sample, subject.asked)


def _score(name: str, comparison: Comparison) -> dict[str, Score]:
    with errors_of(name):
        return score_all(comparison)


def _summary(real: examples.Split, train: examples.Split | None) -> dict[str, Any]:
    splits = {"eval": real} if train is None else {"train": train, "eval": real}
    summary: dict[str, Any] = {"shape": list(real.data.shape[1:])}
    for name, split in splits.items():
        summary[f"{name} examples"] = len(split)
        if split.labels is not None:
            counts = np.bincount(split.labels)
            summary[f"{name} examples by class"] = counts.tolist()
    return summary
