"""What a search is about, for every process that works on it."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from components.common.config import Config
from components.data.spec import DataSpec
from components.trainer.config import TrainerConfig
from components.tuner import space, spaces, studies
from components.tuner.config import TunerConfig

if TYPE_CHECKING:
    from optuna import Study

_NONE: Mapping[str, Any] = {}


def resolve_space(tuner: TunerConfig, trainer: TrainerConfig, data: DataSpec) -> space.Tree:
    """The space of a section `tuner`.

    Raises:
      ValueError: for an unknown name, networks without a built-in space, and as `space.check`.
    """
    found: space.Tree = tuner.space
    if found is None:
        found = spaces.default(trainer, table=bool(data.columns))
    if isinstance(found, str):
        found = spaces.SPACES.get(found)
    try:
        space.check(found)
    except ValueError as error:
        raise ValueError(f"space: {error}") from error
    return found


def check(tuner: TunerConfig, trainer: TrainerConfig, data: DataSpec) -> None:
    """Raises ValueError for a space, or a first trial, with a value that the trainer refuses."""
    checked: set[str] = set()
    named = [("space", each) for each in space.variants(resolve_space(tuner, trainer, data))]
    named += [(f"first.{index}", each) for index, each in enumerate(tuner.first)]
    for key, tree in named:
        try:
            made = trainer.with_values(space.leaves(tree))
            # It makes the layers, which takes a while.
            shape_of = made.model_dump_json(include={"networks", "latent_dim", "conditioning"})
            if shape_of not in checked:
                made.check_shape(data.shape)
                checked.add(shape_of)
        except ValueError as error:
            raise ValueError(f"{key}: {error}") from error


class Task(Config):
    """A search, as JSON for its workers.

    Attributes:
      name: of its studies; equal for searches that may go on with each other's trials.
      tuner, trainer: the sections of the recipe.
      data: of the examples.
      files: of tf.Examples, by split.
      mirror: as of the trainer.
      extractor: its folder.
      folder: for checkpoints and samples of the trials; several machines share it.
      storage: URL of the database.
      shared: whether other machines work on it too.
    """

    name: str
    tuner: TunerConfig
    trainer: TrainerConfig
    data: DataSpec
    files: dict[str, tuple[str, ...]]
    mirror: bool
    extractor: str
    folder: str
    storage: str
    shared: bool

    @functools.cached_property
    def searched(self) -> space.Tree:
        """The space that is searched."""
        return resolve_space(self.tuner, self.trainer, self.data)

    @property
    def images(self) -> int:
        """Length of a trial."""
        return self.tuner.images or self.trainer.images

    def config(self, tree: space.Tree, values: Mapping[str, Any] = _NONE) -> TrainerConfig:
        """The section `trainer` with the values of a filled tree, and others by dotted key.

        Raises:
          ValueError: for values that do not go together.
        """
        made = self.trainer.with_values({**space.leaves(tree), **values})
        made.check_shape(self.data.shape)
        return made

    def trial(self, tree: space.Tree) -> TrainerConfig:
        """The same for a trial of the search: measured at every rung, and saved as often."""
        rung = studies.first_rung(self.images)
        every = min(self.trainer.quality.every_images or rung, rung)
        return self.config(
            tree,
            {
                "images": self.images,
                "quality.every_images": every,
                "checkpoint_every_images": rung,
                "grid_every_images": self.images,
            },
        )

    def parameters(self, tree: space.Tree) -> dict[str, Any]:
        """The parameters of a configuration for Optuna; empty if the space does not hold it."""
        found = space.match(self.searched, self.config(tree).model_dump(mode="json", by_alias=True))
        if found is None:
            return {}
        filled = space.fill(self.searched, lambda name, hole: found[name])
        if self.config(filled) != self.config(tree):
            return {}
        holes = dict(space.holes(self.searched))
        return {
            name: hole.labels[value] if isinstance(hole, space.Choice) else value
            for name, value in found.items()
            for hole in (holes[name],)
        }

    def study(self, which: str) -> Study:
        """The study of the search, or of its finals, with a fresh sampler.

        Args:
          which: `studies.SEARCH` or `studies.FINALS`.

        Raises:
          ConnectionError: as `studies.open_study`.
        """
        tuner, search = self.tuner, which == studies.SEARCH
        # Which trials are finalists depends on how many there were.
        of = "" if search else f"-{tuner.trials}-{tuner.finalists}-{tuner.seeds}-{tuner.samples}"
        study = studies.open_study(
            self.storage,
            f"{self.name}-{which}{of}",
            shared=self.shared,
            sampler=studies.SAMPLERS.get(tuner.sampler)(tuner.seed),
            pruner=studies.PRUNERS.get(tuner.pruner if search else "none")(self.images),
        )
        # With the state of a generator of random numbers, a search that was killed would propose
        # again what it had proposed first.
        ended = sum(trial.state.is_finished() for trial in studies.entered(study))
        study.sampler = studies.SAMPLERS.get(tuner.sampler)(tuner.seed + ended)
        return study

    def trial_folder(self, entry: int) -> str:
        """Where a trial of the search keeps its checkpoints and samples."""
        return os.path.join(self.folder, "trials", str(entry))

    def final_folder(self, candidate: int, seed: int) -> str:
        """Where a training of a finalist keeps them."""
        return os.path.join(self.folder, "finals", f"{candidate}-{seed}")
