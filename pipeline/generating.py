"""Many samples of a generator in files, made by Beam."""

import contextlib
import dataclasses
import io
import json
import math
import os
import tarfile
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import tensorflow as tf
from apache_beam.options.pipeline_options import PipelineOptions
from pyarrow import parquet
from rich.console import Console

from components.common import files, grids
from components.common.registry import Registry
from components.data import examples, table_files, vectors
from components.data.columns import Column, values_of
from components.serving import rejection
from components.serving.contract import row_seeds
from components.serving.generator import Generator
from pipeline import samples
from pipeline.pipeline import beam_arguments
from pipeline.progress import shown

# Rows of a file.
SHARD = 1000
# Says what the folder holds, and whether all of it.
RECORD = "generation.json"


@dataclasses.dataclass(frozen=True)
class Part:
    """The rows of one file.

    Attributes:
      first: number of the first row.
      seeds: int64 [n].
      labels: int64 [n]; None for a generator without classes.
      data: uint8 [n, height, width, channels], or codes of rows [n, columns].
      columns: of rows; empty for images.
      categories: of the discrete columns, by name.
    """

    first: int
    seeds: np.ndarray
    labels: np.ndarray | None
    data: np.ndarray
    columns: Sequence[Column]
    categories: Mapping[str, Sequence[str]]

    def array(self, column: Column) -> np.ndarray:
        """The codes [n] of a column."""
        return self.data[:, self.columns.index(column)]

    def rows(self) -> list[tuple[int, int, int | None, np.ndarray]]:
        """Number, seed, label and datum of each row."""
        labels = [None] * len(self.seeds) if self.labels is None else self.labels.tolist()
        numbers = range(self.first, self.first + len(self.seeds))
        return list(zip(numbers, self.seeds.tolist(), labels, self.data, strict=True))


# Writes a part to a path that nobody reads yet; its extension, "" for a folder.
Writer = tuple[str, Callable[[Part, str], None]]
FORMATS: Registry[Writer] = Registry("format")


def _register(name: str, extension: str) -> Callable[[Callable[[Part, str], None]], Any]:
    return lambda write: FORMATS.register(name)((extension, write))


@_register("png", "")
def _write_png(part: Part, path: str) -> None:
    tf.io.gfile.makedirs(path)
    for number, _, _, image in part.rows():
        files.write(os.path.join(path, f"{number:09}.png"), _encoded(image))


@_register("npz", ".npz")
def _write_npz(part: Part, path: str) -> None:
    kind = "images" if part.data.ndim == 4 else "vectors"
    arrays = {kind: part.data, "seeds": part.seeds}
    # What the codes of discrete columns mean.
    arrays |= {f"categories/{name}": np.array(each) for name, each in part.categories.items()}
    if part.labels is not None:
        arrays["labels"] = part.labels
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)
    files.write(path, content.getvalue())


@_register("tfrecord", ".tfrecord.gz")
def _write_tfrecord(part: Part, path: str) -> None:
    with tf.io.TFRecordWriter(path, "GZIP") as writer:
        values = {
            column.name: values_of(part.array(column), column, part.categories)
            for column in part.columns
        }
        for place, (_, seed, label, datum) in enumerate(part.rows()):
            source = f"seed {seed}"
            if datum.ndim == 3:
                example = examples.to_example(examples.from_array(datum, source, label))
            else:
                row = {name: each[place] for name, each in values.items()}
                example = vectors.to_example(vectors.VectorRecord(row, source, label))
            writer.write(example.SerializeToString(deterministic=True))


@_register("parquet", ".parquet")
def _write_parquet(part: Part, path: str) -> None:
    columns: dict[str, Any] = {"seed": part.seeds}
    if part.labels is not None:
        columns["label"] = part.labels
    if part.data.ndim == 4:
        # As data sets of the Hugging Face hub have it.
        columns["image"] = [{"bytes": _encoded(image)} for image in part.data]
    else:
        for column in part.columns:
            columns[column.name] = table_files.array(
                part.array(column), column, part.categories, typed=True
            )
    content = io.BytesIO()
    parquet.write_table(pa.table(columns), content)
    files.write(path, content.getvalue())


@_register("webdataset", ".tar")
def _write_webdataset(part: Part, path: str) -> None:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for number, seed, label, image in part.rows():
            members = {"png": _encoded(image), "json": json.dumps({"seed": seed}).encode()}
            if label is not None:
                members["cls"] = str(label).encode()
            for extension, member in sorted(members.items()):
                # Times and owners stay at 0, so that equal samples are equal files.
                header = tarfile.TarInfo(f"{number:09}.{extension}")
                header.size = len(member)
                archive.addfile(header, io.BytesIO(member))
    files.write(path, content.getvalue())


@dataclasses.dataclass(frozen=True)
class Order:
    """What to make.

    Attributes:
      model: folder of the SavedModel.
      count: number of rows.
      format: a name in FORMATS.
      seed: of the run; rows have the seeds `row_seeds(seed, count)`.
      labels: classes that the rows take in turn; empty for classes as often as in the data.
      truncation: see `Generator.sample`.
      keep: which share of the candidates becomes rows, in (0, 1]: see `rejection.keep`. Below 1,
        rows have the seeds of those that are kept of `row_seeds(seed, candidates)`.
    """

    model: str
    count: int
    format: str
    seed: int = 0
    labels: tuple[int, ...] = ()
    truncation: float | None = None
    keep: float = 1.0

    def candidates(self, count: int) -> int:
        """How many of them `count` rows are chosen from."""
        # Exact for decimal numbers: 30 / 0.3 would need 101.
        return math.ceil(count / Fraction(str(self.keep)))

    def shards(self) -> list[int]:
        """The numbers of their first rows."""
        return list(range(0, self.count, SHARD))

    def rows(self, first: int) -> int:
        """The number of rows of the shard that begins at row `first`."""
        return min(SHARD, self.count - first)

    def path(self, out: str, first: int) -> str:
        """The file, or folder, of the shard that begins at row `first`."""
        extension = FORMATS.get(self.format)[0]
        last = (self.count - 1) // SHARD
        return os.path.join(out, f"samples-{first // SHARD:05}-of-{last + 1:05}{extension}")


def generate(order: Order, out: str, runner: Sequence[str], console: Console | None = None) -> None:
    """Writes the samples to files of 1000 rows in the folder `out`.

    A run that was killed goes on where it stopped, and equal orders write equal bytes, however Beam
    bundles them. The record in the folder says when all is there.

    Args:
      order: what to make.
      out: a path or URI that the workers of Beam can write to.
      runner: Beam's arguments.
      console: where to show progress; None for nowhere.

    Raises:
      FileExistsError: if the folder holds something else.
      ValueError: for an unknown format or one that the model's data do not have, for a seed or a
        count out of range, and as `Generator.sample`.
    """
    FORMATS.get(order.format)
    generator = Generator.load(order.model)
    if generator.kind != "images" and order.format in ("png", "webdataset"):
        raise ValueError(f"--format {order.format}: the model makes {generator.kind}, not images")
    if order.count < 1:
        raise ValueError(f"count: {order.count}, expected 1 or more")
    # What is wrong with the seed, a label or the truncation is so before anything is written.
    if not 0 < order.keep <= 1:
        raise ValueError(f"--keep: {order.keep:g}, expected a share in (0, 1]")
    if order.keep < 1:
        rejection.check(generator)
        if order.truncation is not None:
            raise ValueError("--keep: candidates are scored untruncated; leave out --truncation")
    whole, rest = divmod(order.count, SHARD)
    candidates = whole * order.candidates(SHARD) + order.candidates(rest)
    row_seeds(order.seed, 1, candidates - 1)
    seeds = row_seeds(order.seed, max(1, len(order.labels)))
    generator.sample(seeds, _labels(generator, order, seeds, 0), order.truncation)
    asked = {
        **dataclasses.asdict(order),
        "model": files.digest(order.model, without=["assets", "assets.extra"]),
    }
    if order.keep == 1:
        del asked["keep"]
    record = os.path.join(out, RECORD)
    if tf.io.gfile.exists(record):
        found = json.loads(files.read(record))
        if {**found, "complete": None} != json.loads(json.dumps({**asked, "complete": None})):
            raise FileExistsError(f"{out}: holds other samples; name another --out, or remove it")
    elif tf.io.gfile.isdir(out) and tf.io.gfile.listdir(out):
        raise FileExistsError(f"{out}: is not empty; name another --out")
    files.write(record, json.dumps({**asked, "complete": False}, indent=1).encode())
    options = PipelineOptions(beam_arguments(runner))
    rows = {os.path.basename(order.path(out, at)): order.rows(at) for at in order.shards()}
    progress = shown(out, rows, console) if console else contextlib.nullcontext()
    with progress, beam.Pipeline(options=options) as pipeline:
        _ = (
            pipeline
            | "Shards" >> beam.Create(order.shards())
            | "Spread" >> beam.Reshuffle()
            | "Write" >> beam.ParDo(_Write(order, out))
        )
    files.write(record, json.dumps({**asked, "complete": True}, indent=1).encode())


class _Write(beam.DoFn):
    """Samples and writes shards that are not there yet."""

    def __init__(self, order: Order, out: str) -> None:
        self._order, self._out = order, out
        self._made = beam.metrics.Metrics.counter("generate", "rows")

    def setup(self) -> None:
        self._generator = Generator.load(self._order.model)

    def process(self, first: int) -> None:
        order = self._order
        path = order.path(self._out, first)
        if tf.io.gfile.exists(path):
            return
        seeds = row_seeds(order.seed, order.rows(first), first)
        labels = _labels(self._generator, order, seeds, first)
        if order.keep < 1:
            start = first // SHARD * order.candidates(SHARD)
            offered = row_seeds(order.seed, order.candidates(len(seeds)), start)
            seeds = rejection.keep(self._generator, offered, labels, len(seeds))
        data = self._generator.sample(seeds, labels, order.truncation)
        columns = samples.columns_of(self._generator) if data.ndim == 2 else ()
        part = Part(first, seeds, labels, data, columns, self._generator.categories)
        with files.atomic(path) as temporary:
            FORMATS.get(order.format)[1](part, temporary)
        self._made.inc(len(seeds))


def _labels(generator: Generator, order: Order, seeds: np.ndarray, first: int) -> np.ndarray | None:
    if order.labels:
        return np.array(order.labels)[np.arange(first, first + len(seeds)) % len(order.labels)]
    return generator.draw_labels(seeds) if generator.conditional else None


def _encoded(image: np.ndarray) -> bytes:
    return grids.png(grids.picture(image))
