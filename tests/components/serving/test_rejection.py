import types

import numpy as np
import pytest
from scipy import special, stats

from components.serving import numpy_draws, rejection
from components.serving.contract import MAX_ROWS, row_seeds


def test_those_are_kept_that_the_papers_rule_keeps():
    rng = np.random.default_rng(0)
    logits, uniforms = rng.normal(0, 2, 500), rng.uniform(size=500)
    kept = rejection.accepted(logits, uniforms, 120)

    distances = logits - logits.max()
    likely = distances - np.log(1 - np.exp(distances - 1e-8))
    # Between the last one that is kept and the first one that is not.
    edges = np.sort(likely - special.logit(uniforms))[[-121, -120]]
    probabilities = 1 / (1 + np.exp(-(likely - edges.mean())))
    np.testing.assert_array_equal(kept, np.flatnonzero(uniforms < probabilities))


def test_half_of_uniform_samples_are_spread_as_a_triangle():
    """Data of density 2x, of which uniform samples hold half: plain rejection sampling, γ = 0."""
    rng = np.random.default_rng(0)
    samples = rng.uniform(size=20_000)
    kept = samples[rejection.accepted(np.log(2 * samples), rng.uniform(size=20_000), 10_000)]
    # An independent sample of this size is as far off in 1 % of cases.
    assert stats.kstest(kept, lambda x: x**2).statistic < 0.0163


@pytest.mark.parametrize("count", [1, 40])
def test_the_largest_logit_is_kept_and_all_are_if_all_are_wanted(count):
    rng = np.random.default_rng(0)
    logits, uniforms = np.float32(rng.normal(size=40)), rng.uniform(size=40)
    kept = rejection.accepted(logits, uniforms, count)
    assert int(logits.argmax()) in kept
    assert len(np.unique(kept)) == count


class Scored:
    """Logits that say how a seed's number is divided; for labels, others."""

    path, signatures = "model", frozenset({"score_samples"})

    def __init__(self):
        self.calls = []

    def __call__(self, signature, seeds, labels=0):
        self.calls.append(len(seeds))
        return {"images": seeds, "logits": np.float32((seeds * 7 + labels * 3) % 11) - 5}


def test_candidates_compete_within_their_label():
    generator, candidates = Scored(), row_seeds(3, 3000)
    labels = np.repeat([4, 0, 9], [600, 399, 1])
    kept = rejection.keep(generator, candidates, labels, 1000)

    assert generator.calls == [MAX_ROWS, MAX_ROWS, 3000 - 2 * MAX_ROWS]
    assert len(np.unique(kept)) == 1000
    # Candidate i takes label i modulo 1000, and the seed kept for a row is one of its label.
    np.testing.assert_array_equal(np.resize(labels, 3000)[kept - candidates[0]], labels)
    logits = generator("", kept, labels)["logits"]
    assert logits.mean() > generator("", candidates)["logits"].mean() + 1
    np.testing.assert_array_equal(rejection.keep(Scored(), candidates, labels, 1000), kept)


def test_without_classes_all_compete():
    kept = rejection.keep(Scored(), row_seeds(0, 40), None, 10)
    assert (np.diff(kept) > 0).all()


def test_a_generator_without_a_discriminator_is_refused():
    plain = types.SimpleNamespace(path="model", signatures=frozenset({"sample"}))
    with pytest.raises(ValueError, match="model: has no discriminator .*export_scores: true"):
        rejection.keep(plain, row_seeds(0, 4), None, 2)


def test_uniform_numbers_are_independent_of_what_else_a_seed_draws():
    seeds = row_seeds(5, 4000)
    uniforms = numpy_draws.uniforms(seeds)
    assert stats.kstest(uniforms, "uniform").pvalue > 0.01
    normal = numpy_draws.latents(seeds, 2)
    assert abs(np.corrcoef(uniforms, normal.T)[0, 1:]).max() < 0.05
    ordered = numpy_draws.classes(seeds, np.full(10, 0.1))
    assert abs(np.corrcoef(uniforms, ordered)[0, 1]) < 0.05
