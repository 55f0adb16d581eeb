"""The recipe's `tuner` section."""

from typing import Annotated, Any

from pydantic import Field

from components.common.config import Config, name_in
from components.tuner.studies import PRUNERS, SAMPLERS


class TunerConfig(Config):
    """A search for better values of the section `trainer`; null: none."""

    space: dict[str, Any] | str | None = Field(
        None,
        description="keys of the section trainer with ranges and choices in place of values, or "
        "the name of a built-in space; default: the one for the networks",
    )
    trials: int = Field(30, ge=1, le=10_000, description="configurations to try")
    first: tuple[dict[str, Any], ...] = Field(
        (), description="what to try first, after the recipe itself: other values of trainer's keys"
    )
    images: int | None = Field(
        None, ge=1, description="length of a trial in images; default: trainer.images"
    )
    sampler: Annotated[str, name_in(SAMPLERS)] = Field(
        "tpe", description="what proposes configurations"
    )
    pruner: Annotated[str, name_in(PRUNERS)] = Field(
        "hyperband", description="what ends bad trials early"
    )
    min_recall: float = Field(
        0.0, ge=0, le=1, description="recall below which a trial cannot be the best"
    )
    min_coverage: float = Field(
        0.5, ge=0, le=1, description="coverage below which a trial cannot be the best"
    )
    finalists: int = Field(
        2, ge=1, le=20, description="best trials that are trained again beside the recipe itself"
    )
    seeds: int = Field(
        3, ge=2, le=20, description="seeds with which each of them and the recipe are trained"
    )
    samples: int = Field(
        5000, ge=50, description="number of fakes, and of real data, to score finalists by"
    )
    jobs: int = Field(
        1,
        ge=1,
        le=64,
        description="trials side by side: processes that share the cores, or have a GPU each",
    )
    storage: str | None = Field(
        None,
        description="URL of the database for several machines, with variables of the environment "
        "as ${NAME}; default: SQLite under the root",
    )
    seed: int = Field(0, ge=0, lt=2**31, description="random seed of the sampler")
