"""The recipe's section `validation`."""

from typing import Annotated

from pydantic import Field

from components.common.config import Config

_Fraction = Annotated[float, Field(ge=0, le=1)]


class ValidationConfig(Config):
    """What data may be like beyond what their schema says."""

    min_class_balance: _Fraction = Field(
        0.1, description="of train: examples of the smallest class, of those of the largest"
    )
    max_duplicate_fraction: _Fraction = Field(
        0.05, description="of examples that repeat one of their split"
    )
    max_misnamed_fraction: _Fraction = Field(
        0.0, description="of files of another format than their name says"
    )
    reference: str | None = Field(
        None,
        min_length=1,
        description="statistics (.pb) of the data that the schema was made from; the train split "
        "must not have drifted from them",
    )
