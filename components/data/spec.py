"""What one datum is: an image of a shape, or a row of columns."""

from collections.abc import Mapping, Sequence
from typing import Annotated

import tensorflow as tf
from pydantic import Field, model_validator

from components.common.config import Config
from components.data import examples, vectors
from components.data.columns import Column

_Size = Annotated[int, Field(ge=1)]


class DataSpec(Config):
    """What the examples of a data set hold, as passed to all stages."""

    image_shape: tuple[_Size, _Size, _Size] | None = Field(
        None, description="[height, width, channels] of every image"
    )
    columns: tuple[Column, ...] | None = Field(
        None, min_length=1, description="of a row, in this order"
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> "DataSpec":
        if (self.image_shape is None) == (self.columns is None):
            raise ValueError("expected one of image_shape and columns")
        return self

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one datum: (height, width, channels) or (columns,)."""
        if self.image_shape is not None:
            return self.image_shape
        assert self.columns is not None  # The validator requires one of both.
        return (len(self.columns),)

    def to_example(self, record: examples.ImageRecord | vectors.VectorRecord) -> tf.train.Example:
        """The tf.Example of a record of this data set."""
        module = examples if self.columns is None else vectors
        return module.to_example(record)

    def read(self, files: Sequence[str]) -> examples.Split:
        """The examples of gzipped TFRecord files, in order.

        Raises:
          ValueError: as `examples.read_images` and `vectors.read_vectors`.
        """
        if self.image_shape is not None:
            return examples.read_images(files, self.image_shape)
        assert self.columns is not None  # The validator requires one of both.
        return vectors.read_vectors(files, self.columns)

    def read_splits(self, files: Mapping[str, Sequence[str]]) -> dict[str, examples.Split]:
        """The examples of several splits; codes of categories mean the same in all of them.

        Raises:
          ValueError: as `read`.
        """
        splits = {name: self.read(listed) for name, listed in files.items()}
        return splits if self.columns is None else vectors.joined(splits, self.columns)
