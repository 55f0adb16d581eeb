"""The recipe's section `data`."""

import functools
import json
from collections import Counter
from collections.abc import Callable
from typing import Annotated, Literal

from PIL import ImageColor
from pydantic import ConfigDict, Field, field_validator, model_validator

from components.common.config import Config, name_in
from components.data.columns import Column
from components.data.examples import EVAL_SPLIT, TRAIN_SPLIT
from components.data.spec import DataSpec
from components.example_gen import dataset, prepare
from components.example_gen.formats.reader import Reader
from components.example_gen.formats.registry import AUTO, READERS

_Pixels = Annotated[int, Field(ge=4, le=1024)]
_Path = Annotated[str, Field(min_length=1)]
_OF_IMAGES = ("fit", "filter", "background", "max_pixels", "bits", "mirror")


class Features(Config):
    """Names of the image and its label in formats with named features."""

    image: str | None = Field(None, min_length=1, description="default: the format's usual names")
    label: str | None = Field(None, min_length=1, description="default: the format's usual names")


class DataConfig(Config):
    """Where the data are, how they are prepared, and what happens to bad records."""

    # The field of the recipe's key `schema` has another name because BaseModel has a `schema`.
    model_config = ConfigDict(populate_by_name=True)

    path: _Path | tuple[_Path, ...] = Field(
        description="folder, file or glob of the data, or a list of these; paths or URIs; {SPAN} "
        "and {VERSION} stand for the latest numbers"
    )
    format: Annotated[str, name_in(READERS)] = Field(
        AUTO, description="data format; auto: inferred from file names"
    )
    image_shape: tuple[_Pixels, _Pixels, Literal[1, 3]] | None = Field(
        None,
        description="[height, width, channels] of every image: 4 to 1024 pixels, 1 or 3 channels",
    )
    columns: tuple[Column, ...] | None = Field(
        None,
        min_length=1,
        description="columns of a table that form a row, instead of image_shape: names of those of "
        "numbers, or {name: …, type: …}",
    )
    fit: prepare.Fit = Field(
        "exact",
        description="images of another size: exact rejects them, crop scales and cuts, pad scales "
        "and fills with the background, stretch ignores the aspect ratio",
    )
    filter: prepare.Filter = Field("lanczos", description="resampling filter; all are antialiased")
    background: str = Field(
        "white", description="colour behind transparent pixels and around padded images"
    )
    max_pixels: int = Field(
        64_000_000,
        ge=1,
        le=prepare.LARGEST_MAX_PIXELS,
        description="largest number of pixels of a file; more is a bad record",
    )
    bits: int | None = Field(
        None,
        ge=8,
        le=16,
        description="bits in use of images whose values have more than 8; default: 16, refused if "
        "no image needs more than 14",
    )
    mirror: bool = Field(
        False,
        description="train on each image and its mirror image with equal probability, where "
        "left and right are interchangeable",
    )
    arrays: Literal["image", "stack"] | None = Field(
        None,
        description="what a NumPy array holds: one image, or a stack of images along the first "
        "axis; default: told by the shapes",
    )
    encoding: str | None = Field(
        None, min_length=1, description="encoding of CSV files of a table; default: UTF-8"
    )
    header: bool | None = Field(
        None,
        description="whether the first row of CSV files of a table names the columns; false calls "
        "them 1, 2, …; default: true, refused if the row looks like data",
    )
    labels: str | None = Field(
        None,
        min_length=1,
        description="CSV file with the columns file and label, in the folder or the archive",
    )
    features: Features = Field(
        Features(), description="names of features in TFRecord, Parquet, NumPy and CSV files"
    )
    on_bad_record: Literal["fail", "quarantine"] = Field(
        "fail", description="fail: one bad record ends the run; quarantine: they are set aside"
    )
    max_rejected_fraction: float = Field(
        0.01,
        ge=0,
        lt=1,
        description="largest fraction of all records that quarantine may set aside",
    )
    drop_duplicates: bool = Field(
        False, description="keep one of equal images or rows; by default they are only counted"
    )
    on_leak: Literal["fail", "drop", "keep"] = Field(
        "fail", description="examples in both eval and train: drop removes them from train"
    )
    eval_fraction: float | None = Field(
        default=0.1,
        ge=0.001,
        le=0.999,
        description="fraction held out if the data have one split, in steps of 0.001",
    )
    divide_by: Literal["content", "row"] = Field(
        "content",
        description="what decides the part of a record if one split is divided: its content, so "
        "that equal ones stay together, or, of a table, its row, where rows may well be equal",
    )
    splits: dict[str, str] | None = Field(
        default=None,
        description="glob patterns, relative to path, of train and eval, or of one split; by "
        "default inferred from the names of files and folders",
    )
    schema_path: str | None = Field(
        default=None,
        alias="schema",
        description="curated schema (.pbtxt) of the data; by default inferred from the data",
    )

    @field_validator("splits")
    @classmethod
    def _one_or_train_and_eval(cls, splits: dict[str, str] | None) -> dict[str, str] | None:
        if splits is not None and len(splits) != 1 and set(splits) != {TRAIN_SPLIT, EVAL_SPLIT}:
            raise ValueError(
                f"found {', '.join(splits) or 'none'}; name {TRAIN_SPLIT} and {EVAL_SPLIT}, "
                "or one split to divide"
            )
        return splits

    @field_validator("path")
    @classmethod
    def _not_empty(cls, path: str | tuple[str, ...]) -> str | tuple[str, ...]:
        if not path:
            raise ValueError("found an empty list; name at least one folder or file")
        return path

    @field_validator("background")
    @classmethod
    def _is_a_colour(cls, name: str) -> str:
        try:
            ImageColor.getrgb(name)
        except ValueError as error:
            raise ValueError(f"found {name!r}; name a colour such as white or #1e90ff") from error
        return name

    @field_validator("columns")
    @classmethod
    def _columns_are_unique(cls, columns: tuple[Column, ...] | None) -> object:
        for name, count in Counter(column.name for column in columns or ()).items():
            if count > 1:
                raise ValueError(f"found {name!r} {count} times; name it once")
        return columns

    @model_validator(mode="after")
    def _keys_fit_together(self) -> "DataConfig":
        if (self.image_shape is None) == (self.columns is None):
            found = "neither" if self.image_shape is None else "both"
            raise ValueError(
                f"found {found} of image_shape and columns; give image_shape: [height, width, "
                "channels] for images, or columns: [name, …] for a table"
            )
        for key in _OF_IMAGES if self.columns else ():
            value = getattr(self, key)
            if value != type(self).model_fields[key].default:
                raise ValueError(f"{key}: not used with columns, found {value!r}; leave it out")
        if self.divide_by == "row" and not self.columns:
            raise ValueError("divide_by: row is for tables; images are divided by their content")
        # Raises for options that the format does not use.
        self.reader()
        return self

    def reader(self) -> Reader:
        """The reader of the format, with its options."""
        features = self.features.model_dump(exclude_none=True)
        return READERS.get(self.format)(
            self.labels, features, self.columns, self.arrays, self.encoding, self.header
        )

    def dataset(self) -> dataset.Dataset:
        """The data, found at their path; raises as `dataset.find`."""
        return dataset.find(self.path, self.reader(), self.splits)

    @property
    def spec(self) -> DataSpec:
        """The shape of one datum."""
        return DataSpec(image_shape=self.image_shape, columns=self.columns)

    @property
    def preparation(self) -> Callable[[prepare.RawImage | prepare.RawRow], prepare.Prepared]:
        """Prepares a raw record for the examples; raises BadRecordError."""
        if self.columns is not None:
            return functools.partial(prepare.prepare_row, columns=self.columns)
        how = prepare.Preparation(
            self.image_shape,
            self.fit,
            self.filter,
            self.background,
            self.max_pixels,
            self.bits,
        )
        return functools.partial(prepare.prepare, how=how)

    def for_reading(self) -> str:
        """JSON of everything the examples depend on except the location of the data."""
        return self.model_dump_json(
            exclude={"path", "splits", "schema_path", "mirror"}, by_alias=True
        )

    @classmethod
    def from_reading(cls, text: str) -> "DataConfig":
        """The inverse of `for_reading`, without the location of the data."""
        return cls.model_validate({"path": "?", **json.loads(text)})
