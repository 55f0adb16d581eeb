"""The recipe's section `data`."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, field_validator

from components.config import Config, name_in
from components.example_gen.readers import READERS
from components.examples import EVAL_SPLIT, TRAIN_SPLIT

_Pixels = Annotated[int, Field(ge=4, le=1024)]


class DataConfig(Config):
    """Where the images are and what they look like."""

    # BaseModel has an attribute `schema`, so the field has another name than the recipe's key.
    model_config = ConfigDict(populate_by_name=True)

    path: str = Field(min_length=1, description="folder of the data, a path or a URI")
    format: name_in(READERS) = Field(description="how the images lie in the folder: idx or folder")
    image_shape: tuple[_Pixels, _Pixels, Literal[1, 3]] = Field(
        description="[height, width, channels] of every image: 4 to 1024 pixels, 1 or 3 channels"
    )
    eval_fraction: float = Field(
        default=0.1,
        ge=0.001,
        le=0.999,
        description="share of images held out where the data have one split, in steps of 0.001",
    )
    splits: dict[str, str] | None = Field(
        default=None,
        description="glob pattern, relative to path, of train and of eval, or of one split; "
        "found from the names of files and folders if left out",
    )
    schema_path: str | None = Field(
        default=None,
        alias="schema",
        description="curated schema (.pbtxt) of the data; inferred from the data if left out",
    )

    @field_validator("splits")
    @classmethod
    def _one_or_train_and_eval(cls, splits: dict[str, str] | None) -> dict[str, str] | None:
        if splits is not None and len(splits) != 1 and set(splits) != {TRAIN_SPLIT, EVAL_SPLIT}:
            raise ValueError(
                f"found {', '.join(splits) or 'none'}; name {TRAIN_SPLIT} and {EVAL_SPLIT}, "
                "or one split to be divided"
            )
        return splits
