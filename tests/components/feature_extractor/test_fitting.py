import numpy as np
import pytest

from components.feature_extractor import classifier, fitting, network
from components.feature_extractor.config import FeatureExtractorConfig


@pytest.mark.parametrize(
    ("count", "shown", "held_out"),
    [(5000, 4500, 500), (60_000, 58_000, 2000), (10, 9, 1), (9, 9, 9), (1, 1, 1)],
)
def test_a_tenth_and_at_most_2000_rows_decide_when_to_stop(count, shown, held_out):
    rows, kept = fitting.held_out_rows(count, seed=3)

    assert (len(rows), len(kept)) == (shown, held_out)
    if count >= 10:
        np.testing.assert_array_equal(np.sort(np.concatenate([rows, kept])), np.arange(count))
    assert (np.diff(rows) > 0).all() and (np.diff(kept) > 0).all()
    np.testing.assert_array_equal(fitting.held_out_rows(count, seed=3)[1], kept)


# Accuracies round by round, the rounds that are run, and the one whose weights are kept.
ROUNDS = [
    (np.linspace(0.1, 0.9, 12), 12, 12),
    ([0.5] * 12, 4, 4),
    ([0.5, 0.6, 0.5, 0.5, 0.5, *[0.9] * 7], 5, 2),
    ([0.5, 0.4, 0.4, 0.6, 0.6, 0.5, 0.5, *[0.9] * 5], 7, 5),
]


@pytest.mark.parametrize(("accuracies", "rounds", "kept"), ROUNDS)
def test_three_rounds_without_a_gain_end_it_and_the_best_is_kept(
    few, monkeypatch, accuracies, rounds, kept
):
    images = 12 * 16
    seen, weights = [], []

    def accuracy(call, batches):
        seen.append(accuracies[len(seen)])
        weights.append([np.copy(each) for each in made[0].get_weights()])
        return seen[-1]

    made = []
    build = network.build

    def building(*args, **kwargs):
        made.append(build(*args, **kwargs))
        return made[-1]

    monkeypatch.setattr(network, "accuracy", accuracy)
    monkeypatch.setattr(network, "build", building)
    config = FeatureExtractorConfig(images=images, batch_size=8, feature_dim=4, min_skill=0)
    extractor, _ = classifier.train(few["train"], few["eval"], config)

    assert len(seen) == rounds
    for found, expected in zip(extractor.get_weights(), weights[kept - 1], strict=True):
        np.testing.assert_array_equal(found, expected)


def test_the_length_is_in_images_however_many_there_are(digits, few, monkeypatch):
    steps = []
    run = fitting._Fitting.run

    def counting(self, batches, count):
        steps.append(int(count))
        run(self, batches, count)

    monkeypatch.setattr(fitting._Fitting, "run", counting)
    monkeypatch.setattr(fitting, "_PATIENCE", 99)
    config = FeatureExtractorConfig(images=250, batch_size=16, feature_dim=4, min_skill=0)
    for splits in (digits, few):
        steps.clear()
        classifier.train(splits["train"], splits["eval"], config)
        assert sum(steps) == 16  # 250 / 16, rounded up
