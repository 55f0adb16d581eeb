"""The real images: what of them is looked at, and what is made once."""

import numpy as np
import pytest

from components.evaluator.metrics import reference as module
from components.evaluator.metrics import scores
from components.evaluator.metrics.comparison import Comparison
from components.evaluator.metrics.reference import Reference, Sample
from components.evaluator.metrics.settings import MetricSettings
from components.features import Features


def sample(images):
    return Sample(images, Features(images.reshape(len(images), -1).astype(np.float32), None))


@pytest.fixture
def images(digits):
    return digits[0]


def test_of_many_images_some_are_searched_as_many_of_each_group(images, monkeypatch):
    monkeypatch.setattr(module, "_SEARCHED", 60)
    train, real, fake = images[:400], images[400:600], images[600:900]
    copied = np.concatenate([fake[:150], train[:150]])
    reference = Reference(
        sample(real), sample(train), MetricSettings(groups=20), classes_are_labels=False
    )

    found = Comparison(reference, sample(copied))

    assert np.bincount(found.fake_groups[found.searched]).tolist() == [3] * 20
    assert len(found.nearest_train[0]) == len(reference.to_train) == 60
    # Clopper and Pearson, of those that were searched.
    noise = np.random.default_rng(0).integers(0, 256, (300, *images.shape[1:]), np.uint8)
    other = scores.copies(Comparison(reference, sample(noise)))
    assert (other.value, other.high) == (0, pytest.approx(1 - 0.025 ** (1 / 60)))
    copies = found.searched >= 150
    np.testing.assert_allclose(found.nearest_train[1][copies, 0], 0, atol=1e-3)
    assert scores.copies(found).value >= copies.mean()
    for rows, name in ((found.searched, "fakes"), (reference.searched(sample(real)), "real")):
        assert len(np.unique(rows)) == 60, name


def test_neighbours_are_looked_for_once(images, monkeypatch):
    made = []
    plain = module.Others.of
    monkeypatch.setattr(module.Others, "of", lambda *given: made.append(given[0]) or plain(*given))
    real = sample(images[:100])
    reference = Reference(real, None, MetricSettings(), classes_are_labels=False)
    for start in (100, 200):
        found = Comparison(reference, sample(images[start : start + 100]))
        assert found.manifolds.in_real.shape == (100,)
        assert found.manifolds_left_out.precision.shape == (20,)

    assert made == ["real", "fake", "fake"]
