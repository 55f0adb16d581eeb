"""From data of which nothing is known yet to a schema and a recipe."""

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
from components.example_gen import paths, sources, survey
from components.example_gen.config import DataConfig
from components.example_gen.formats import registry, table
from components.trainer.networks import GENERATORS
from pipeline import config, observation, validation
from pipeline.observation import Observed

RECIPE_FILE = "recipe.yaml"
SCHEMA_FILE = "schema.pbtxt"
_TEMPLATE = Path(__file__).with_name("recipe.yaml.jinja")

# A first recipe is to be done today; whoever has hardware makes it larger.
_LARGEST_SIDE = 64
_SIDES = (8, 16, 24, 32, 48, 64)
_BATCH_OF_IMAGES, _BATCH_OF_ROWS = 32, 128
_LATENT_DIM = 8
# Below, a discriminator learns the images by heart (Zhao et al. 2020, arXiv:2006.10738).
_FEW = 10_000
# Images that a self-supervised extractor sees in all: 4 epochs of 5000 do (docs/extractors.md).
_LEARNT_FROM, _MOST_EPOCHS = 20_000, 12
# Of the smallest class: a classifier needs some to learn from.
_CLASS_OF_A_CLASSIFIER = 20


@dataclasses.dataclass(frozen=True)
class Look:
    """A first look at data: the section `data` that suits them, and why, in words."""

    data: DataConfig
    words: str


def look(
    path: str,
    *,
    data_format: str = registry.AUTO,
    image_shape: Sequence[int] | None = None,
    fit: str | None = None,
) -> Look:
    """How to read data, from what they are.

    Bad records are set aside, up to the recipe's default; what is in eval is taken out of train.

    Args:
      path: of a folder, a file or a glob; a path or URI.
      data_format: a name of READERS.
      image_shape: [height, width, channels]; found if left out.
      fit: of images of another size; if left out, exact where all have one size, else crop.

    Raises:
      FileNotFoundError, ValueError: for data that are not there, or are neither images nor numbers.
    """
    path = config.absolute(path)
    options = {
        "path": path,
        "format": data_format,
        "on_bad_record": "quarantine",
        "on_leak": "drop",
        **({"fit": fit} if fit else {}),
    }
    may_be_table = data_format in (registry.AUTO, table.FORMAT) and not image_shape
    if may_be_table and (tables := _tables(path)):
        found = table.describe(tables)
        data = validate(DataConfig, {**options, "columns": found.columns})
        return Look(data, f"a table of {', '.join(found.columns)}; label: {found.label or 'none'}")
    reader = registry.READERS.get(data_format)()
    where = sources.find(reader, path)
    shards = reader.shards(where.base, where.splits)
    seen = survey.survey(reader, [shard for listed in shards.values() for shard in listed])
    shape = tuple(image_shape or _shape(seen))
    suits = "exact" if set(seen.sizes) == {shape[:2]} else "crop"
    data = validate(DataConfig, {"fit": suits, **options, "image_shape": shape})
    colour = "gray" if seen.channels == 1 else "in colour"
    return Look(data, f"images of {_sizes(seen)} (height x width), {colour}")


def write_schema(data: DataConfig, path: str, tell: Callable[[str], None]) -> ValidationResult:
    """Writes the schema proposed for data, and the statistics that later ones are compared with.

    Returns:
      What a run would refuse the data for nevertheless.
    """
    return _write_schema(observation.observe(data, tell), data, path)


def _write_schema(observed: Observed, data: DataConfig, path: str) -> ValidationResult:
    schema = proposal.propose(observed.statistics, data.spec)
    reference = proposal.compared(observed.statistics[TRAIN_SPLIT], schema)
    files.write(path, proposal.to_text(schema, observed.statistics).encode())
    files.write(validation.reference_of(path), reference.SerializeToString())
    return validation.check(
        observed, data, schema, ValidationConfig(), schema_path=path, reference=reference
    )


def write_recipe(path: str, out: str, tell: Callable[[str], None]) -> ValidationResult:
    """Makes the folder `out` with a recipe, a schema and reference statistics of data.

    Args:
      path: of the data.
      out: the folder, made atomically.
      tell: receives lines of progress.

    Returns:
      What a run would refuse the data for.

    Raises:
      FileExistsError: where `out` exists.
      FileNotFoundError, ValueError: for data that cannot be read.
    """
    with files.atomic_folder(out) as folder:
        seen = look(path)
        tell(seen.words)
        observed = observation.observe(seen.data, tell)
        result = _write_schema(observed, seen.data, os.path.join(folder, SCHEMA_FILE))
        text = _recipe(seen, observed, out)
        recipe = os.path.join(folder, RECIPE_FILE)
        files.write(recipe, text.encode())
        config.find_data(config.load(recipe))
    return dataclasses.replace(result, schema=os.path.join(out, SCHEMA_FILE))


def _tables(path: str) -> list[str]:
    base = sources.base_of(path)
    below = path.removeprefix(base).lstrip("/")
    return registry.table_files(base, paths.children(base, below) if below else None)


def _shape(seen: survey.Survey) -> tuple[int, int, int]:
    """The shape that a first generator makes."""
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


def _sizes(seen: survey.Survey) -> str:
    small, large = min(seen.sizes, key=math.prod), max(seen.sizes, key=math.prod)
    words = [f"{height}x{width}" for height, width in (small, large)]
    return words[0] if small == large else " to ".join(words)


def _recipe(seen: Look, observed: Observed, out: str) -> str:
    data, counts = seen.data, observed.ledger.properties
    train = observed.statistics[TRAIN_SPLIT]
    there = int(train.datasets[0].num_examples)
    largest = _BATCH_OF_ROWS if data.columns else _BATCH_OF_IMAGES
    return templates.load(_TEMPLATE).render(
        count=counts["examples"],
        name=_name(out),
        path=_yaml(data.path),
        columns=data.columns and _yaml(list(data.columns)),
        image_shape=data.image_shape and _yaml(list(data.image_shape)),
        words=seen.words,
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
    """A classifier where there are classes to learn."""
    name = statistics.class_feature(train)
    sizes = statistics.counts(statistics.features_of(train)[name]).values() if name else ()
    learns = len(sizes) > 1 and min(sizes) >= _CLASS_OF_A_CLASSIFIER
    return "classifier" if learns else "self_supervised"


def _name(out: str) -> str:
    """A name of a pipeline, from that of a folder."""
    words = re.sub(r"[^a-z0-9]+", "-", os.path.basename(os.path.abspath(out)).lower())
    return words.strip("-")[:63] or "gan"


def _yaml(value: object) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=math.inf)
    return text.removesuffix("...\n").strip()
