"""What evaluations share without their generators: made once, the same, and only where it fits."""

import json
import logging

import numpy as np
import pytest
from tfx.utils import path_utils

from components import features
from components.data import examples
from components.evaluator import evaluate, protocol
from components.evaluator.config import EvaluatorConfig
from components.evaluator.kept import Shelf


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "kept"


@pytest.fixture
def measure(digits, generator, extractor, folder, untrained):
    images, labels = digits

    def run(noise=0.2, version="the code", labels=labels, count=300, conditional=False, **config):
        real, train = (
            examples.Split(images[a:b], labels[a:b]) for a, b in ((0, count), (300, 1100))
        )
        plain = path_utils.serving_model_dir(generator(noise).uri)
        return evaluate.evaluate(
            untrained(conditional=True) if conditional else plain,
            real,
            train,
            features.Extractor(extractor.uri),
            EvaluatorConfig(**{"kid_subsets": 20, "groups": 10, **config}),
            model="the model",
            shelf=Shelf(str(folder), version) if version else None,
        )

    return run


def kept(folder):
    return sorted(folder.iterdir())


def test_a_later_evaluation_reads_what_the_first_one_kept(measure, folder, monkeypatch):
    first, never = measure(), measure(version=None)
    (path,) = kept(folder)
    before = path.read_bytes()
    # Not even its inputs are made again.
    monkeypatch.setattr(protocol, "noise", None)

    second, other = measure(), measure(0.3)

    assert (
        json.dumps(second.to_json()) == json.dumps(first.to_json()) == json.dumps(never.to_json())
    )
    assert kept(folder) == [path]
    assert path.read_bytes() == before
    fid = [found.scores["model"]["fid"].value for found in (first, other)]
    assert fid[0] < fid[1]
    assert other.scores["noise"] == first.scores["noise"]


def test_a_conditional_and_another_generator_share_what_is_kept(measure, folder):
    of_classes = {"class_accuracy", "intra_class_fid"}

    found = [measure(conditional=conditional) for conditional in (False, True)]

    assert len(kept(folder)) == 1
    assert not of_classes & set(found[0].scores["train"])
    assert of_classes <= set(found[1].scores["train"])


@pytest.mark.parametrize(
    "change",
    [
        {"version": "other code"},
        {"count": 299},
        {"seed": 1},
        {"num_fake": 200},
        {"neighbours": 4},
    ],
    ids=str,
)
def test_what_it_depends_on_is_never_mixed_up(measure, folder, change):
    measure()

    found = measure(**change)

    assert len(kept(folder)) == 2
    expected = measure(**{**change, "version": None})
    assert json.dumps(found.to_json()) == json.dumps(expected.to_json())


def test_other_labels_are_other_data(measure, folder, digits):
    measure()
    measure(labels=np.roll(digits[1], 1))

    assert len(kept(folder)) == 2


def test_what_does_not_matter_to_it_leaves_it_alone(measure, folder):
    measure()
    measure(batch_size=64, page_neighbours=3, gate={"bounds": {"fid": {"max": 9}}})

    assert len(kept(folder)) == 1


def test_a_damaged_file_is_named_with_what_would_do(measure, folder):
    measure()
    (path,) = kept(folder)
    path.write_bytes(path.read_bytes()[:-200])

    with pytest.raises(ValueError, match=r"kept/.*npz: not a valid file of .*; delete it"):
        measure()


def test_where_nothing_can_be_written_a_warning_says_so(measure, folder, caplog):
    # As root, permissions would not do.
    folder.write_text("in the way")

    with caplog.at_level(logging.WARNING):
        found = measure()

    (message,) = caplog.messages
    assert message.startswith(f"{folder}/")
    assert "not kept" in message
    assert found.scores["noise"] == measure(version=None).scores["noise"]
