"""How to read data about which nothing is known yet."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

from components.common.config import validate
from components.data.columns import Column
from components.data.examples import EVAL_SPLIT, TRAIN_SPLIT
from components.data_validator.config import ValidationConfig
from components.example_gen import dataset
from components.example_gen.config import DataConfig
from components.example_gen.dataset import Dataset
from components.example_gen.formats import registry
from components.example_gen.formats.reader import UNUSED, LeftOut
from components.example_gen.preview import Preview
from pipeline import config
from pipeline.onboarding import presets

# Keys of the section `data` that can be given; those that readers need come first.
_OF_READERS = ("arrays", "encoding", "header", "features")
SETTINGS = (*_OF_READERS, "columns", "bits", "background", "filter", "max_pixels")
# Share of the rows of a table that repeat another, above which they may well be equal.
MOST_REPEATED = ValidationConfig().max_duplicate_fraction
_BY_ROW = {"divide_by": "row", "on_leak": "keep"}
# Sides that images are brought to whose own the networks do not make.
_SIDES = (8, 16, 24, 32, 48, 64, 96, 128, 192, 256)
# Columns that the summary of a table names.
_NAMED = 20


@dataclasses.dataclass(frozen=True)
class Suggestion:
    """The section `data` that suits some data, and a summary of the data in words.

    Attributes:
      data: the section.
      summary: one line.
      found: the data.
      settings: keys of the section that were given.
    """

    data: DataConfig
    summary: str
    found: Dataset
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def by_row(self) -> bool:
        """Whether rows of the data may well be equal, and are divided one by one."""
        return self.data.divide_by == "row"

    def divided_by_row(self) -> "Suggestion":
        """The same for data whose rows may well be equal."""
        return dataclasses.replace(self, data=self.data.model_copy(update=_BY_ROW))


def inspect(
    path: str | Sequence[str],
    *,
    data_format: str = registry.AUTO,
    image_shape: Sequence[int] | None = None,
    fit: str | None = None,
    columns: Sequence[str] | None = None,
    labels: str | None = None,
    splits: Mapping[str, str] | None = None,
    overrides: Sequence[str] = (),
) -> Suggestion:
    """Suggests how to read data, from the files themselves.

    Bad records are quarantined, up to the recipe's default; examples that train shares with eval
    are dropped from train.

    Args:
      path: a folder, a file or a glob, or several; paths or URIs.
      data_format: a name of READERS.
      image_shape: [height, width, channels]; by default one that suits the images.
      fit: of images of another size; by default exact if all have one size, else crop.
      columns: of a table, whose types are recognised; by default all that can be learnt.
      labels: CSV file with the labels of images, in the folder or the archive.
      splits: patterns of train and eval, relative to the folder of `path`; by default inferred.
      overrides: `data.bits=12` and others of SETTINGS.

    Raises:
      FileNotFoundError, ValueError: for data that do not exist, or are neither images nor a table,
        and for other overrides.
    """
    path = _absolute(path)
    settings = _settings(overrides)
    reading = {key: settings[key] for key in _OF_READERS if key in settings}
    if labels:
        reading["labels"] = labels
    wanted = _columns(settings.pop("columns", None), columns)
    found = dataset.inspect(path, data_format, wanted, splits=splits, **reading)
    left_out = found.left_out
    if not splits and set(found.splits) == {TRAIN_SPLIT, EVAL_SPLIT} and _holds_more(left_out):
        # The recipe says which of three splits it takes.
        splits = found.patterns
    options = {
        "path": path,
        "format": data_format,
        "on_bad_record": "quarantine",
        "on_leak": "drop",
        **({"fit": fit} if fit else {}),
        **({"image_shape": image_shape} if image_shape else {}),
        **({"labels": labels} if labels else {}),
        **({"splits": dict(splits)} if splits else {}),
        **settings,
    }

    seen = found.preview
    if found.columns:
        if seen.repeated > MOST_REPEATED:
            options |= _BY_ROW
        data = validate(DataConfig, {**options, "columns": found.columns})
        label = found.label or "none"
        named = ", ".join(column.name for column in found.columns[:_NAMED])
        if len(found.columns) > _NAMED:
            named += f" and {len(found.columns) - _NAMED} more columns"
        summary = f"a table of {named}; label: {label}"
        return Suggestion(data, summary, found, settings)
    shape = tuple(image_shape or _shape(seen))
    suits = "exact" if set(seen.sizes) == {shape[:2]} else "crop"
    data = validate(DataConfig, {"fit": suits, **options, "image_shape": shape})
    colour = "gray" if seen.channels == 1 else "in colour"
    summary = f"images of {_sizes(seen)} (height x width), {colour}"
    return Suggestion(data, summary, found, settings)


def _absolute(path: str | Sequence[str]) -> str | tuple[str, ...]:
    if isinstance(path, str):
        return config.absolute(path)
    listed = tuple(config.absolute(each) for each in path)
    return listed[0] if len(listed) == 1 else listed


def _holds_more(left_out: Sequence[LeftOut]) -> bool:
    return any(each.reason == UNUSED for each in left_out)


def _settings(overrides: Sequence[str]) -> dict[str, Any]:
    """Keys of the section `data`; raises ValueError for others."""
    tree: dict[str, Any] = {}
    for override in overrides:
        config.override_in(tree, override)
    found = tree.pop("data", {})
    unknown = [*tree, *(f"data.{key}" for key in found if key not in SETTINGS)]
    if unknown:
        known = ", ".join(f"data.{key}" for key in SETTINGS)
        raise ValueError(f"--set {unknown[0]}: new takes {known}; edit the recipe for others")
    return found


def _columns(given: object, names: Sequence[str] | None) -> Sequence[str | Column] | None:
    """The wanted columns: those of `data.columns`, as a recipe has them, or names."""
    if given is None:
        return names
    if names:
        raise ValueError("--columns: data.columns is set too; give one of them")
    return validate(DataConfig, {"path": "?", "columns": given}).columns


def _shape(seen: Preview) -> tuple[int, int, int]:
    """The image shape for a first generator."""
    (size, *others) = seen.sizes
    most = presets.largest_side()
    if not others and max(size) <= most and presets.takes_convolutions(size):
        return (*size, seen.channels)
    side = max(each for each in _SIDES if each <= max(min(seen.short_side, most), _SIDES[0]))
    return side, side, seen.channels


def _sizes(seen: Preview) -> str:
    small, large = min(seen.sizes, key=math.prod), max(seen.sizes, key=math.prod)
    words = [f"{height}x{width}" for height, width in (small, large)]
    return words[0] if small == large else " to ".join(words)
