import optuna
import pytest
from optuna.trial import TrialState

from components.tuner import studies
from components.tuner.studies import ENDED, ENTRY, PRUNERS, READY, SAMPLERS


@pytest.fixture
def study(tmp_path):
    return studies.open_study(
        f"sqlite:///{tmp_path}/studies.db",
        "search",
        shared=False,
        sampler=SAMPLERS.get("random")(0),
        pruner=PRUNERS.get("hyperband")(900),
    )


def entries(study):
    return [(each.user_attrs[ENTRY], each.state.name) for each in studies.entered(study)]


def test_what_is_entered_is_tried_in_order_and_once(study):
    trials = [({"tree": {}}, {"x": 0.25}), ({}, {}), ({}, {})]
    studies.enter(study, trials)
    studies.enter(study, trials)

    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=3)

    assert entries(study) == [(0, "COMPLETE"), (1, "COMPLETE"), (2, "COMPLETE")]
    assert studies.get(study, 0).params == {"x": 0.25}
    assert len(study.trials) == 3
    assert studies.is_over(study)


def test_a_search_is_not_over_before_all_is_entered_and_has_ended(study):
    assert not studies.is_over(study)
    studies.enter(study, [({}, {}), ({}, {})])
    assert READY in study.user_attrs
    study.tell(study.ask(), 1.0)
    assert not studies.is_over(study)
    study.ask()
    assert not studies.is_over(study)


def test_a_trial_whose_process_failed_is_entered_again_a_result_is_not(study):
    studies.enter(study, [({}, {}), ({}, {})])
    study.tell(study.ask(), state=TrialState.FAIL)
    studies.fail(study, study.ask().number, "killed")
    assert [each.user_attrs.get(ENDED) for each in studies.entered(study)] == [None, "killed"]

    studies.enter(study, [({}, {}), ({}, {})])

    assert entries(study) == [(0, "WAITING"), (1, "FAIL")]


def test_what_two_machines_enter_at_once_counts_once(study):
    for _ in range(2):
        for entry in range(2):
            study.enqueue_trial({}, user_attrs={ENTRY: entry})

    assert [each.number for each in studies.entered(study)] == [0, 1]


@pytest.mark.parametrize("name", ["hyperband", "successive_halving"])
def test_bad_trials_end_at_a_ninth_of_their_length(tmp_path, name):
    study = studies.open_study(
        f"sqlite:///{tmp_path}/studies.db",
        "search",
        shared=False,
        sampler=SAMPLERS.get("tpe")(0),
        pruner=PRUNERS.get(name)(900),
    )
    ended = []

    def objective(trial):
        score = float(trial.number)
        for images in range(100, 1000, 100):
            trial.report(score, images)
            if trial.should_prune():
                ended.append(images)
                raise optuna.TrialPruned
        return score

    study.optimize(objective, n_trials=12)

    assert study.best_trial.number == 0
    assert min(ended) == 100
    assert len(ended) >= 6


def test_pruners_and_samplers_are_known_by_name():
    assert PRUNERS.names() == ["hyperband", "none", "successive_halving"]
    assert SAMPLERS.names() == ["random", "tpe"]
