"""Discriminator rejection sampling (Azadi et al. 2019, arXiv:1810.06758): keeps the likely samples.

A discriminator's logit d of a sample is the log of how much denser the data are there than the
samples, if it is the best one for its loss. Then samples that are kept with probability
exp(d - max d) are spread as the data are. Hardly any would be, so the paper relaxes it (equations 7
and 8): kept with probability sigmoid(F - γ), where F = d - max d - log(1 - exp(d - max d - ε)),
which is the same for γ = 0, and γ decides how many.
"""

import numpy as np
from scipy import special

from components.serving import numpy_draws
from components.serving.contract import MAX_ROWS
from components.serving.generator import Generator

SIGNATURE = "score_samples"
# Keeps the logarithm finite for the largest logit.
_EPSILON = 1e-8


def accepted(logits: np.ndarray, uniforms: np.ndarray, count: int) -> np.ndarray:
    """Which of the candidates are kept, int64 [count], in their order.

    A candidate is kept if its uniform number u is below sigmoid(F - γ), thus if F - logit(u) > γ.
    γ is such that `count` are, where the paper's is a percentile of F.

    >>> accepted(np.array([-1.0, 4.0, 0.0, 3.0]), np.full(4, 0.5), 2).tolist()
    [1, 3]

    Args:
      logits: of the discriminator, float [n].
      uniforms: of the candidates, in (0, 1), float [n].
      count: at most n.
    """
    distances = logits.astype(np.float64) - logits.max()
    likely = distances - np.log1p(-np.exp(distances - _EPSILON))
    order = np.argsort(special.logit(uniforms) - likely, kind="stable")
    return np.sort(order[:count])


def keep(
    generator: Generator, candidates: np.ndarray, labels: np.ndarray | None, count: int
) -> np.ndarray:
    """The seeds to keep, int64 [count]: those of `candidates` that look most like data.

    Candidates take the labels in turn and compete with those of the same label alone, so that
    classes are as frequent as they would be without: the i-th seed kept is one of label i.

    Args:
      generator: with the signature `score_samples`.
      candidates: seeds int64 [n], n of `count` or more.
      labels: int64 [count]; None for a generator without classes.
      count: how many to keep.

    Raises:
      ValueError: for a generator without the signature; it says how to get it.
    """
    check(generator)
    wanted = np.zeros(count, np.int64) if labels is None else labels
    offered = np.resize(wanted, len(candidates))
    logits = np.concatenate(
        [
            generator(
                SIGNATURE,
                seeds=candidates[rows],
                **({} if labels is None else {"labels": offered[rows]}),
            )["logits"]
            for rows in (slice(at, at + MAX_ROWS) for at in range(0, len(candidates), MAX_ROWS))
        ]
    )
    uniforms = numpy_draws.uniforms(candidates)
    kept = np.empty(count, np.int64)
    for label in np.unique(wanted):
        own, rows = np.flatnonzero(offered == label), np.flatnonzero(wanted == label)
        kept[rows] = candidates[own[accepted(logits[own], uniforms[own], len(rows))]]
    return kept


def check(generator: Generator) -> None:
    """Raises ValueError for a generator that cannot score its samples."""
    if SIGNATURE not in generator.signatures:
        raise ValueError(
            f"{generator.path}: has no discriminator to choose by; train or resume it with "
            "trainer.export_scores: true"
        )
