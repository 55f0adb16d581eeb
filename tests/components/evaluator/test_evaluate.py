"""One evaluation without TFX: scores beside references, classes, pictures, files."""

import dataclasses
import json

import numpy as np
import pytest
from tfx.utils import path_utils

from components import features
from components.data import examples
from components.evaluator import evaluate
from components.evaluator.config import EvaluatorConfig
from components.evaluator.metrics.registry import METRICS

# What only metrics of tables need.
OF_ROWS = {"vectors", "pairs", "ordered pairs"}
REFERENCES = ["train", "untrained", "noise", "halves", "on_train"]


@pytest.fixture(scope="module")
def splits(digits):
    images, labels = digits
    return [examples.Split(images[a:b], labels[a:b]) for a, b in ((0, 300), (300, 1100))]


@pytest.fixture(scope="module")
def measure(splits, extractor, generator, model_run):
    """Runs an evaluation of a generator of some noise, of a path, or of images."""
    real, train = splits

    def run(candidate, baseline=None, train=train, real=real, **config):
        def path(source):
            if isinstance(source, float):
                return path_utils.serving_model_dir(generator(source).uri)
            return source

        return evaluate.evaluate(
            path(candidate),
            real,
            train,
            features.Extractor(extractor.uri),
            EvaluatorConfig(**{"kid_subsets": 20, "groups": 10, **config}),
            model="the model",
            baseline=path(baseline),
            references={"untrained": f"{model_run.uri}/untrained"},
        )

    return run


@pytest.fixture(scope="module")
def found(measure):
    return measure(0.2, num_fake=200, seed=3)


def test_the_scores_stand_beside_their_protocol(found):
    of_vectors = {name for name in METRICS.names() if OF_ROWS & set(METRICS.get(name).needs)}
    assert len(of_vectors) == 7
    of_conditional = {"class_accuracy", "intra_class_fid"}
    for subject in ("model", "train", "halves"):
        assert not of_conditional & set(found.scores[subject])
    assert set(found.scores["model"]) == set(METRICS.names()) - of_vectors - of_conditional
    assert list(found.scores) == ["model", *REFERENCES]
    fid = {name: scores["fid"].value for name, scores in found.scores.items()}
    assert fid["train"] < fid["model"] < fid["untrained"] < fid["noise"]
    assert fid["train"] < fid["halves"], "fewer images, more bias"
    assert found.protocol["counts"] == {
        "eval": 300,
        "model": 200,
        "train": 300,
        "untrained": 200,
        "noise": 200,
        "train split": 800,
    }
    assert found.protocol["extractor"]["id"] == "0123456789abcdef"
    assert found.protocol["settings"]["seed"] == 3
    assert (
        found.data["eval examples by class"]
        == np.bincount(
            examples_by_class := np.repeat(range(10), found.data["eval examples by class"])
        ).tolist()
    )
    assert len(examples_by_class) == 300


def test_every_number_has_an_interval_that_holds_it(found):
    for subject, scores in found.scores.items():
        for name, score in scores.items():
            assert score.low <= score.value + 1e-12, (subject, name)
            assert score.value <= score.high + 1e-12, (subject, name)
            least, most = METRICS.get(name).range
            assert least <= score.low <= score.high <= most


@pytest.mark.parametrize("copies", [True, False])
def test_what_was_memorised_is_nearer_to_the_train_split(measure, splits, digits, copies):
    train = examples.Split(splits[1].data[:300], None)

    scores = measure(train.data if copies else digits[0][1100:1400], train=train).scores

    assert set(scores["on_train"]) == {"fid"}
    on_eval, on_train = scores["model"]["fid"], scores["on_train"]["fid"]
    assert on_train.low <= on_train.value < on_train.high
    assert (on_train.value < on_eval.low) is copies
    if not copies:
        assert on_eval.low < on_train.high
        assert on_train.low < on_eval.high


def test_fewer_training_images_are_not_compared_with_more_real_ones(measure, splits):
    train = splits[1]
    few = examples.Split(train.data[:299], train.labels[:299])

    assert "on_train" not in measure(train.data[:100], train=few).scores
    assert "on_train" not in measure(train.data[:100], train=None).scores


def test_every_metric_tells_real_images_from_noise(found):
    for name, noise in found.scores["noise"].items():
        metric = METRICS.get(name)
        if name == "copies":
            assert "copies" not in found.scores["train"], "they would all be copies of themselves"
        elif name != "duplicates":
            train = found.scores["train"][name]
            assert (train.value > noise.value) is metric.higher_is_better, name


def test_fid_moves_with_other_images_as_much_as_its_interval_says(digits, measure, splits):
    images = digits[0]
    values, reaches = [], []
    for seed in range(12):
        order = np.random.default_rng(seed).permutation(len(images))
        real, fake = images[order[:300]], images[order[300:600]]
        scores = measure(fake, train=None, real=examples.Split(real, None)).scores["model"]
        values.append([scores[name].value for name in ("fid", "kid", "precision", "recall")])
        reaches.append(
            [scores[name].high - scores[name].low for name in ("fid", "kid", "precision", "recall")]
        )
    # 10 groups: a reach of 2.26 standard errors to each side.
    ratio = np.mean(reaches, axis=0) / (2 * 2.26) / np.std(values, axis=0, ddof=1)
    # Precision and recall hold the other set's neighbourhoods fixed, so they may see less.
    assert (ratio > 0.4).all(), ratio
    assert (ratio < 2.5).all(), ratio


@pytest.mark.parametrize(
    ("noise", "blessed", "words"),
    [(0.1, True, "a change of 0 [0, 0]"), (0.3, False, "a change of")],
    ids=["the same", "worse"],
)
def test_a_generator_is_compared_with_the_last_blessed_one(measure, noise, blessed, words):
    found = measure(noise, baseline=0.1, gate={"not_worse_than_blessed": {"fid": 0.1}})

    (verdict,) = [v for v in found.verdicts if "last blessed" in v.rule]
    assert verdict.passed is blessed
    assert words in verdict.found
    change = found.changes["fid"]
    expected = found.scores["model"]["fid"].value - found.scores["baseline"]["fid"].value
    assert change.value == pytest.approx(expected)


def test_a_conditional_generator_is_scored_class_by_class(measure, untrained, splits):
    real, train = splits
    names = [dataclasses.replace(real, class_names={3: "three"})]
    names += [dataclasses.replace(train, class_names={3: "other", 4: "four"})]
    found = measure(untrained(conditional=True), real=names[0], train=names[1])

    assert [row.label for row in found.classes] == list(range(10))
    assert {row.label: row.name for row in found.classes if row.name} == {3: "three", 4: "four"}
    assert found.to_json()["classes"][3]["name"] == "three"
    assert found.to_json()["classes"][5]["name"] is None
    for row in found.classes:
        assert set(row.scores) == {"accuracy", "fid", "precision", "recall"}
        assert 0 <= row.scores["accuracy"].value <= 1
        assert row.scores["fid"].value > 0
    assert sum(row.fake_share for row in found.classes) == pytest.approx(1)
    accuracy = found.scores["model"]["class_accuracy"]
    assert accuracy.value < 0.5 < found.scores["train"]["class_accuracy"].value
    assert "class_accuracy" in {v.metric for v in found.verdicts if not v.passed}
    assert found.pictures.interpolations.shape == (6, 10, 8, 8, 1)


def test_the_pictures_are_what_they_say(found, measure, splits):
    pictures = found.pictures
    real, train = splits
    assert len(pictures.real) == len(pictures.fake) == 64
    known = {image.tobytes() for image in train.data}
    for _, *neighbours in pictures.nearest:
        assert all(image.tobytes() in known for image in neighbours)
    apart = np.abs(pictures.nearest[:, 0].astype(int) - pictures.nearest[:, 1]).mean()
    assert apart < np.abs(pictures.fake[:8].astype(int) - pictures.nearest[:8, 1]).mean()

    spoiled = real.data[:100].copy()
    spoiled[:10] = np.random.default_rng(0).integers(0, 256, (10, 8, 8, 1))
    worst = measure(spoiled).pictures.worst
    noise = {image.tobytes() for image in spoiled[:10]}
    assert sum(image.tobytes() in noise for image in worst[:10]) >= 8


@pytest.mark.parametrize(
    ("candidate", "config", "message"),
    [
        (np.zeros((1, 8, 8, 1), np.uint8), {}, "model: 1 samples, at least 4"),
        (
            0.1,
            {"gate": {"bounds": {"inception_score": {"min": 2}}}, "classless": True},
            "has a rule",
        ),
    ],
)
def test_what_cannot_be_scored_is_named(candidate, config, message, measure, monkeypatch):
    if config.pop("classless", False):
        plain = features.Extractor.__call__

        def without(self, *args, **kwargs):
            found = plain(self, *args, **kwargs)
            return features.Features(found.features, None)

        monkeypatch.setattr(features.Extractor, "__call__", without)
    with pytest.raises(ValueError, match=message):
        measure(candidate, **config)


def test_the_files_hold_the_same_numbers_for_the_same_inputs(found, measure, tmp_path):
    evaluate.write(found, str(tmp_path / "one"))
    evaluate.write(measure(0.2, num_fake=200, seed=3), str(tmp_path / "other"))

    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == [
        "metrics.json",
        "report.html",
        "samples.png",
    ]
    one, other = ((tmp_path / name / "metrics.json").read_text() for name in ("one", "other"))
    assert one == other
    assert json.loads(one)["metrics"]["fid"]["value"] == found.scores["model"]["fid"].value
