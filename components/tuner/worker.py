"""A process of a search: `python -m components.tuner.worker TASK [STUDY/NUMBER …]`.

It trains until the search and its finals are over. Each STUDY/NUMBER, such as search/7, is a trial
that a process left behind when it was killed, and that goes on from its checkpoint. The process
ends, as on SIGTERM, when its standard input does: with the process that started it.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from components.common import files
from components.tuner import studies
from components.tuner.studies import FINALS, SEARCH
from components.tuner.task import Task

if TYPE_CHECKING:
    from optuna import Study, Trial

    Objective = Callable[[Trial], float]

_SECONDS = 1.0


class _Surplus(Exception):  # noqa: N818
    """A trial too many: two processes took the last one, or two machines entered the same."""


def work(task: Task, left_behind: Sequence[str]) -> None:
    """Works on the task until it is over, and first on the trials that were left behind."""
    import optuna

    from components.tuner.trials import Trainings

    trainings = Trainings(task)
    for which, train in {SEARCH: trainings.search, FINALS: trainings.final}.items():
        objective = _noting_the_process(train)
        for each in left_behind:
            of, number = each.split("/")
            if of == which:
                _go_on(task.study(which), int(number), objective)
        while True:
            study = task.study(which)
            trials = studies.entered(study)
            if any(trial.state == optuna.trial.TrialState.WAITING for trial in trials):
                study.optimize(objective, n_trials=1, catch=(_Surplus,))
            elif studies.is_over(study):
                break
            else:
                time.sleep(_SECONDS)
                studies.take_over_silent(study)


def _noting_the_process(train: Objective) -> Objective:
    def objective(trial: Trial) -> float:
        if trial.number not in {each.number for each in studies.entered(trial.study)}:
            raise _Surplus
        trial.set_user_attr(studies.PROCESS, os.getpid())
        return train(trial)

    return objective


def _go_on(study: Study, number: int, objective: Objective) -> None:
    """Ends a trial that is still marked as running, as `Study.optimize` would have."""
    import optuna

    trial = optuna.Trial(study, studies.get(study, number)._trial_id)
    try:
        study.tell(trial, objective(trial))
    except optuna.TrialPruned:
        study.tell(trial, state=optuna.trial.TrialState.PRUNED)


def _end_with_parent() -> None:
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGTERM)


def main(task_file: str, *left_behind: str) -> None:
    """The process; exits with 1 after a line on standard error that says what was wrong."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        work(Task.model_validate_json(files.read(task_file)), left_behind)
    except Exception as error:
        line = " ".join(str(error).split())
        known = isinstance(error, ValueError | OSError)
        print(line if known else f"{type(error).__name__}: {line}", file=sys.stderr, flush=True)
        raise SystemExit(1) from error


if __name__ == "__main__":
    main(*sys.argv[1:])
