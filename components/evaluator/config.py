"""The recipe's `evaluator` section."""

from typing import Annotated

from pydantic import Field, model_validator

from components.common.config import Config, name_in
from components.evaluator.metrics.registry import METRICS
from components.evaluator.metrics.settings import MetricSettings

_Limit = Annotated[float, Field(allow_inf_nan=False)]
_Tolerance = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Bound(Config):
    """Where a metric's value must lie, borders included."""

    min: _Limit | None = Field(None, description="smallest value that passes")
    max: _Limit | None = Field(None, description="largest value that passes")

    @model_validator(mode="after")
    def _leaves_room(self) -> "Bound":
        if self.min is None and self.max is None:
            raise ValueError("a bound without min and max: give one of them")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min:g} lies above max {self.max:g}")
        return self


class GateConfig(Config):
    """What a generator must reach to be blessed; every rule must pass, with its whole interval."""

    bounds: dict[Annotated[str, name_in(METRICS)], Bound | None] = Field(
        {}, description="metric to its bound; null: none, not even the metric's own"
    )
    better_than_blessed: tuple[Annotated[str, name_in(METRICS)], ...] = Field(
        (), description="metrics in which it must be better than the last blessed model"
    )
    not_worse_than_blessed: dict[Annotated[str, name_in(METRICS)], _Tolerance] = Field(
        {},
        description="metric to how much worse than the last blessed model's it may be, and than "
        "that of the blessed model of the lowest FID, relative: 0.1 is ten percent",
    )


class EvaluatorConfig(MetricSettings):
    """How the generator is measured, against the eval split, and what is good enough."""

    num_fake: int | None = Field(
        None, ge=4, description="fake images; left out: as many as real ones"
    )
    batch_size: int = Field(256, ge=1, description="images a call of generator and extractor")
    page_neighbours: int = Field(
        0, ge=0, description="training images in generator.html; whoever has it has them too"
    )
    gate: GateConfig = Field(GateConfig(), description="what a generator must reach to be blessed")
