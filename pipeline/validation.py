"""Validation of data against a schema outside a run: `tfx-gan validate`."""

import contextlib
import dataclasses
import math
import os
from collections.abc import Callable

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text
from tensorflow_metadata.proto.v0 import schema_pb2

from components.common import files
from components.common.config import validate as validated
from components.data_validator import checks, pages, proposal, statistics
from components.data_validator.checks import Statistics
from components.data_validator.config import ValidationConfig
from components.data_validator.pages import Finding, ValidationResult
from components.example_gen.config import DataConfig
from pipeline import config, previews
from pipeline.runners import local
from pipeline.runners.local import Inspection

ANOMALIES_PAGE = "anomalies.html"
STATISTICS_PAGE = "statistics.html"

# Records are counted before they are split.
_BEFORE_SPLITS = "-"


def validate(
    path: str,
    *,
    schema: str | None = None,
    recipe: config.Recipe | None = None,
    reference: str | None = None,
    serving: bool = False,
    out: str | None = None,
    log: Callable[[str], None],
) -> ValidationResult:
    """Reads all of the data, whatever is wrong with them, and reports every anomaly.

    Args:
      path: the data; a path or URI.
      schema: schema file; by default the recipe's.
      recipe: how to read the data, and their limits; by default, the shape or columns of the schema
        and the defaults of the sections `data` and `validation`.
      reference: file of statistics to compare with; by default the recipe's, or those that
        `tfx-gan schema` wrote beside the schema.
      serving: whether the data are inputs of a deployed model: without labels, not split, and
        compared with the reference as eval is with train.
      out: folder to create with the HTML pages, atomically.
      log: receives lines of progress.

    Raises:
      FileExistsError: if `out` exists.
      FileNotFoundError: for files that are missing.
      ValueError: for files that are not a schema or statistics, data that cannot be read, and
        `serving` without a reference.
    """
    schema = schema or (recipe.data.schema_path if recipe else None)
    if not schema:
        raise ValueError("--schema: missing, and the recipe has no data.schema")
    schema_proto = proposal.read(schema)
    path = config.absolute(path)
    if recipe:
        data, validation = recipe.data.model_copy(update={"path": path}), recipe.validation
    else:
        spec = proposal.spec_of(schema_proto)
        data = validated(DataConfig, {"path": path, **spec.model_dump()})
        validation = ValidationConfig()
    beside = reference_of(schema)
    reference = reference or validation.reference or (beside if os.path.exists(beside) else None)
    if serving and not reference:
        raise ValueError(
            f"--reference: missing, and there is no {beside}; name the statistics of the "
            "model's training data"
        )
    compared = statistics.read(reference) if reference else None
    log(previews.text(data.dataset()))

    with files.atomic_folder(out) if out else contextlib.nullcontext() as folder:
        inspected = local.inspect(
            _accept_all(data, split=not serving), log, recipe.beam if recipe else config.LOCAL_BEAM
        )
        result = check(
            inspected,
            data,
            schema_proto,
            validation,
            schema_path=schema,
            reference=compared,
            environment=checks.SERVING if serving else checks.TRAINING,
        )
        if folder:
            for name, text in (
                (ANOMALIES_PAGE, pages.anomalies_page(result)),
                (STATISTICS_PAGE, pages.statistics_page(inspected.statistics, compared)),
            ):
                files.write(os.path.join(folder, name), text.encode())
    return result


def reference_of(schema: str) -> str:
    """The path of the statistics that belong to a schema."""
    return os.path.splitext(schema)[0] + ".statistics.pb"


def _accept_all(data: DataConfig, *, split: bool) -> DataConfig:
    """The section `data` with settings under which no readable data are refused."""
    update = {
        "on_bad_record": "quarantine",
        # Any fraction: the configuration must be below 1.
        "max_rejected_fraction": math.nextafter(1, 0),
        "on_leak": "keep" if data.on_leak == "fail" else data.on_leak,
    }
    if not split:
        # Not in a recipe, since a run needs both splits.
        update["eval_fraction"] = None
    return data.model_copy(update=update)


def check(
    inspected: Inspection,
    data: DataConfig,
    schema: schema_pb2.Schema,
    validation: ValidationConfig,
    *,
    schema_path: str,
    reference: Statistics | None = None,
    environment: str = checks.TRAINING,
) -> ValidationResult:
    """Everything for which a run would refuse the data, not only the first anomaly.

    Args:
      inspected: statistics, counts and warnings of the data.
      data: the section with the limits on bad records; its path names the data.
      schema: the schema of the data.
      validation: further limits.
      schema_path: names the schema.
      reference: see `checks.validate`.
      environment: see `checks.validate`.
    """
    anomalies = checks.validate(
        inspected.statistics,
        schema,
        inspected.noted,
        validation,
        reference=reference,
        environment=environment,
    )
    refusals = [
        Finding(_BEFORE_SPLITS, pages.RECORDS, "Records refused", text)
        for text in inspected.ledger.refusals(data)
    ]
    counts = inspected.ledger.properties
    del counts["examples"]
    return ValidationResult(
        data=data.path if isinstance(data.path, str) else ", ".join(data.path),
        schema=schema_path,
        examples={
            split: int(each.datasets[0].num_examples)
            for split, each in inspected.statistics.items()
        },
        counts=counts,
        findings=(*refusals, *pages.findings(anomalies)),
        rejected=tuple(inspected.rejected),
    )


def table(result: ValidationResult) -> RenderableType:
    """The numbers and the anomalies for a terminal."""
    numbers = Table("data", escape(result.data))
    for split, count in result.examples.items():
        numbers.add_row(f"examples of {split}", str(count))
    for name, count in result.counts.items():
        numbers.add_row(name, str(count))
    if not result.findings:
        return numbers
    found = Table("split", "feature", "what", "why")
    for finding in result.findings:
        found.add_row(*(Text(text) for text in dataclasses.astuple(finding)))
    return Group(numbers, found)
