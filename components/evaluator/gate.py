"""Scores and rules in, verdicts out."""

import dataclasses
import math
from collections.abc import Mapping

from components.evaluator.config import GateConfig
from components.evaluator.scores import METRICS, Score


@dataclasses.dataclass(frozen=True)
class Verdict:
    """One rule and how the candidate stands to it.

    Attributes:
      rule: in words, with the limit.
      value: the candidate's score.
      limit: what the value was compared with; None where there was nothing to compare with.
      passed: whether the rule is kept.
    """

    rule: str
    value: float
    limit: float | None
    passed: bool

    def __str__(self) -> str:
        return f"{self.rule}: {self.value:.4g}, {'passed' if self.passed else 'failed'}"


def judge(
    scores: Mapping[str, Score], baseline: Mapping[str, Score] | None, config: GateConfig
) -> list[Verdict]:
    """A verdict for every rule of the gate; the candidate is blessed if all have passed.

    Args:
      scores: the candidate's, by metric.
      baseline: those of the last blessed model under the same protocol; None where there is none,
        which passes the rules that ask for it.
      config: the rules.
    """
    verdicts = []
    for name, bound in config.bounds.items():
        title, value = METRICS.get(name).title, scores[name].value
        # NaN compares false with everything, so that it never passes.
        if bound.min is not None:
            rule = f"{title} at least {bound.min:.4g}"
            verdicts.append(Verdict(rule, value, bound.min, value >= bound.min))
        if bound.max is not None:
            rule = f"{title} at most {bound.max:.4g}"
            verdicts.append(Verdict(rule, value, bound.max, value <= bound.max))
    for name, tolerance in config.not_worse_than_blessed.items():
        verdicts.append(_not_worse(name, scores[name].value, baseline, tolerance))
    return verdicts


def _not_worse(
    name: str, value: float, baseline: Mapping[str, Score] | None, tolerance: float
) -> Verdict:
    metric = METRICS.get(name)
    rule = f"{metric.title} at most {100 * tolerance:.4g} % worse than the last blessed model's"
    if baseline is None:
        return Verdict(f"{rule} (there is none yet)", value, None, not math.isnan(value))
    reached = baseline[name].value
    # Of the magnitude, because KID's estimates can be negative.
    slack = tolerance * abs(reached)
    limit = reached - slack if metric.higher_is_better else reached + slack
    passed = value >= limit if metric.higher_is_better else value <= limit
    return Verdict(f"{rule} (limit {limit:.4g})", value, limit, passed)
