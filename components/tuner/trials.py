"""One training of a search, and what it is worth."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import keras
import optuna
import tensorflow as tf

from components.common import artifact_files, grids
from components.features import Extractor
from components.trainer import GANTrainer
from components.trainer.callbacks.callback import Callback, StepEnd
from components.trainer.callbacks.collapse import CollapseError
from components.trainer.callbacks.quality import ExtractWith
from components.trainer.config import TrainerConfig
from components.trainer.data import loading
from components.tuner import space, studies
from components.tuner.task import Task

if TYPE_CHECKING:
    from optuna import Trial

_SAMPLES = 36


class Trainings:
    """The trainings of a search, all on the same data.

    Args:
      task: the search.
    """

    def __init__(self, task: Task) -> None:
        self._task = task
        self._precision = task.trainer.settled().precision
        judge = Extractor(task.extractor)
        self._extract = ExtractWith(judge)
        self._data = loading.load(
            task.data,
            task.files,
            judge=judge,
            mirror=task.mirror,
            **task.trainer.loading,
        )

    def search(self, trial: Trial) -> float:
        """The best score during the training of a proposed configuration; lower is better.

        Raises:
          optuna.TrialPruned: for one that was ended early, that diverged or collapsed, or whose
            values do not go together; its attribute `ended` says why.
        """
        tree = proposed(trial, self._task)
        trial.set_user_attr("tree", tree)
        try:
            config = self._task.trial(tree)
        except ValueError as error:
            raise _ended(trial, f"refused: {error}") from error
        reporter = _Reporter(trial, self._task)
        folder = self._task.trial_folder(trial.user_attrs[studies.ENTRY])
        trainer = self._train(config, trial, folder, [reporter])
        if reporter.best is None:
            raise _ended(trial, "no score: its features were not finite")
        for name, least in (
            ("recall", self._task.tuner.min_recall),
            ("coverage", self._task.tuner.min_coverage),
        ):
            trial.set_constraint(name, least - trial.user_attrs["scores"][name])
        if reporter.pruned:
            raise _ended(trial, f"pruned after {trainer.images_seen:,} images")
        return reporter.best

    def final(self, trial: Trial) -> float:
        """The score of a finalist, trained at full length with the seed of the trial.

        Raises:
          optuna.TrialPruned: for one that diverged or collapsed.
        """
        known = trial.user_attrs
        config = self._task.config(known["tree"], {"seed": known["seed"]})
        folder = self._task.final_folder(known["candidate"], known["seed"])
        trainer = self._train(config, trial, folder, [])
        scores = trainer.evaluate(self._data.source, self._task.tuner.samples)
        trial.set_user_attr("scores", scores)
        return scores[trainer.select_by]

    def _train(
        self, config: TrainerConfig, trial: Trial, folder: str, callbacks: list[Callback]
    ) -> GANTrainer:
        # Models of the trials before it would stay in Keras' own lists.
        keras.backend.clear_session()
        if config.precision == "auto":
            config = config.model_copy(update={"precision": self._precision})
        try:
            trainer = GANTrainer.from_config(
                config,
                self._data.source,
                extract=self._extract,
                encoding=self._data.encoding,
                callbacks=callbacks,
            )
            trainer.train(config.images, os.path.join(folder, "training"))
        except (FloatingPointError, CollapseError, tf.errors.ResourceExhaustedError) as error:
            raise _ended(trial, " ".join(str(error).split())) from error
        if len(trainer.data_shape) == 3:
            picture = grids.grid(trainer.sample(_SAMPLES))
            grids.save_png(picture, os.path.join(folder, artifact_files.TRIAL_SAMPLES))
        return trainer


def proposed(trial: Trial, task: Task) -> space.Tree:
    """The tree of a trial: as it was entered by name, or with what the sampler suggests."""

    def ask(name: str, hole: space.Range | space.Choice) -> Any:  # noqa: ANN401
        if isinstance(hole, space.Choice):
            return hole.labels.index(trial.suggest_categorical(name, hole.labels))
        if hole.whole:
            step = 1 if hole.step is None else int(hole.step)
            return trial.suggest_int(name, int(hole.low), int(hole.high), step=step, log=hole.log)
        return trial.suggest_float(name, hole.low, hole.high, step=hole.step, log=hole.log)

    entered = trial.user_attrs.get("tree")
    if entered is None or trial.user_attrs.get("in_space"):
        filled = space.fill(task.searched, ask)
    return filled if entered is None else entered


class _Reporter(Callback):
    """Tells Optuna the best score so far at each measurement, and ends the training if it says so.

    Attributes:
      best: the best score; None before the first.
      pruned: whether the training was ended.
    """

    def __init__(self, trial: Trial, task: Task) -> None:
        self._trial = trial
        self._length = task.images
        self.best: float | None = None
        self.pruned = False

    def start(self, trainer: GANTrainer) -> None:
        if trainer.selection.made:
            self.best = float(trainer.selection.score)

    def step_end(self, trainer: GANTrainer, step: StepEnd) -> None:
        if step.measurement is None or not trainer.selection.made:
            return
        self.best = float(trainer.selection.score)
        if int(trainer.selection.images) == step.images:
            self._trial.set_user_attr("scores", step.measurement.scores())
        self._trial.report(self.best, min(step.images, self._length))
        if not step.last and self._trial.should_prune():
            self.pruned = trainer.stop_training = True


def _ended(trial: Trial, reason: str) -> optuna.TrialPruned:
    trial.set_user_attr(studies.ENDED, reason)
    return optuna.TrialPruned(reason)
