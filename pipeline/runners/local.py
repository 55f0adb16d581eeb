"""Runs a recipe on this machine: LocalDagRunner, metadata in SQLite, everything under one root."""

import contextlib
import dataclasses
import datetime
import glob
import hashlib
import logging
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

import absl.logging
import tensorflow as tf
from ml_metadata.proto import metadata_store_pb2
from tfx.orchestration.local.local_dag_runner import LocalDagRunner
from tfx.orchestration.pipeline import Pipeline

from components.common import artifact_files, costs, files
from components.common.costs import Cost, Meter
from components.data import notes
from components.data.examples import SPLIT_FOLDER, TRAIN_SPLIT
from components.data_validator import statistics
from components.data_validator.checks import Statistics
from components.example_gen import ledger
from components.example_gen.config import DataConfig
from components.example_gen.ledger import Ledger
from components.tuner import search as tuner_search
from components.tuner import studies
from pipeline import config
from pipeline.pipeline import beam_arguments, create_pipeline, create_search, data_stages
from pipeline.runs import lock, metadata

# Written by StatisticsGen into the folder of a split.
_STATISTICS_FILE = "FeatureStats.pb"
_REJECTED_SHOWN = 20
# Beam and TensorFlow take paths for patterns, in which these characters stand for others.
_PATTERN_SIGNS = "*?[\\"
_STAGE_MESSAGE = re.compile(r"Component (\S+) is (running|finished)\.")


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The result of a run.

    Attributes:
      metrics: name to value, from the evaluation.
      blessed: whether the gate and the infra validation passed.
      reasons: why it was refused; empty if blessed.
      pushed: folder of the pushed version, or None.
      report: the HTML report.
      samples: a PNG file of images, or a CSV file of vectors.
      page: the generator as a page that runs in a browser, or None.
      costs: by stage, in the order in which they ran; None for one that was cached.
    """

    metrics: dict[str, float]
    blessed: bool
    reasons: str
    pushed: str | None
    report: str
    samples: str
    page: str | None
    costs: Mapping[str, Cost | None]


def run(
    recipe: config.Recipe,
    root: str,
    log: Callable[[str], None],
    *,
    use_cache: bool = True,
) -> Outcome:
    """Runs the pipeline once.

    Args:
      recipe: the resolved recipe.
      root: folder for artifacts, metadata, checkpoints, logs and, by default, pushed models.
      log: receives a line when a stage starts and when it ends.
      use_cache: whether stages whose inputs and code are unchanged are skipped.

    Raises:
      BlockingIOError: while another run uses the root.
      ValueError: for a root whose path holds `*`, `?`, `[` or a backslash.
      Exception: whatever the failed stage raised, after `log` received its name.
    """
    with _ran(create_pipeline, recipe, root, log, use_cache=use_cache) as (connection, stages):
        return _outcome(recipe.name, connection, stages)


def search(recipe: config.Recipe, root: str, log: Callable[[str], None]) -> dict[str, str]:
    """Runs the stages up to GANTuner once; a line is logged for each trial too.

    Args:
      recipe, root, log: as of `run`; the recipe has a section `tuner`.

    Returns:
      The folders of GANTuner's outputs by name.

    Raises:
      Exception: as `run`.
    """
    with _ran(create_search, recipe, root, log, use_cache=True) as (connection, _):
        outputs = metadata.last_execution(connection, recipe.name, "GANTuner").outputs
        return {name: artifact.uri for name, artifact in outputs.items()}


@contextlib.contextmanager
def _ran(
    make: Callable[..., Pipeline],
    recipe: config.Recipe,
    root: str,
    log: Callable[[str], None],
    *,
    use_cache: bool,
) -> Iterator[tuple[metadata_store_pb2.ConnectionConfig, Mapping[str, Cost | None]]]:
    """Runs a pipeline, and yields its metadata and costs while the root is still locked."""
    if recipe.tuner:
        studies.require()
    root = os.path.abspath(root)
    _check_writable_by_beam("--root", root)
    os.makedirs(root, exist_ok=True)
    with lock.hold(root), log_to_file(root), _trial_lines(log):
        recipe = pinned(recipe, root)
        connection = metadata.connection_config(os.path.join(root, metadata.DATABASE))
        pipeline = make(
            recipe,
            artifacts=os.path.join(root, "artifacts"),
            state=root,
            enable_cache=use_cache,
            metadata_connection_config=connection,
        )
        with _stage_lines(recipe.name, connection, log) as stages:
            LocalDagRunner().run(pipeline)
        yield connection, stages


@contextlib.contextmanager
def _trial_lines(log: Callable[[str], None]) -> Iterator[None]:
    """Calls `log` as a trial of GANTuner ends."""
    handler = logging.Handler()
    handler.emit = lambda record: log(f"  {record.getMessage()}")  # type: ignore[method-assign]
    logger = logging.getLogger(tuner_search.__name__)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


@dataclasses.dataclass(frozen=True)
class Inspection:
    """What ExampleGen and StatisticsGen report about data.

    Attributes:
      statistics: by split, train first.
      ledger: what became of every record.
      noted: ExampleGen's per-record warnings, by kind.
      rejected: source and reason of the first rejected records.
      whole: of data of which a sample was looked at, by split, about how many examples they have.
    """

    statistics: Mapping[str, Statistics]
    ledger: Ledger
    noted: Mapping[str, notes.Noted]
    rejected: Sequence[tuple[str, str]]
    whole: Mapping[str, int] | None = None


def inspect(
    data: DataConfig,
    log: Callable[[str], None],
    beam: Sequence[str] = config.LOCAL_BEAM,
    root: str | None = None,
    sample: int = 0,
) -> Inspection:
    """Runs ExampleGen and StatisticsGen alone, on all of the data or on a sample.

    Args:
      data: the recipe's section `data`.
      log: receives one line as a stage starts and one as it ends.
      beam: arguments of the Beam runner.
      root: folder for what they write; by default a temporary one.
      sample: how many of the records are read, spread over all; 0 for all.

    Raises:
      FileNotFoundError, ValueError: for data that are missing, unreadable or refused.
    """
    name, place = ("--root", root) if root else ("TMPDIR", tempfile.gettempdir())
    _check_writable_by_beam(name, os.path.abspath(place))
    with contextlib.ExitStack() as stack:
        folder = root or stack.enter_context(tempfile.TemporaryDirectory(prefix="tfx-gan-"))
        stack.enter_context(log_to_file(folder))
        connection = metadata.connection_config(os.path.join(folder, metadata.DATABASE))
        find_data, example_gen, statistics_gen = data_stages(data, sample)
        pipeline = Pipeline(
            pipeline_name="data",
            pipeline_root=os.path.join(folder, "artifacts"),
            components=[find_data, example_gen, statistics_gen],
            beam_pipeline_args=beam_arguments(beam),
            metadata_connection_config=connection,
        )
        with _stage_lines("data", connection, log):
            LocalDagRunner().run(pipeline)
        examples, counted = (
            metadata.last_execution(connection, "data", stage.id).outputs[key].uri
            for stage, key in ((example_gen, "examples"), (statistics_gen, "statistics"))
        )
        names = [name.removeprefix(SPLIT_FOLDER) for name in os.listdir(counted)]
        return Inspection(
            {
                split: statistics.read(
                    os.path.join(counted, SPLIT_FOLDER + split, _STATISTICS_FILE)
                )
                for split in sorted(names, key=lambda split: (split != TRAIN_SPLIT, split))
            },
            Ledger.of(examples),
            notes.read(examples),
            ledger.first_rejected(examples, _REJECTED_SHOWN),
        )


def _check_writable_by_beam(name: str, folder: str) -> None:
    """Raises ValueError, naming the character, for a folder below which stages cannot write."""
    for sign in _PATTERN_SIGNS:
        if sign in folder:
            raise ValueError(
                f"{name}: {folder}: the path holds {sign}, which stages take for a pattern; "
                "choose a folder without *, ?, [ and \\"
            )


def _outcome(
    name: str,
    connection: metadata_store_pb2.ConnectionConfig,
    stages: Mapping[str, Cost | None],
) -> Outcome:
    def outputs(stage: str) -> dict[str, metadata.Artifact]:
        return metadata.last_execution(connection, name, stage).outputs

    evaluator, pusher = outputs("GANEvaluator"), outputs("Pusher")
    evaluation, blessing = evaluator["evaluation"], evaluator["blessing"]
    (samples,) = glob.glob(os.path.join(glob.escape(evaluation.uri), "samples.*"))
    page = os.path.join(evaluation.uri, artifact_files.PAGE)
    infra = outputs("InfraValidator")["blessing"]
    pushed = pusher["pushed_model"].properties
    reasons = [
        str(verdict.properties.get("reasons", ""))
        for verdict in (blessing, infra)
        if not verdict.properties["blessed"]
    ]
    return Outcome(
        metrics={
            name: value for name, value in evaluation.properties.items() if isinstance(value, float)
        },
        blessed=not reasons,
        reasons="; ".join(reasons),
        pushed=str(pushed["pushed_destination"]) if pushed["pushed"] else None,
        report=os.path.join(evaluation.uri, artifact_files.REPORT),
        samples=samples,
        page=page if os.path.exists(page) else None,
        costs=stages,
    )


@contextlib.contextmanager
def log_to_file(root: str) -> Iterator[None]:
    """Sends the log of TFX, Beam and TensorFlow to logs/<time>.log.

    Warnings of this project's stages also go to the terminal.
    """
    folder = os.path.join(root, "logs")
    os.makedirs(folder, exist_ok=True)
    file = logging.FileHandler(
        os.path.join(folder, time.strftime("%Y%m%d-%H%M%S.log")), encoding="utf-8"
    )
    file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    terminal = logging.StreamHandler()
    terminal.setLevel(logging.WARNING)
    terminal.addFilter(logging.Filter("components"))
    terminal.setFormatter(logging.Formatter("  %(message)s"))
    logger = logging.getLogger()
    handlers, level = logger.handlers, logger.level
    logger.handlers = [file, terminal]
    logger.setLevel(logging.INFO)
    absl.logging.set_verbosity(absl.logging.INFO)
    tf.get_logger().handlers.clear()
    logging.captureWarnings(capture=True)
    try:
        yield
    finally:
        logging.captureWarnings(capture=False)
        logger.handlers = handlers
        logger.setLevel(level)
        file.close()


@contextlib.contextmanager
def _stage_lines(
    name: str, connection: metadata_store_pb2.ConnectionConfig, log: Callable[[str], None]
) -> Iterator[Mapping[str, Cost | None]]:
    """Calls `log` as stages start and end, and notes and yields their costs, as in `Outcome`.

    LocalDagRunner has no hook for this, but its log messages are the same on both lanes.
    """
    run = datetime.datetime.now().isoformat()
    running: dict[str, Meter] = {}
    ended: dict[str, Cost | None] = {}

    def watch(record: logging.LogRecord) -> bool:
        match = _STAGE_MESSAGE.fullmatch(record.getMessage())
        if match and match[2] == "running":
            running[match[1]] = Meter()
            log(f"{match[1]} …")
        elif match:
            cost = running.pop(match[1]).read(run)
            noted = metadata.note_cost(connection, name, match[1], cost)
            ended[match[1]] = cost if noted else None
            log(f"{match[1]} {f'done, {cost}' if noted else 'cached'}")
        return True

    logger = absl.logging.get_absl_logger()
    logger.addFilter(watch)
    try:
        with _variable(costs.RUN, run):
            yield ended
    except BaseException as error:
        how = "failed" if isinstance(error, Exception) else "stopped"
        for stage, meter in running.items():
            log(f"{stage} {how}, {meter.read()}")
        raise
    finally:
        logger.removeFilter(watch)


@contextlib.contextmanager
def _variable(name: str, value: str) -> Iterator[None]:
    """Sets a variable of the environment, which tells stages what they are in a pod too."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def pinned(recipe: config.Recipe, root: str) -> config.Recipe:
    """The recipe with a copy of its reference statistics, named by their content.

    Cache keys hold only paths, so an edited file would not be read again.
    """
    path = recipe.validation.reference
    if path is None:
        return recipe
    content = files.read(path)
    digest = hashlib.sha256(content).hexdigest()[:16]
    copy = os.path.join(root, "references", digest, "statistics.pb")
    if not os.path.exists(copy):
        files.write(copy, content)
    return recipe.with_section("validation", reference=copy)
