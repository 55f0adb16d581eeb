"""Creates a schema and a recipe for data about which nothing is known yet."""

import dataclasses
import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from components.common import files, templates
from components.common.config import validate
from components.data.columns import Column
from components.data.examples import EVAL_SPLIT, TRAIN_SPLIT
from components.data_validator import proposal, statistics
from components.data_validator.checks import Statistics
from components.data_validator.config import ValidationConfig
from components.data_validator.pages import ValidationResult
from components.example_gen import dataset
from components.example_gen.config import DataConfig
from components.example_gen.dataset import Dataset
from components.example_gen.formats import registry
from components.example_gen.formats.reader import UNUSED, LeftOut
from components.example_gen.preview import Preview
from components.trainer.networks import GENERATORS
from pipeline import config, previews, validation
from pipeline.runners import local
from pipeline.runners.local import Inspection
from pipeline.runners.sampled import Sample

RECIPE_FILE = "recipe.yaml"
SCHEMA_FILE = "schema.pbtxt"
_TEMPLATE = Path(__file__).with_name("recipe.yaml.jinja")

# A first recipe should train within a day on modest hardware.
_LARGEST_SIDE = 64
_SIDES = (8, 16, 24, 32, 48, 64)
_BATCH_OF_IMAGES, _BATCH_OF_ROWS = 32, 128
_LATENT_DIM = 16
# With fewer images, a discriminator memorises them (Zhao et al. 2020, arXiv:2006.10738).
_FEW = 10_000
# Keys of the section `data` that can be given; those that readers need come first.
_OF_READERS = ("arrays", "encoding", "header", "features")
SETTINGS = (*_OF_READERS, "columns", "bits", "background", "filter", "max_pixels")
# Rows of a table that repeat another, from which on they may well be equal; and what follows.
_MOST_REPEATED = ValidationConfig().max_duplicate_fraction
_COARSE = {"divide_by": "row", "on_leak": "keep"}
# Columns that the summary of a table names.
_NAMED = 20
# Least size of the smallest class for a classifier to learn from.
_CLASS_OF_A_CLASSIFIER = 20


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
        if seen.repeated > _MOST_REPEATED:
            options |= _COARSE
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


def write_schema(
    suggestion: Suggestion, path: str, log: Callable[[str], None], every_record: bool = False
) -> ValidationResult:
    """Writes a schema proposed for data, the statistics that later data are compared with, and
    what there is in the data, as text.

    Of many records it looks at a sample, unless it is told to look at every record.

    Returns:
      The anomalies for which a run would still refuse the data.
    """
    return _write_schema(suggestion, path, log, every_record)[0]


def _write_schema(
    suggestion: Suggestion, path: str, log: Callable[[str], None], every_record: bool
) -> tuple[ValidationResult, Inspection, Suggestion]:
    shown = previews.text(suggestion.found)
    log(f"{suggestion.summary}\n{shown}")
    data = suggestion.data
    sample = None if every_record else Sample.of(suggestion.found)
    if sample:
        log(f"looking at {sample.words} (--all: at all); the run validates all")
        if data.columns and sample.repeated > _MOST_REPEATED:
            data = data.model_copy(update=_COARSE)
            suggestion = dataclasses.replace(suggestion, data=data)
    inspected = sample.inspect(data, log) if sample else local.inspect(data, log)
    counts = inspected.ledger.properties
    repeated = counts["duplicates"] > _MOST_REPEATED * counts["examples"]
    if data.columns and repeated and not sample and not _is_coarse(data):
        # Of many rows, the preview has seen too few to tell.
        log("many rows are equal: read again, to divide them by row and not by content")
        data = data.model_copy(update=_COARSE)
        suggestion = dataclasses.replace(suggestion, data=data)
        inspected = local.inspect(data, log)
    schema = proposal.propose(inspected.statistics, data.spec, inspected.whole)
    reference = proposal.compared(inspected.statistics[TRAIN_SPLIT], schema)
    text = proposal.to_text(schema, inspected.statistics, inspected.whole)
    files.write(path, text.encode())
    files.write(validation.reference_of(path), reference.SerializeToString())
    files.write(previews.path_beside(path), f"{shown}\n".encode())
    limits = ValidationConfig(max_duplicate_fraction=1) if _is_coarse(data) else ValidationConfig()
    if sample:
        schema = proposal.for_sample(schema)
    result = validation.check(
        inspected, data, schema, limits, schema_path=path, reference=reference
    )
    return result, inspected, suggestion


def _is_coarse(data: DataConfig) -> bool:
    """Whether rows may well be equal."""
    return data.divide_by == "row"


def write_recipe(
    path: str | Sequence[str],
    out: str,
    log: Callable[[str], None],
    every_record: bool = False,
    **options: Any,  # noqa: ANN401
) -> ValidationResult:
    """Creates the folder `out` with a recipe, a schema and reference statistics of data.

    Args:
      path: the data: a folder, a file or a glob, or several.
      out: the folder, created atomically.
      log: receives lines of progress.
      every_record: as of `write_schema`.
      **options: how the data are read, as of `inspect`.

    Returns:
      The anomalies for which a run would refuse the data.

    Raises:
      FileExistsError: if `out` exists.
      FileNotFoundError, ValueError: for data that cannot be read.
    """
    with files.atomic_folder(out) as folder:
        suggestion = inspect(path, **options)
        result, inspected, suggestion = _write_schema(
            suggestion, os.path.join(folder, SCHEMA_FILE), log, every_record
        )
        text = _recipe(suggestion, inspected, out)
        recipe = os.path.join(folder, RECIPE_FILE)
        files.write(recipe, text.encode())
        config.check_data(config.load(recipe))
    return dataclasses.replace(result, schema=os.path.join(out, SCHEMA_FILE))


def _shape(seen: Preview) -> tuple[int, int, int]:
    """The image shape for a first generator."""
    (size, *others) = seen.sizes
    if not others and max(size) <= _LARGEST_SIDE and _network(size) == "dcgan":
        return (*size, seen.channels)
    side = max(each for each in _SIDES if each <= max(seen.short_side, _SIDES[0]))
    return side, side, seen.channels


def _network(size: Sequence[int]) -> str:
    try:
        GENERATORS.get("dcgan").check_shape((*size, 1))
    except ValueError:
        return "mlp"
    return "dcgan"


def _sizes(seen: Preview) -> str:
    small, large = min(seen.sizes, key=math.prod), max(seen.sizes, key=math.prod)
    words = [f"{height}x{width}" for height, width in (small, large)]
    return words[0] if small == large else " to ".join(words)


def _recipe(suggestion: Suggestion, inspected: Inspection, out: str) -> str:
    data, counts = suggestion.data, inspected.ledger.properties
    columns = data.model_dump()["columns"] or ()
    train = inspected.statistics[TRAIN_SPLIT]
    there = int(train.datasets[0].num_examples)
    whole = inspected.whole
    count = sum(whole.values()) if whole else counts["examples"]
    largest = _BATCH_OF_ROWS if data.columns else _BATCH_OF_IMAGES
    return templates.load(_TEMPLATE).render(
        count=count,
        sampled=f"{counts['examples']:,} of about {count:,}" if whole else None,
        given_splits=len(suggestion.found.splits) > 1,
        # A name of digits is text too.
        name=_yaml(_name(out)),
        path=_yaml(data.path if isinstance(data.path, str) else list(data.path)),
        format=None if data.format == registry.AUTO else data.format,
        labels=data.labels and _yaml(data.labels),
        splits=data.splits and _yaml(data.splits),
        columns=columns and _yaml(columns),
        typed=[_yaml(each) for each in columns] if any(map(_is_typed, columns)) else (),
        image_shape=data.image_shape and _yaml(list(data.image_shape)),
        words=suggestion.summary,
        settings={key: _yaml(value) for key, value in suggestion.settings.items()},
        coarse=_is_coarse(data),
        several_numbers=sum(not column.kind.discrete for column in data.columns or ()) > 1,
        fit=data.fit,
        rejected=counts["rejected"],
        leaked=counts["leaked"],
        latent_dim=max(_LATENT_DIM, len(columns)),
        batch_size=max(2, min(largest, there // 2)),
        network=_network(data.image_shape[:2]) if data.image_shape else None,
        few=count < _FEW,
        extractor=_extractor(train),
    )


def _is_typed(column: object) -> bool:
    """Whether a column in a recipe is more than a name."""
    return not isinstance(column, str)


def _extractor(train: Statistics) -> str:
    """The kind of extractor: a classifier if there are classes to learn."""
    name = statistics.class_feature(train)
    sizes = statistics.counts(statistics.features_of(train)[name]).values() if name else ()
    learns = len(sizes) > 1 and min(sizes) >= _CLASS_OF_A_CLASSIFIER
    return "classifier" if learns else "self_supervised"


def _name(out: str) -> str:
    """A name for the pipeline, from that of a folder."""
    words = re.sub(r"[^a-z0-9]+", "-", os.path.basename(os.path.abspath(out)).lower())
    return words.strip("-")[:63] or "gan"


def _yaml(value: object) -> str:
    text = yaml.safe_dump(
        value, default_flow_style=True, allow_unicode=True, width=math.inf, sort_keys=False
    )
    return text.removesuffix("...\n").strip()
