"""Scores and rules in, verdicts out. The 95 % interval decides, not the estimate."""

import dataclasses
import math
from collections.abc import Iterator, Mapping

from components.evaluator import protocol
from components.evaluator.config import GateConfig
from components.evaluator.evaluation import Score, Verdict
from components.evaluator.metrics import standards, uncertainty
from components.evaluator.metrics.comparison import Comparison
from components.evaluator.metrics.registry import METRICS
from components.features import Features
from components.features.distances import fid

# How much nearer fakes may be than real images, by chance, before the two seem swapped.
_CLEARLY = 2.0
# A score below this share of what a useless generator has is as good as 0.
_SCALE = 0.02


@dataclasses.dataclass(frozen=True)
class Scored:
    """The scores of one generator, and what has to be equal for two of them to be compared.

    Attributes:
      scores: by metric.
      extractor: its id.
      real: the id of the real data.
    """

    scores: Mapping[str, Score]
    extractor: str
    real: str


def judge(
    candidate: Scored,
    baseline: Scored | None,
    config: GateConfig,
    references: Mapping[str, Mapping[str, Score]] | None = None,
    best: Scored | None = None,
) -> list[Verdict]:
    """A verdict for every rule of the gate; the candidate is blessed if all have passed.

    Args:
      candidate: the scores.
      baseline: those of the last blessed model; None where there is none, which passes the rules
        that ask for it. Scores under another extractor or of other real data are not compared:
        one verdict says so, and fails.
      config: the rules of the recipe; a metric that it leaves alone keeps its own standard.
      references: the scores that standards are relative to, by subject and metric: `train`,
        `untrained`, `halves`, `noise`, those that there are.
      best: the scores of the best blessed model, where it is another one than the last. Only
        `not_worse_than_blessed` asks for it: a generator that has to be better than the last one
        cannot drift away from the best.

    Raises:
      ValueError: for a rule of the recipe about a metric that was not computed.
    """
    references = references or {}
    verdicts = [
        *_within_standards(candidate.scores, references, config),
        *_within_bounds(candidate.scores, config),
    ]
    named = [*config.better_than_blessed, *config.not_worse_than_blessed]
    for name in named:
        _require(name, candidate.scores)
    for which, other in (("last", baseline), ("best", best)):
        differing = named and other is not None and _differing(candidate, other)
        if differing:
            rule = f"The {which} blessed model is scored with the same extractor and real data"
            return [*verdicts, Verdict(rule, differing, passed=False)]
    for name in config.better_than_blessed:
        verdicts.append(_against(name, candidate, baseline, references, tolerance=None))
    for name, tolerance in config.not_worse_than_blessed.items():
        verdicts.append(_against(name, candidate, baseline, references, tolerance))
        if best is not None:
            verdicts.append(_against(name, candidate, best, references, tolerance, which="best"))
    return verdicts


def order(known: Features | None, comparison: Comparison) -> list[Verdict]:
    """That real and fake images were not swapped; no verdict where nothing is known.

    Args:
      known: the features of the real data that the extractor was stored with.
      comparison: the candidate's.
    """
    if known is None:
        return []
    # As many of each: FID is larger for fewer images.
    count = min(len(comparison.real), len(comparison.fake))
    seed = comparison.settings.seed
    real, fake = (
        fid(known.features, protocol.choose(sample.features.features, count, seed))
        for sample in (comparison.real, comparison.fake)
    )
    rule = "Real and fake are not swapped: the real ones are nearer to the extractor's own"
    return [Verdict(rule, f"FID {real:.4g} against {fake:.4g}", real <= _CLEARLY * fake)]


def changes(candidate: Scored, baseline: Scored) -> dict[str, Score]:
    """Candidate minus baseline, by metric; empty where they are not comparable."""
    if _differing(candidate, baseline):
        return {}
    return {
        name: uncertainty.difference(score, baseline.scores[name])
        for name, score in candidate.scores.items()
        if name in baseline.scores
    }


def _differing(candidate: Scored, baseline: Scored) -> str:
    return " and ".join(
        f"{what} {ours} here, {theirs} there"
        for what, ours, theirs in (
            ("extractor", candidate.extractor, baseline.extractor),
            ("real data", candidate.real, baseline.real),
        )
        if ours != theirs
    )


def _within_standards(
    scores: Mapping[str, Score],
    references: Mapping[str, Mapping[str, Score]],
    config: GateConfig,
) -> Iterator[Verdict]:
    for name, score in scores.items():
        metric = METRICS.get(name)
        if metric.standard is None or name in config.bounds:
            continue
        standing = metric.standard(score, standards.of_metric(name, references))
        if standing is not None:
            yield Verdict(f"{metric.title} {standing.rule}", words(score), standing.kept, name)


def _within_bounds(scores: Mapping[str, Score], config: GateConfig) -> Iterator[Verdict]:
    for name, bound in sorted(config.bounds.items()):
        if bound is None:
            continue
        _require(name, scores)
        title, score = METRICS.get(name).title, scores[name]
        # NaN compares false with everything, so that it never passes.
        if bound.min is not None:
            passed = score.lower >= bound.min
            yield Verdict(f"{title} at least {bound.min:.4g}", words(score), passed, name)
        if bound.max is not None:
            passed = score.upper <= bound.max
            yield Verdict(f"{title} at most {bound.max:.4g}", words(score), passed, name)


def _against(
    name: str,
    candidate: Scored,
    baseline: Scored | None,
    references: Mapping[str, Mapping[str, Score]],
    tolerance: float | None,
    which: str = "last",
) -> Verdict:
    """Not worse by more than a share of the baseline's magnitude; better, for tolerance None."""
    metric = METRICS.get(name)
    rule = f"{metric.title} better than the {which} blessed model's"
    if tolerance is not None:
        share = f"{100 * tolerance:.4g} %"
        rule = f"{metric.title} at most {share} worse than the {which} blessed model's"
    score = candidate.scores[name]
    if baseline is None:
        passed = not math.isnan(score.value)
        return Verdict(rule, f"{words(score)}, there is none yet", passed, name)
    change = uncertainty.difference(score, baseline.scores[name])
    worst = -change.lower if metric.higher_is_better else change.upper
    if tolerance is None:
        passed = worst < 0
    else:
        magnitude = max(abs(baseline.scores[name].value), _scale(name, references))
        passed = worst <= tolerance * magnitude
    found = f"{words(score)}, a change of {words(change)} from {baseline.scores[name].value:.4g}"
    return Verdict(rule, found, passed, name)


def _scale(name: str, references: Mapping[str, Mapping[str, Score]]) -> float:
    """What a change is a share of where the baseline is nearly perfect: a share of 0 is nothing."""
    metric = METRICS.get(name)
    if metric.scale or metric.higher_is_better:
        return metric.scale
    useless = standards.useless(standards.of_metric(name, references))
    return 0.0 if useless is None else _SCALE * abs(useless[1].value)


def words(score: Score) -> str:
    """The value and its interval."""
    if score.low is None:
        return f"{score.value:.4g}"
    return f"{score.value:.4g} [{score.low:.4g}, {score.high:.4g}]"


def _require(name: str, scores: Mapping[str, Score]) -> None:
    if name not in scores:
        raise ValueError(
            f"evaluator.gate: {name} has a rule, but cannot be computed with this extractor and "
            f"these data; there are {', '.join(sorted(scores))}"
        )
