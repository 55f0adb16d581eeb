"""What is said at the end of a run on a cluster."""

import json

import pytest
from tfx import types
from tfx.types import standard_artifacts

from components.outcome import record
from components.outcome.component import ExitHandler, Verdict


def artifact(kind, **properties):
    made = kind()
    for key, value in properties.items():
        setter = made.set_int_custom_property if isinstance(value, int) else None
        (setter or made.set_string_custom_property)(key, value)
    return made


def outcome(tmp_path, run="7", **parameters):
    component = ExitHandler(folder=str(tmp_path), run=run, name="digits")
    made = component.outputs["outcome"].type()
    made.uri = str(tmp_path / "outcome")
    given = {"folder": str(tmp_path), "run": run, "name": "digits", **parameters}
    component.executor_spec.executor_class().Do({}, {"outcome": [made]}, given)
    return made.read()


@pytest.mark.parametrize(
    ("model", "infra", "pushed", "words"),
    [
        ({"blessed": 1}, {"blessed": 1}, "/s/1", "blessed, pushed to /s/1"),
        (
            {"blessed": 0, "reasons": "FID 90, at most 60"},
            {"blessed": 1},
            "",
            "refused: FID 90, at most 60",
        ),
        ({"blessed": 1}, {"blessed": 0, "reasons": "black"}, "", "refused: black"),
        (
            {"blessed": 0, "reasons": "FID"},
            {"blessed": 0, "reasons": "black"},
            "",
            "refused: FID; black",
        ),
    ],
)
def test_the_verdict_is_said(tmp_path, model, infra, pushed, words):
    kinds = {
        "model_blessing": artifact(standard_artifacts.ModelBlessing, **model),
        "infra_blessing": artifact(standard_artifacts.InfraBlessing, **infra),
        "pushed_model": artifact(
            standard_artifacts.PushedModel, **({"pushed_destination": pushed} if pushed else {})
        ),
    }
    channels = {name: types.Channel(type=type(each)) for name, each in kinds.items()}
    verdict = Verdict(**channels, folder=str(tmp_path), run="7")

    verdict.executor_spec.executor_class().Do(
        {name: [each] for name, each in kinds.items()}, {}, {"folder": str(tmp_path), "run": "7"}
    )

    assert outcome(tmp_path) == f"digits: {words}"
    # That of another run is another one.
    assert outcome(tmp_path, run="8").startswith("digits: failed: no stage said why")


def test_a_verdict_counts_more_than_an_attempt_that_failed(tmp_path):
    folder = str(tmp_path / "7")
    record.note_failure(folder, "GANTrainer", "ValueError: nan")
    record.note_failure(folder, "Pusher", "OSError: full")
    assert record.in_words(folder) == "failed: GANTrainer: ValueError: nan; Pusher: OSError: full"
    record.note_verdict(folder, "", "/s/1")
    assert record.in_words(folder) == "blessed, pushed to /s/1"


def test_what_the_cluster_says_fills_the_gap(tmp_path):
    status = {"state": "FAILED", "error": {"message": "the tasks [GANTrainer] failed"}}
    said = outcome(tmp_path, status=json.dumps(status))
    assert said == "digits: failed: the tasks [GANTrainer] failed"
