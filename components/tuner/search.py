"""The search as a whole: enters trials and finalists, starts the processes, and decides."""

from __future__ import annotations

import dataclasses
import logging
import math
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats

from components.common import files
from components.tuner import space, studies
from components.tuner.studies import FINALS, SEARCH
from components.tuner.task import Task

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

_log = logging.getLogger(__name__)
# Records of level DEBUG, whose `study` is the search as it is now, for whoever shows it.
LIVE = logging.getLogger(f"{__name__}.live")
LIVE.propagate = False

TASK_FILE = "task.json"
# The entry of the recipe itself.
START = 0
_SECONDS = 0.5
_CONFIDENCE = 0.95


@dataclasses.dataclass(frozen=True)
class Finalist:
    """A configuration that was trained with several seeds.

    Attributes:
      candidate: its trial; `START` is the recipe itself.
      tree: what differs from the recipe's section `trainer`.
      scores: of each seed, as `GANTrainer.evaluate`; None of a training that failed.
      values: the score that decides, of each seed; infinity for a training that failed.
    """

    candidate: int
    tree: space.Tree
    scores: Sequence[Mapping[str, float] | None]
    values: Sequence[float]

    @property
    def mean(self) -> float:
        """Mean of the values; lower is better."""
        return float(np.mean(self.values))


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a search came to.

    Attributes:
      winner: the trial to train like; `START` if none was shown to be better.
      words: why, in one sentence.
      values: what differs from the recipe's section `trainer`, by dotted key.
      changes: the same in words, a line each.
      finalists: the recipe itself first.
    """

    winner: int
    words: str
    values: dict[str, Any]
    changes: tuple[str, ...]
    finalists: tuple[Finalist, ...]


def run(task: Task, *, processes: int, chief: bool = True, gpus: int = 0) -> Outcome:
    """Searches, or goes on where a search with the same task was, and decides.

    Args:
      task: the search.
      processes: that train side by side here, each with its share of the cores, or a GPU.
      chief: whether this machine enters what is to be tried; of several, exactly one does.
      gpus: of this machine.

    Raises:
      ConnectionError: as `studies.open_study`.
      RuntimeError: if a process failed for a reason of its own; the same search can go on.
    """
    search = task.study(SEARCH)
    if chief:
        _enter_trials(task, search)
    workers = _Workers(task, processes, gpus)
    told: set[int] = set()
    try:
        workers.start()
        while workers.alive():
            _tell(search, told, task)
            LIVE.debug("now", extra={"study": search})
            finals = task.study(FINALS)
            if chief and studies.is_over(search) and studies.READY not in finals.user_attrs:
                _enter_finals(task, search, finals)
            time.sleep(_SECONDS)
    finally:
        workers.stop()
    _tell(search, told, task)
    return decide(task)


def _enter_trials(task: Task, study: Study) -> None:
    named: list[space.Tree] = [{}, *task.tuner.first]
    trials: list[tuple[dict[str, Any], dict[str, Any]]] = []
    for tree in named[: task.tuner.trials]:
        found = task.parameters(tree)
        trials.append(({"tree": tree, "in_space": bool(found)}, found))
    trials += [({}, {})] * (task.tuner.trials - len(trials))
    studies.enter(study, trials)


def best(study: Study, count: int) -> list[FrozenTrial]:
    """The trials that went to their end and keep the constraints, best first, without the start."""
    from optuna.trial import TrialState

    trials = [
        trial
        for trial in studies.entered(study)
        if trial.state == TrialState.COMPLETE
        and trial.user_attrs[studies.ENTRY] != START
        and all(value <= 0 for value in trial.constraints.values())
    ]
    return sorted(trials, key=lambda trial: trial.value or 0.0)[:count]


def _enter_finals(task: Task, search: Study, finals: Study) -> None:
    trees: dict[int, space.Tree] = {START: {}}
    for trial in best(search, task.tuner.finalists):
        trees[trial.user_attrs[studies.ENTRY]] = trial.user_attrs["tree"]
    seeds = [task.trainer.seed + 1 + index for index in range(task.tuner.seeds)]
    trials: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({"candidate": candidate, "seed": seed, "tree": tree}, {})
        for seed in seeds
        for candidate, tree in trees.items()
    ]
    # Alone, the recipe would be trained for nothing.
    studies.enter(finals, trials if len(trees) > 1 else [])


def decide(task: Task) -> Outcome:
    """The outcome of a search that is over."""
    found: dict[int, list[FrozenTrial]] = {}
    for trial in studies.entered(task.study(FINALS)):
        found.setdefault(trial.user_attrs["candidate"], []).append(trial)
    finalists = [
        Finalist(
            candidate,
            trials[0].user_attrs["tree"],
            [trial.user_attrs.get("scores") for trial in trials],
            [math.inf if trial.value is None else trial.value for trial in trials],
        )
        for candidate, trials in found.items()
    ]
    if not finalists:
        return Outcome(
            START, "no trial but the recipe went to its end within the constraints", {}, (), ()
        )
    start, *others = finalists
    winner = min(others, key=lambda each: each.mean)
    low, high = difference(start.values, winner.values, among=len(others))
    numbers = f"{winner.mean:.4g} on average of {len(winner.values)} seeds"
    against = f"the recipe's {start.mean:.4g}"
    if low > 0:
        words = f"trial {winner.candidate} scores {numbers}, better than {against}"
        words += f" by {low:.4g} or more" if math.isfinite(low) else ""
        kept = winner
    else:
        words = (
            f"trial {winner.candidate} scores {numbers}, which is not shown to be better than "
            f"{against}: the difference is {low:.4g} to {high:.4g}"
        )
        kept = start
    return Outcome(
        kept.candidate,
        words,
        space.leaves(kept.tree),
        differences(task, kept.tree),
        tuple(finalists),
    )


def difference(
    start: Sequence[float], other: Sequence[float], among: int = 1
) -> tuple[float, float]:
    """A 95 % interval of how much lower a finalist's mean score is than the start's.

    Welch's t: the spreads of two configurations differ. The finalist is the best of `among`, so the
    level is Bonferroni's.

    Args:
      start, other: the scores of each seed; infinity for a training that failed.
      among: how many finalists it was chosen from.

    Returns:
      Low and high; both are infinite if only one of the two always succeeded.
    """
    failed = [any(math.isinf(value) for value in values) for values in (start, other)]
    if any(failed):
        return (math.inf, math.inf) if failed == [True, False] else (-math.inf, math.inf)
    if np.ptp(start) == np.ptp(other) == 0:
        gap = float(np.mean(start) - np.mean(other))
        return gap, gap
    test = stats.ttest_ind(start, other, equal_var=False)
    interval = test.confidence_interval(1 - (1 - _CONFIDENCE) / among)
    return float(interval.low), float(interval.high)


def differences(task: Task, tree: space.Tree) -> tuple[str, ...]:
    """What a configuration changes in the recipe, a line for each key."""
    both = (task.trainer, task.config(tree))
    before, after = (each.model_dump(mode="json", by_alias=True) for each in both)
    return tuple(
        f"{key}: {short(_at(before, key))} -> {short(value)}"
        for key, value in space.leaves(tree).items()
        if _at(before, key) != _at(after, key)
    )


def _at(section: Any, key: str) -> Any:  # noqa: ANN401
    for part in key.split("."):
        section = section.get(part) if isinstance(section, Mapping) else None
    return section


def short(value: Any) -> str:  # noqa: ANN401
    """A value as in a recipe, with numbers to four digits."""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key}: {short(each)}' for key, each in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(short, value))}]"
    return "null" if value is None else str(value)


def _tell(study: Study, told: set[int], task: Task) -> None:
    """Logs each trial that has ended since the last call."""
    for trial in studies.entered(study):
        entry = trial.user_attrs[studies.ENTRY]
        if trial.state.is_finished() and entry not in told:
            told.add(entry)
            name = f"trial {entry}" if entry else "the recipe"
            done = f"{len(told)} of {task.tuner.trials}"
            _log.info("%s: %s %s", done, name, ended_in_words(trial))


def ended_in_words(trial: FrozenTrial) -> str:
    """How a trial ended."""
    from optuna.trial import TrialState

    if trial.state == TrialState.COMPLETE:
        return f"scored {trial.value:.4g}"
    last = trial.intermediate_values
    at = f" at {last[max(last)]:.4g}" if last else ""
    return f"ended{at}: {trial.user_attrs.get(studies.ENDED, 'its process failed')}"


class _Workers:
    """The processes of a search on this machine."""

    def __init__(self, task: Task, count: int, gpus: int) -> None:
        self._task = task
        self._file = os.path.join(task.folder, TASK_FILE)
        files.write(self._file, task.model_dump_json(indent=2).encode())
        self._count, self._gpus = count, gpus
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self._attempts: dict[str, int] = {}

    def start(self) -> None:
        """Starts all, with the trials that earlier processes left behind."""
        # With other machines at work, it cannot be known whose they are; they fall silent.
        left = [] if self._task.shared else self._running()
        for index in range(self._count):
            self._start(index, left[index :: self._count])

    def alive(self) -> bool:
        """Whether any is still at work; one that was killed is started again.

        Raises:
          RuntimeError: if one failed, with its last line.
        """
        for index, process in list(self._processes.items()):
            code = process.poll()
            if code is None:
                continue
            del self._processes[index]
            if code > 0:
                raise RuntimeError(f"tuner: {self._last_line(index)}")
            if code < 0:
                self._start(index, self._left_by(process.pid, -code))
        return bool(self._processes)

    def stop(self) -> None:
        """Ends all; they save their trainings first."""
        for process in self._processes.values():
            process.terminate()
        for process in self._processes.values():
            process.wait()

    def _start(self, index: int, left_behind: Sequence[str]) -> None:
        cores = max(1, (os.cpu_count() or 1) // self._count)
        names = ("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
        shares = {name: str(cores) for name in names} if self._count > 1 else {}
        if self._gpus:
            shares["CUDA_VISIBLE_DEVICES"] = str(index % self._gpus)
        command = [sys.executable, "-W", "ignore", "-m", "components.tuner.worker", self._file]
        with open(self._log_file(index), "ab") as log:
            self._processes[index] = subprocess.Popen(
                [*command, *left_behind],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                # Plugins are found beside the recipe, whose folder only this process knows.
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **shares},
                # Ctrl-C reaches this process alone, which ends the others when they have saved.
                start_new_session=True,
            )

    def _running(self, of: int | None = None) -> list[str]:
        """The trials marked as running, of one process or of all: search/3, finals/1."""
        from optuna.trial import TrialState

        return [
            f"{which}/{trial.number}"
            for which in (SEARCH, FINALS)
            for trial in studies.entered(self._task.study(which))
            if trial.state == TrialState.RUNNING
            and of in (None, trial.user_attrs.get(studies.PROCESS))
        ]

    def _left_by(self, process: int, number: int) -> list[str]:
        """What a killed process was at, without what has killed a process too often."""
        left = []
        for name in self._running(process):
            self._attempts[name] = self._attempts.get(name, 0) + 1
            if self._attempts[name] <= studies.RETRIES:
                left.append(name)
                continue
            which, trial = name.split("/")
            reason = f"its process was killed by signal {number} each time; out of memory?"
            studies.fail(self._task.study(which), int(trial), reason)
        return left

    def _log_file(self, index: int) -> str:
        return os.path.join(self._task.folder, f"worker-{index}.log")

    def _last_line(self, index: int) -> str:
        lines = Path(self._log_file(index)).read_text(errors="replace").splitlines()
        return lines[-1] if lines else "a process ended without a word"
