"""The recipe's `converter` section."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field, field_validator

from components.common.config import Config, name_in
from components.serving import conversion


class ConverterConfig(Config):
    """The files for other runtimes that are part of the model."""

    to: dict[Annotated[str, name_in(conversion.RUNTIMES)], tuple[str, ...]] = Field(
        {}, description="runtime to the signatures that it gets; none: no such stage"
    )

    @field_validator("to")
    @classmethod
    def _have_operations(cls, to: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        for runtime, signatures in to.items():
            if not signatures:
                raise ValueError(f"{runtime}: no signatures; name one or leave it out")
            for signature in signatures:
                conversion.check(runtime, signature)
        return to

    def check_shape(self, shape: Sequence[int]) -> None:
        """Raises ValueError for runtimes that have no operations for data of this shape."""
        for runtime in self.to:
            conversion.check_rank(runtime, len(shape))
