"""Creates a schema and a recipe for data about which nothing is known yet."""

import dataclasses
import math
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import yaml

from components.common import files, templates
from components.common.config import validate
from components.data.examples import TRAIN_SPLIT
from components.data_validator import proposal, statistics
from components.data_validator.checks import Statistics
from components.data_validator.config import ValidationConfig
from components.data_validator.pages import ValidationResult
from components.example_gen import dataset, image_sizes
from components.example_gen.config import DataConfig
from components.example_gen.formats import registry
from components.trainer.networks import GENERATORS
from pipeline import config, validation
from pipeline.runners import local
from pipeline.runners.local import Inspection

RECIPE_FILE = "recipe.yaml"
SCHEMA_FILE = "schema.pbtxt"
_TEMPLATE = Path(__file__).with_name("recipe.yaml.jinja")

# A first recipe should train within a day on modest hardware.
_LARGEST_SIDE = 64
_SIDES = (8, 16, 24, 32, 48, 64)
_BATCH_OF_IMAGES, _BATCH_OF_ROWS = 32, 128
_LATENT_DIM = 8
# With fewer images, a discriminator memorises them (Zhao et al. 2020, arXiv:2006.10738).
_FEW = 10_000
# Images that a self-supervised extractor should see: 4 epochs of 5000 do (docs/extractors.md).
_LEARNT_FROM, _MOST_EPOCHS = 20_000, 12
# Least size of the smallest class for a classifier to learn from.
_CLASS_OF_A_CLASSIFIER = 20


@dataclasses.dataclass(frozen=True)
class Suggestion:
    """The section `data` that suits some data, and a summary of the data in words."""

    data: DataConfig
    summary: str


def inspect(
    path: str,
    *,
    data_format: str = registry.AUTO,
    image_shape: Sequence[int] | None = None,
    fit: str | None = None,
) -> Suggestion:
    """Suggests how to read data, from the files themselves.

    Bad records are quarantined, up to the recipe's default; examples that train shares with eval
    are dropped from train.

    Args:
      path: a folder, a file or a glob; a path or URI.
      data_format: a name of READERS.
      image_shape: [height, width, channels]; by default one that suits the images.
      fit: of images of another size; by default exact if all have one size, else crop.

    Raises:
      FileNotFoundError, ValueError: for data that do not exist, or are neither images nor numbers.
    """
    path = config.absolute(path)
    options = {
        "path": path,
        "format": data_format,
        "on_bad_record": "quarantine",
        "on_leak": "drop",
        **({"fit": fit} if fit else {}),
        **({"image_shape": image_shape} if image_shape else {}),
    }
    found = dataset.inspect(path, data_format)
    if found.columns:
        data = validate(DataConfig, {**options, "columns": found.columns})
        label = found.label or "none"
        return Suggestion(data, f"a table of {', '.join(found.columns)}; label: {label}")
    shards = [shard for listed in found.shards.values() for shard in listed]
    seen = image_sizes.inspect(found.reader, shards)
    shape = tuple(image_shape or _shape(seen))
    suits = "exact" if set(seen.sizes) == {shape[:2]} else "crop"
    data = validate(DataConfig, {"fit": suits, **options, "image_shape": shape})
    colour = "gray" if seen.channels == 1 else "in colour"
    return Suggestion(data, f"images of {_sizes(seen)} (height x width), {colour}")


def write_schema(data: DataConfig, path: str, log: Callable[[str], None]) -> ValidationResult:
    """Writes a schema proposed for data, and the statistics that later data are compared with.

    Returns:
      The anomalies for which a run would still refuse the data.
    """
    return _write_schema(local.inspect(data, log), data, path)


def _write_schema(inspected: Inspection, data: DataConfig, path: str) -> ValidationResult:
    schema = proposal.propose(inspected.statistics, data.spec)
    reference = proposal.compared(inspected.statistics[TRAIN_SPLIT], schema)
    files.write(path, proposal.to_text(schema, inspected.statistics).encode())
    files.write(validation.reference_of(path), reference.SerializeToString())
    return validation.check(
        inspected, data, schema, ValidationConfig(), schema_path=path, reference=reference
    )


def write_recipe(path: str, out: str, log: Callable[[str], None]) -> ValidationResult:
    """Creates the folder `out` with a recipe, a schema and reference statistics of data.

    Args:
      path: the data: a folder, a file or a glob.
      out: the folder, created atomically.
      log: receives lines of progress.

    Returns:
      The anomalies for which a run would refuse the data.

    Raises:
      FileExistsError: if `out` exists.
      FileNotFoundError, ValueError: for data that cannot be read.
    """
    with files.atomic_folder(out) as folder:
        suggestion = inspect(path)
        log(suggestion.summary)
        inspected = local.inspect(suggestion.data, log)
        result = _write_schema(inspected, suggestion.data, os.path.join(folder, SCHEMA_FILE))
        text = _recipe(suggestion, inspected, out)
        recipe = os.path.join(folder, RECIPE_FILE)
        files.write(recipe, text.encode())
        config.check_data(config.load(recipe))
    return dataclasses.replace(result, schema=os.path.join(out, SCHEMA_FILE))


def _shape(seen: image_sizes.ImageSizes) -> tuple[int, int, int]:
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


def _sizes(seen: image_sizes.ImageSizes) -> str:
    small, large = min(seen.sizes, key=math.prod), max(seen.sizes, key=math.prod)
    words = [f"{height}x{width}" for height, width in (small, large)]
    return words[0] if small == large else " to ".join(words)


def _recipe(suggestion: Suggestion, inspected: Inspection, out: str) -> str:
    data, counts = suggestion.data, inspected.ledger.properties
    train = inspected.statistics[TRAIN_SPLIT]
    there = int(train.datasets[0].num_examples)
    largest = _BATCH_OF_ROWS if data.columns else _BATCH_OF_IMAGES
    return templates.load(_TEMPLATE).render(
        count=counts["examples"],
        name=_name(out),
        path=_yaml(data.path),
        columns=data.columns and _yaml(list(data.columns)),
        image_shape=data.image_shape and _yaml(list(data.image_shape)),
        words=suggestion.summary,
        fit=data.fit,
        rejected=counts["rejected"],
        leaked=counts["leaked"],
        latent_dim=max(_LATENT_DIM, len(data.columns or ())),
        batch_size=max(2, min(largest, there // 2)),
        network=_network(data.image_shape[:2]) if data.image_shape else None,
        few=counts["examples"] < _FEW,
        extractor=_extractor(train),
        epochs=max(1, min(_MOST_EPOCHS, _LEARNT_FROM // there)),
    )


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
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=math.inf)
    return text.removesuffix("...\n").strip()
