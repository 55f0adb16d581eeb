"""The recipe's `infra_validator` section."""

from pydantic import Field

from components.common.config import Config


class InfraValidatorConfig(Config):
    """What serving a generator may cost; one that costs more is not pushed."""

    seconds: int = Field(300, ge=1, description="to start, to load the model and to call it")
    memory_gb: float = Field(8.0, gt=0, description="of the process that serves it")
    rows_per_second: float = Field(0.0, ge=0, description="that `sample` makes at the least")
