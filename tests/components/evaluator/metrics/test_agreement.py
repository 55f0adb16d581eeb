"""Ours against clean-fid, pytorch-fid, torch-fidelity and prdc, whose values .ci/oracles stored."""

import json
import runpy
import types
from pathlib import Path

import numpy as np
import pytest
import scipy.special

from components.evaluator.metrics import functions, scores
from components.evaluator.metrics.comparison import Comparison
from components.evaluator.metrics.reference import Reference, Sample
from components.evaluator.metrics.settings import MetricSettings
from components.features import Features
from components.features.distances import fid, polynomial_mmd
from components.features.neighbourhoods.manifolds import manifolds as find_manifolds

FOLDER = Path(__file__).parent / "oracles"
STORED = json.loads((FOLDER / "values.json").read_text(encoding="utf-8"))
cases = types.SimpleNamespace(**runpy.run_path(str(FOLDER / "cases.py")))
FIDS = [
    (name, package, value)
    for name, stored in STORED["features"].items()
    for package, value in stored["fid"].items()
]


@pytest.fixture(scope="module")
def features():
    """The features of a case, made once, and known to be those that the others were given."""
    made = {}

    def of(name):
        if name not in made:
            real, fake = cases.CASES[name]()
            assert cases.checksum(real, fake) == STORED["features"][name]["checksum"]
            made[name] = (real, fake)
        return made[name]

    return of


@pytest.fixture(scope="module")
def manifolds(features):
    made = {}

    def of(name):
        if name not in made:
            made[name] = find_manifolds(*features(name), k=3, density_k=5)
        return made[name]

    return of


def test_every_case_has_stored_values():
    assert set(STORED["features"]) == set(cases.CASES)
    assert set(STORED["logits"]) == set(cases.LOGITS)


@pytest.fixture(scope="module")
def fids(features):
    made = {}

    def of(name):
        if name not in made:
            made[name] = fid(*features(name))
        return made[name]

    return of


def test_only_one_of_the_others_fails_and_only_once():
    failed = [(name, package) for name, package, value in FIDS if isinstance(value, str)]

    # NumPy makes a number of the covariance of one feature, and torch-fidelity expects a matrix.
    assert failed == [("one feature", "torch-fidelity")]


@pytest.mark.parametrize(
    ("name", "package", "expected"), [row for row in FIDS if not isinstance(row[2], str)], ids=str
)
def test_fid(fids, name, package, expected):
    assert fids(name) == pytest.approx(expected, rel=1e-6, abs=1e-12), package


@pytest.mark.parametrize("name", cases.CASES)
def test_mmd_of_the_subsets_that_torch_fidelity_draws(features, name):
    stored = STORED["features"][name]["kid"]
    real, fake = features(name)
    rng = np.random.RandomState(stored["seed"])
    found = [
        polynomial_mmd(
            *(x[rng.choice(len(x), stored["rows"], replace=False)] for x in (real, fake))
        )
        for _ in range(stored["subsets"])
    ]

    assert np.mean(found) == pytest.approx(stored["torch-fidelity"], rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("name", cases.CASES)
def test_precision_and_recall(manifolds, name):
    stored = STORED["features"][name]
    found = manifolds(name)
    ours = {"precision": found.in_real.mean(), "recall": found.in_fake.mean()}

    assert ours == pytest.approx(stored["torch-fidelity"], rel=1e-6)
    if name != "grid":  # Many distances are equal there, and prdc leaves the border out.
        assert ours == pytest.approx({key: stored["prdc"][f"{key} 3"] for key in ours}, rel=1e-6)


@pytest.mark.parametrize("name", cases.CASES)
def test_density_and_coverage(manifolds, name):
    stored = STORED["features"][name]["prdc"]
    found = manifolds(name)

    assert found.density.mean() == pytest.approx(stored["density 5"], rel=1e-6)
    assert found.covered.mean() == pytest.approx(stored["coverage 5"], rel=1e-6)


@pytest.mark.parametrize("name", cases.LOGITS)
def test_inception_score(name):
    stored = STORED["logits"][name]
    logits = cases.LOGITS[name]()
    assert cases.checksum(logits) == stored["checksum"]

    found = functions.inception_score(scipy.special.softmax(logits, axis=1), splits=10)

    assert found == pytest.approx((stored["mean"], stored["std"]), rel=1e-6)


@pytest.mark.parametrize(
    ("sigma", "expected"),
    [
        (0.05, -14.42787932),
        (0.3, -14.42195988),
        (0.8, -9.43187741),
        (1.5, 3.7462615),
        (2.5, 10.05341793),
    ],
)
def test_nearer_to_train_is_the_statistic_of_meehan(sigma, expected):
    """`expected`: what Zu(held_out, fake, train) of github.com/casey-meehan/data-copying says.

    It is no package that .ci/oracles could install; run once, at a0ba2db.
    """
    rng = np.random.default_rng(0)
    train = rng.normal(size=(400, 8)).astype(np.float32)
    held_out = rng.normal(size=(150, 8)).astype(np.float32)
    for kernel in (0.05, 0.3, 0.8, 1.5, 2.5):
        of_train = train[rng.integers(400, size=130)]
        fake = (of_train + kernel * rng.normal(size=(130, 8)) * 0.5).astype(np.float32)
        if kernel == sigma:
            break
    train, held_out, fake = (Sample(x, Features(x, None)) for x in (train, held_out, fake))
    reference = Reference(held_out, train, MetricSettings(), classes_are_labels=False)

    nearer = scores.nearer_to_train(Comparison(reference, fake)).value

    # As they standardise Mann and Whitney's U, with a correction for continuity.
    pairs = 150 * 130
    standardised = ((1 - nearer) * pairs - (pairs / 2 - 0.5)) / np.sqrt(pairs * 281 / 12)
    assert standardised == pytest.approx(expected, abs=1e-7)
