"""The recipe's section `validation`."""

from typing import Annotated

from pydantic import Field

from components.common.config import Config

_Fraction = Annotated[float, Field(ge=0, le=1)]


class ValidationConfig(Config):
    """Limits on data that a schema cannot express, and reference statistics."""

    min_class_balance: _Fraction = Field(
        0.1, description="least size of the smallest class of train, as a fraction of the largest"
    )
    max_duplicate_fraction: _Fraction = Field(
        0.05, description="largest fraction of examples that repeat another of their split"
    )
    max_misnamed_fraction: _Fraction = Field(
        0.0, description="largest fraction of files of another format than their name suggests"
    )
    reference: str | None = Field(
        None,
        min_length=1,
        description="statistics (.pb) of the data that the schema was made from; the train split "
        "must not have drifted from them",
    )
