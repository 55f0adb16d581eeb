"""Creates a schema and a recipe for data about which nothing is known yet."""

import dataclasses
import os
from collections.abc import Callable, Sequence
from typing import Any

from components.common import files
from components.data.examples import TRAIN_SPLIT
from components.data_validator import proposal
from components.data_validator.config import ValidationConfig
from components.data_validator.pages import ValidationResult
from pipeline import config, previews, validation
from pipeline.onboarding import recipe
from pipeline.onboarding.presets import PRESETS
from pipeline.onboarding.suggestion import MOST_REPEATED, Suggestion, inspect
from pipeline.runners import local
from pipeline.runners.local import Inspection
from pipeline.runners.sampled import Sample

RECIPE_FILE = "recipe.yaml"
SCHEMA_FILE = "schema.pbtxt"


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
    sample = None if every_record else Sample.of(suggestion.found)
    if sample:
        log(f"looking at {sample.words} (--all: at all); the run validates all")
        if suggestion.data.columns and sample.repeated > MOST_REPEATED:
            suggestion = suggestion.divided_by_row()
    data = suggestion.data
    inspected = sample.inspect(data, log) if sample else local.inspect(data, log)
    counts = inspected.ledger.properties
    repeated = counts["duplicates"] > MOST_REPEATED * counts["examples"]
    if data.columns and repeated and not sample and not suggestion.by_row:
        # Of many rows, the preview has seen too few to tell.
        log("many rows are equal: read again, to divide them by row and not by content")
        suggestion = suggestion.divided_by_row()
        data = suggestion.data
        inspected = local.inspect(data, log)
    schema = proposal.propose(inspected.statistics, data.spec, inspected.whole)
    reference = proposal.compared(inspected.statistics[TRAIN_SPLIT], schema)
    text = proposal.to_text(schema, inspected.statistics, inspected.whole)
    files.write(path, text.encode())
    files.write(validation.reference_of(path), reference.SerializeToString())
    files.write(previews.path_beside(path), f"{shown}\n".encode())
    limits = ValidationConfig(max_duplicate_fraction=1 if suggestion.by_row else MOST_REPEATED)
    if sample:
        schema = proposal.for_sample(schema)
    result = validation.check(
        inspected, data, schema, limits, schema_path=path, reference=reference
    )
    return result, inspected, suggestion


def write_recipe(
    path: str | Sequence[str],
    out: str,
    log: Callable[[str], None],
    every_record: bool = False,
    preset: str | None = None,
    **options: Any,  # noqa: ANN401
) -> ValidationResult:
    """Creates the folder `out` with a recipe, a schema and reference statistics of data.

    Args:
      path: the data: a folder, a file or a glob, or several.
      out: the folder, created atomically.
      log: receives lines of progress.
      every_record: as of `write_schema`.
      preset: a name of PRESETS; by default the one that suits the data best.
      **options: how the data are read, as of `inspect`.

    Returns:
      The anomalies for which a run would refuse the data.

    Raises:
      FileExistsError: if `out` exists.
      FileNotFoundError, ValueError: for data that cannot be read, and a preset that does not take
        them.
    """
    if preset:
        # Before minutes are spent on the data.
        PRESETS.get(preset)
    with files.atomic_folder(out) as folder:
        suggestion = inspect(path, **options)
        result, inspected, suggestion = _write_schema(
            suggestion, os.path.join(folder, SCHEMA_FILE), log, every_record
        )
        text = recipe.text(suggestion, inspected, os.path.basename(os.path.abspath(out)), preset)
        path = os.path.join(folder, RECIPE_FILE)
        files.write(path, text.encode())
        config.check_data(config.load(path))
    return dataclasses.replace(result, schema=os.path.join(out, SCHEMA_FILE))
