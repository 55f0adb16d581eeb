"""What stages cost, as a property of their artifacts: each knows the costs of all that made it."""

import dataclasses
import json
from collections.abc import Iterable, Mapping

# A custom property of artifacts: JSON of `Cost` by stage, the artifact's own and those before it.
PROPERTY = "costs"
# Variable of the environment: the id of the run that a stage belongs to.
RUN = "TFX_GAN_RUN"


@dataclasses.dataclass(frozen=True)
class Cost:
    """What one execution of a stage took.

    Attributes:
      seconds: wall time, the look into TFX's cache included.
      peak_gb: the largest resident memory of its process meanwhile, in 10^9 bytes.
      run: id of the run that it was part of; empty where unknown.
    """

    seconds: float
    peak_gb: float
    run: str = ""

    def __str__(self) -> str:
        return f"{self.seconds:.1f} s, {self.peak_gb:.2f} GB"


def read(properties: Iterable[str]) -> dict[str, Cost]:
    """The costs by stage in the properties of several artifacts, some of which may be empty."""
    found: dict[str, Cost] = {}
    for text in properties:
        for stage, fields in json.loads(text or "{}").items():
            found[stage] = Cost(**fields)
    return found


def write(costs: Mapping[str, Cost]) -> str:
    """The inverse of `read`."""
    return json.dumps({stage: dataclasses.asdict(cost) for stage, cost in costs.items()})
