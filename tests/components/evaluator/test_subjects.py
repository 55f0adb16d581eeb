"""Rows become samples in the codes of the real data."""

import dataclasses
import shutil

import numpy as np
import pytest

from components import features
from components.common import saved_models
from components.data.columns import Column
from components.data.examples import Split
from components.evaluator.config import EvaluatorConfig
from components.evaluator.subjects import Subjects
from components.feature_extractor import FeatureExtractorConfig, make

COLUMNS = (Column(name="x"), Column(name="kind", type="categorical", missing=True))
ROWS = np.array([[1.0, 0], [2, 1], [3, np.nan], [4, 1], [5, 0]])


def split(names, rows=ROWS, labels=None):
    return Split(rows, labels, {}, {"kind": tuple(names)})


@pytest.fixture(scope="module")
def extractor(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("extractor"))
    real = split("bd")
    config = FeatureExtractorConfig(kind="identity")
    make(folder, {"train": real, "eval": real}, config, "kinds", COLUMNS)
    return features.Extractor(folder)


def subjects(candidate, extractor, real=None, train=None):
    config = EvaluatorConfig()
    return Subjects(candidate, real or split("bd"), train, extractor, config, COLUMNS)


def test_categories_that_the_data_lack_come_after_theirs(extractor):
    found = subjects(split("cb"), extractor).of_generators(None, {})

    model = found["model"].sample
    assert model.categories == {"kind": ("b", "d", "c")}
    np.testing.assert_array_equal(model.data[:, 1], [2, 0, np.nan, 0, 2])
    # As they are, other categories are like none of the data's.
    assert (model.features.features[0, 1:] == 0).all()
    assert (model.features.features[1, 1:] != 0).any()
    same = subjects(split("bd"), extractor).of_generators(None, {})["model"].sample
    np.testing.assert_array_equal(same.data, ROWS)


def test_the_label_that_was_asked_for_is_known_without_an_extractors_classes(extractor):
    labels = np.array([0, 1, 0, 1, 1])
    real = split("bd", labels=labels)

    found = subjects(split("bd", labels=labels[::-1]), extractor, real, real).of_generators(
        None, {}
    )

    assert found["model"].asked.targets.tolist() == labels[::-1].tolist()
    assert found["model"].reference.train.targets.tolist() == labels.tolist()
    assert found["model"].sample.targets is None
    assert subjects(split("bd"), extractor, real).of_generators(None, {})["model"].asked is None


@pytest.mark.parametrize(
    ("train", "real", "reason"),
    [
        ("bc", "bd", "^the train split: of other .*: 'kind' has 'c' in one of both only .2 so.; "),
        ("bcd", "bcd", "^the extractor .*: of other categories .*: 'kind' has 'c' in one .* .1 so"),
    ],
)
def test_other_categories_are_refused_in_one_line(extractor, train, real, reason):
    with pytest.raises(ValueError, match=reason) as caught:
        subjects(split("bd"), extractor, split(real), split(train))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("place", ["candidate", "baseline", "best"])
def test_a_generator_is_not_judged_by_what_it_was_trained_against(
    extractor, untrained, tmp_path, place
):
    path = str(tmp_path / "model")
    shutil.copytree(untrained(conditional=False), path)
    judge = features.Extractor(extractor.folder)
    judge.description = {**judge.description, "pretrained": "lite"}
    given = {"baseline": None, "best": split("bd"), place: path}

    subjects(path, judge)
    saved_models.describe_further(path, pretrained="lite")
    with pytest.raises(ValueError, match=f"^{path} learns from .*features of lite, .*another kind"):
        subjects(given.get("candidate", split("bd")), judge).of_generators(
            given["baseline"], {"best": given["best"]}
        )
    subjects(path, extractor)


def test_stored_features_are_of_the_same_codes(extractor, monkeypatch):
    real = split("bd")
    known = extractor.reference("eval")
    maker = subjects(dataclasses.replace(real, labels=None), extractor)

    found = maker.of_generators(None, {})["model"].reference.real

    np.testing.assert_array_equal(found.features.features, known.features)
