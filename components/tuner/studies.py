"""Optuna's studies of a search, and its samplers and pruners by name."""

from __future__ import annotations

import functools
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from components.common.registry import Registry

if TYPE_CHECKING:
    from optuna import Study
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler
    from optuna.storages import RDBStorage
    from optuna.trial import FrozenTrial

# A trial is compared at a ninth and at a third of its length, and the best third goes on: the
# factor of Li et al. 2018 (arXiv:1603.06560), section 2.6.
_REDUCTION, _RUNGS = 3, 2
# Of a worker on another machine, in seconds; silent for so long, its trial is given to others.
_HEARTBEAT, _SILENT = 30, 120
# Attributes of a trial: its place among what was entered, which attempts at it share, the process
# that trains it, and why it ended early; of a study: that everything it begins with is entered.
ENTRY, PROCESS, ENDED, READY = "entry", "process", "ended", "ready"
SEARCH, FINALS = "search", "finals"
# A trial that has killed its process so often is not tried again.
RETRIES = 2
# SQLite lets one process write at a time.
_SECONDS_TO_WAIT = 120

# Made from a seed.
SAMPLERS: Registry[Callable[[int], BaseSampler]] = Registry("sampler")
# Made from the length of a trial in images.
PRUNERS: Registry[Callable[[int], BasePruner]] = Registry("pruner")


@SAMPLERS.register("tpe")
def tpe(seed: int) -> BaseSampler:
    """Tree-structured Parzen estimators of all keys together (Bergstra et al. 2011)."""
    from optuna.samplers import TPESampler

    return TPESampler(multivariate=True, group=True, seed=seed)


@SAMPLERS.register("random")
def random(seed: int) -> BaseSampler:
    """Independent draws."""
    from optuna.samplers import RandomSampler

    return RandomSampler(seed=seed)


@PRUNERS.register("hyperband")
def hyperband(images: int) -> BasePruner:
    """Successive halving from several first rungs, as nobody knows how early the good show."""
    from optuna.pruners import HyperbandPruner

    return HyperbandPruner(first_rung(images), images, _REDUCTION)


@PRUNERS.register("successive_halving")
def successive_halving(images: int) -> BasePruner:
    """The best third of a rung goes on: at a ninth and at a third of a trial."""
    from optuna.pruners import SuccessiveHalvingPruner

    return SuccessiveHalvingPruner(first_rung(images), _REDUCTION)


@PRUNERS.register("none")
def none(images: int) -> BasePruner:
    """Every trial goes to its end."""
    from optuna.pruners import NopPruner

    return NopPruner()


def first_rung(images: int) -> int:
    """Images after which a trial may be ended."""
    return max(1, images // _REDUCTION**_RUNGS)


def require() -> None:
    """Raises ModuleNotFoundError, with the remedy, if Optuna is not installed."""
    try:
        import optuna
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("tuner: needs Optuna; pip install 'tfx-gan[tune]'") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    # Heartbeats and grouped estimators have been experimental since 2021.
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)


def open_study(
    url: str, name: str, *, shared: bool, sampler: BaseSampler, pruner: BasePruner
) -> Study:
    """The study of that name, made if there is none.

    Args:
      url: of the database; variables of the environment as ${NAME}.
      name: of the study.
      shared: whether other machines work on it; their trials are taken over if they fall silent.
      sampler, pruner: for this process.

    Raises:
      ConnectionError: for a database that cannot be reached; the message does not show a password.
    """
    require()
    import optuna
    import sqlalchemy

    url = os.path.expandvars(url)
    try:
        return optuna.create_study(
            storage=_storage(url, shared),
            study_name=name,
            load_if_exists=True,
            sampler=sampler,
            pruner=pruner,
        )
    except (sqlalchemy.exc.SQLAlchemyError, ImportError, RuntimeError) as error:
        reason = " ".join(str(getattr(error, "orig", None) or error).split())
        raise ConnectionError(f"tuner.storage: {_without_password(url)}: {reason}") from error


@functools.cache
def _storage(url: str, shared: bool) -> RDBStorage:
    from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback

    beat: dict[str, Any] = {}
    if shared:
        retry = RetryHeartbeatStaleTrialCallback(RETRIES, inherit_intermediate_values=True)
        beat = {
            "heartbeat_interval": _HEARTBEAT,
            "grace_period": _SILENT,
            "heartbeat_stale_trial_callback": retry,
        }
    engine = {"connect_args": {"timeout": _SECONDS_TO_WAIT}} if url.startswith("sqlite") else {}
    return RDBStorage(url, engine_kwargs=engine, **beat)


def _without_password(url: str) -> str:
    import sqlalchemy

    try:
        return sqlalchemy.engine.make_url(url).render_as_string(hide_password=True)
    except sqlalchemy.exc.ArgumentError:
        return "not the URL of a database"


def entered(study: Study) -> list[FrozenTrial]:
    """The attempt that counts of each trial that was entered, in the order of the entries.

    It is the first that has not failed, as two machines may enter the same at once, or the last.
    """
    from optuna.trial import TrialState

    attempts: dict[int, list[FrozenTrial]] = {}
    for trial in study.get_trials(deepcopy=False):
        if ENTRY in trial.user_attrs:
            attempts.setdefault(trial.user_attrs[ENTRY], []).append(trial)
    return [
        next(
            (each for each in attempts[entry] if each.state != TrialState.FAIL), attempts[entry][-1]
        )
        for entry in sorted(attempts)
    ]


def get(study: Study, number: int) -> FrozenTrial:
    """A trial by its number."""
    return study.get_trials(deepcopy=False)[number]


def fail(study: Study, number: int, reason: str) -> None:
    """Ends a trial that is marked as running, as a result and not as an error."""
    import optuna

    trial = optuna.Trial(study, get(study, number)._trial_id)
    trial.set_user_attr(ENDED, reason)
    study.tell(trial, state=optuna.trial.TrialState.FAIL)


def is_over(study: Study) -> bool:
    """Whether everything that was entered has ended."""
    return READY in study.user_attrs and all(each.state.is_finished() for each in entered(study))


def take_over_silent(study: Study) -> None:
    """Enters the trials of other machines that have fallen silent once more."""
    import optuna

    optuna.storages.fail_stale_trials(study)


def enter(study: Study, trials: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> None:
    """Enters those of the trials that are not there yet, and marks the study as ready.

    A trial whose process failed, for a reason that is mended by now, is entered again.

    Args:
      study: of the search, or of its finals.
      trials: the attributes of each, and its parameters; the sampler proposes the others.
    """
    from optuna.trial import TrialState

    known = {
        trial.user_attrs[ENTRY]
        for trial in entered(study)
        if trial.state != TrialState.FAIL or ENDED in trial.user_attrs
    }
    for entry, (attributes, parameters) in enumerate(trials):
        if entry not in known:
            study.enqueue_trial(dict(parameters), user_attrs={ENTRY: entry, **attributes})
    study.set_user_attr(READY, True)
