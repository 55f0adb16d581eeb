"""What a generator must keep whatever it is for: each metric's built-in rule.

A limit is relative to what the same evaluation found for its references, so that it means the same
for any data, extractor and number of samples: `train`, real data that a perfect generator would
match; `halves` where the train split is unknown; the `untrained` generator, or `noise`, which a
useful one must leave far behind. A generator is refused if its score is beyond the limit and also
significantly worse than that of real data: a few samples of a good generator may be beyond it by
chance. (A recipe's bound asks for proof in the other direction.) docs/evaluation.md has the table
of planted faults that the limits were chosen by.
"""

import dataclasses
from collections.abc import Callable, Mapping

from components.evaluator.evaluation import Score

# So rarely does a test refuse a good generator.
_SIGNIFICANT = 1e-4
# Of samples, beyond the real data's own share: more is a fault and no longer an accident.
_EXCESS = 0.1


@dataclasses.dataclass(frozen=True)
class Standing:
    """How a score stands to a rule: the rule in words, and whether it is kept."""

    rule: str
    kept: bool


# The candidate's score and those of the references, by subject, to its standing; None where the
# references that the rule needs are missing.
Standard = Callable[[Score, Mapping[str, Score]], Standing | None]


def at_least(share: float) -> Standard:
    """At least a share of what real data score."""

    def standard(score: Score, references: Mapping[str, Score]) -> Standing | None:
        real = _real(references)
        if real is None:
            return None
        limit = share * real.value
        kept = score.value >= limit or score.upper >= real.lower
        return Standing(f"at least {limit:.4g}, {share:g} of real data's", kept)

    return standard


def far_from_untrained(share: float) -> Standard:
    """At most a share of the way from what real data score to what the untrained generator does."""

    def standard(score: Score, references: Mapping[str, Score]) -> Standing | None:
        real, worst = _real(references), useless(references)
        # Where nothing tells the untrained generator from real data, the metric tells nothing.
        if real is None or worst is None or not worst[1].lower > real.upper:
            return None
        name, of_worst = worst
        limit = real.value + share * (of_worst.value - real.value)
        rule = f"at most {limit:.4g}, {share:g} of the way from real data's to {name}'s"
        return Standing(rule, score.value <= limit or score.lower <= real.upper)

    return standard


def no_excess(score: Score, references: Mapping[str, Score]) -> Standing:
    """A share of samples that is neither far nor significantly above the real data's own.

    The score's details have `real`, the share of real data, and `excess_p`, the p-value of the
    one-sided exact test.
    """
    real = score.details["real"]
    limit = real + _EXCESS * (1 - real)
    kept = score.value <= limit or score.details["excess_p"] >= _SIGNIFICANT
    return Standing(f"at most {limit:.4g}, a tenth above real data's {real:.4g}", kept)


def at_most_if_significant(limit: float, level: float = _SIGNIFICANT) -> Standard:
    """At most `limit`, unless the score's `p_value` is `level` or more: chance may have done it."""

    def standard(score: Score, references: Mapping[str, Score]) -> Standing:
        kept = score.value <= limit or score.details["p_value"] >= level
        return Standing(f"at most {limit:g}, or no significant difference", kept)

    return standard


def constant(least: float) -> Standard:
    """At least `least`, for what is a share of the real data's already."""
    return lambda score, references: Standing(f"at least {least:g}", score.upper >= least)


def half_of_skill(score: Score, references: Mapping[str, Score]) -> Standing:
    """At least half-way from chance to real data.

    The score's details have `real`, what real data reach, and `chance`, what labels that have
    nothing to do with the samples reach.
    """
    real, chance = score.details["real"], score.details["chance"]
    limit = chance + 0.5 * (real - chance)
    rule = f"at least {limit:.4g}, half-way from chance ({chance:.4g}) to real data ({real:.4g})"
    return Standing(rule, score.upper >= limit)


def of_metric(name: str, references: Mapping[str, Mapping[str, Score]]) -> dict[str, Score]:
    """The scores of one metric by subject, of those that have it."""
    return {subject: scores[name] for subject, scores in references.items() if name in scores}


def useless(references: Mapping[str, Score]) -> tuple[str, Score] | None:
    """The subject that knows nothing of the data, and its score; None where there is none."""
    return next(
        ((name, references[name]) for name in ("untrained", "noise") if name in references), None
    )


def _real(references: Mapping[str, Score]) -> Score | None:
    return references.get("train", references.get("halves"))
