"""Files to prepared tf.Examples in splits, on Beam; every record is accounted for."""

import hashlib
import json
import os
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import apache_beam as beam
from apache_beam import pvalue
from apache_beam.options.pipeline_options import DirectOptions, StandardOptions
from apache_beam.transforms.window import GlobalWindows
from tfx.components.example_gen import write_split

from components.data.examples import EVAL_SPLIT, SPLIT_FOLDER, TRAIN_SPLIT
from components.example_gen import ledger, sampling
from components.example_gen.config import DataConfig
from components.example_gen.formats.reader import Reader
from components.example_gen.ledger import Line
from components.example_gen.paths import INSIDE
from components.example_gen.prepare import BadRecordError, Prepared, RawImage, RawRow

# Additional outputs of the transforms below.
_LINES, _NOTES, _EVENTS = "lines", "notes", "events"

# Prefix of the digests by which they are grouped: 4096 groups of many records take less memory
# than many groups of one.
_GROUP_DIGITS = 3

# Of digests and sources of a group that are compressed together: some tens of records.
_PACKED_BYTES = 2048

_BUCKETS = 1000

# Records that are prepared together, and the bytes of files among them that end such a batch.
_BATCH, _BATCH_BYTES = 64, 2**24
_LOCAL_RUNNERS = (None, "DirectRunner", "FnApiRunner")

# A prepared record: input split, source, digest and serialized tf.Example.
Element = tuple[str, str, str, bytes]
# What a worker reads: input split, shard, and the places in it, or None for all.
Piece = tuple[str, Any, Sequence[int] | None]


def buckets_of(config: DataConfig, splits: Sized) -> dict[str, int]:
    """Of 1000 hash buckets, how many each output split has.

    A single split is divided into train and eval, so that a record stays in its split when others
    are added or removed and, unless rows are divided, equal ones are in the same split. Several are
    kept as they are, and so is one without `eval_fraction`; that is an empty dictionary.
    """
    if len(splits) > 1 or config.eval_fraction is None:
        return {}
    held_out = round(config.eval_fraction * _BUCKETS)
    return {TRAIN_SPLIT: _BUCKETS - held_out, EVAL_SPLIT: held_out}


def write_examples(
    pipeline: beam.Pipeline,
    folder: str,
    config: DataConfig,
    base: str,
    splits: Mapping[str, str],
    sample: int = 0,
) -> None:
    """Reads and prepares the records, divides them by their hash, and accounts for all records.

    `folder` gets a folder for each split, `counts.json`, `rejected.jsonl` (records that are not
    among the examples) and `notes.jsonl` (warnings about records that are). TFX's WriteSplit would
    shuffle the examples, and the in-memory runner would hold them all; here only digests, splits
    and sources are shuffled.

    Args:
      pipeline: that runs when its context ends.
      folder: path or URI.
      config: how records are read and prepared.
      base: the folder that patterns are relative to.
      splits: split name to glob patterns, with numbers in place of `{SPAN}` and its kin.
      sample: how many of the records are read, spread over all; 0 for all.
    """
    reader = config.reader()
    shards = reader.shards(base, splits)
    pieces: list[Piece] = [(split, shard, None) for split in shards for shard in shards[split]]
    if sample:
        pieces = list(sampling.choose(reader, shards, sample))
    threads = _threads(pipeline)

    def prepared(once: str) -> pvalue.DoOutputsTuple:
        # Numbered so that a single process always reads in the same order.
        return (
            pipeline
            | f"Shards{once}" >> beam.Create(list(enumerate(pieces)), reshuffle=False)
            | f"Spread{once}" >> beam.GroupByKey()
            | f"Read{once}" >> beam.FlatMap(_read, reader)
            | f"Prepare{once}"
            >> beam.ParDo(_Prepare(config, threads)).with_outputs(
                _LINES, _NOTES, _EVENTS, main="elements"
            )
        )

    found = prepared("")
    decided = (
        found.elements
        | "Key" >> beam.ParDo(_ByDigest()).with_output_types(tuple[str, bytes])
        | "SameContent" >> beam.GroupByKey()
        | "Decide"
        >> beam.ParDo(_Decide(config.drop_duplicates, config.on_leak)).with_outputs(
            _NOTES, _EVENTS, main="dropped"
        )
    )
    elements = found.elements
    if config.drop_duplicates or (config.on_leak == "drop" and len(splits) > 1):
        dropped = pvalue.AsDict(
            decided.dropped | "Dropped" >> beam.Map(lambda line: ((line.split, line.source), 1))
        )
        # Read again: keeping them until the decisions are made would take memory.
        elements = prepared("Again").elements | "Drop" >> beam.Filter(
            lambda element, dropped: element[:2] not in dropped, dropped
        )

    buckets = buckets_of(config, splits)
    names = list(buckets or splits)
    by_row = config.divide_by == "row"
    parts = elements | "Divide" >> beam.Partition(_place, len(names), names, buckets, by_row)
    events = [found[_EVENTS], decided[_EVENTS]]
    for name, part in zip(names, parts, strict=True):
        path = os.path.join(folder, SPLIT_FOLDER + name, write_split.DEFAULT_TF_RECORD_FILE_NAME)
        (
            part
            | f"Example[{name}]" >> beam.Map(lambda element: element[3]).with_output_types(bytes)
            | f"Write[{name}]" >> beam.io.WriteToTFRecord(path, file_name_suffix=".gz")
        )
        event = f"{ledger.EXAMPLES}/{name}"
        events.append(part | f"Event[{name}]" >> beam.ParDo(_CountAs(event)))
    rejected, notes = [found[_LINES], decided.dropped], [found[_NOTES], decided[_NOTES]]
    for kind, lines in ((ledger.REJECTED_FILE, rejected), (ledger.NOTES_FILE, notes)):
        (
            lines
            | f"All[{kind}]" >> beam.Flatten()
            | f"ToJson[{kind}]" >> beam.Map(lambda line: line.to_json())
            | f"Write[{kind}]" >> _one_file(folder, kind)
        )
    (
        events
        | "AllCounts" >> beam.Flatten()
        | "SumCounts" >> beam.CombinePerKey(sum)
        | "Counts" >> beam.combiners.ToList()
        | "ToJson" >> beam.Map(lambda counts: json.dumps(dict(sorted(counts)), indent=2))
        | "WriteCounts" >> _one_file(folder, ledger.COUNTS_FILE)
    )


def _one_file(folder: str, name: str) -> beam.PTransform:
    path = os.path.join(folder, name)
    return beam.io.WriteToText(path, shard_name_template="", num_shards=1)


def bucket_of(digest: str, buckets: dict[str, int]) -> str:
    """The split of a record: a function of its content alone."""
    place = int(digest, 16) % sum(buckets.values())
    for split, size in buckets.items():
        if place < size:
            return split
        place -= size
    raise AssertionError(f"{place} lies beyond {buckets}")


def _threads(pipeline: beam.Pipeline) -> int:
    """How many threads decode images: one a core where Beam runs in this process alone."""
    options = pipeline.options
    alone = (
        options.view_as(StandardOptions).runner in _LOCAL_RUNNERS
        and options.view_as(DirectOptions).direct_num_workers == 1
    )
    return (os.cpu_count() or 1) if alone else 1


def _read(numbered: tuple[int, Iterable[Piece]], reader: Reader) -> Iterator[Any]:
    """The raw records of shards, in batches, each with their input split."""
    for split, shard, places in numbered[1]:
        batch: list[RawImage | RawRow] = []
        size = 0
        for raw in reader.records(shard) if places is None else reader.some(shard, places):
            batch.append(raw)
            if isinstance(raw, RawImage) and isinstance(raw.content, bytes):
                size += len(raw.content)
            if len(batch) == _BATCH or size >= _BATCH_BYTES:
                yield split, batch
                batch, size = [], 0
        if batch:
            yield split, batch


class _Counting(beam.DoFn):
    """Counts events by path, and hands on a number per path and bundle, not a string per event."""

    # The output that numbers go to; None for the main one.
    _output: str | None = _EVENTS

    def start_bundle(self) -> None:
        self._counts: Counter[str] = Counter()

    def finish_bundle(self) -> Iterator[Any]:
        for counted in self._counts.items():
            value = GlobalWindows.windowed_value(counted)
            yield value if self._output is None else pvalue.TaggedOutput(self._output, value)


class _CountAs(_Counting):
    """Counts elements as one event."""

    _output = None

    def __init__(self, event: str) -> None:
        self._event = event

    def process(self, element: Element) -> None:
        self._counts[self._event] += 1


class _Prepare(_Counting):
    """Raw records to elements, lines of REJECTED_FILE and NOTES_FILE, and events."""

    def __init__(self, config: DataConfig, threads: int) -> None:
        self._prepare = config.preparation
        self._spec = config.spec
        self._threads = threads

    def setup(self) -> None:
        # Threads decode at the same time, as Pillow lets go of Python's lock.
        self._pool = ThreadPoolExecutor(self._threads) if self._threads > 1 else None

    def teardown(self) -> None:
        if self._pool:
            self._pool.shutdown()

    # Not annotated more precisely: Beam takes the annotation as the type of the main output.
    def process(self, found: tuple[str, Sequence[RawImage | RawRow]]) -> Iterator[Any]:
        split, batch = found
        self._counts[f"{ledger.INPUTS}/{split}"] += len(batch)
        # Arrays and rows take less time than it takes to hand them to a thread.
        files = isinstance(batch[0], RawImage) and isinstance(batch[0].content, bytes)
        each: Callable = self._pool.map if self._pool and files else map
        for raw, prepared in zip(batch, each(self._try, batch), strict=True):
            yield from self._outputs(split, raw, prepared)

    def _try(self, raw: RawImage | RawRow) -> Prepared | BadRecordError:
        try:
            return self._prepare(raw)
        except BadRecordError as error:
            return error

    def _outputs(
        self, split: str, raw: RawImage | RawRow, prepared: Prepared | BadRecordError
    ) -> Iterator[Any]:
        if isinstance(prepared, BadRecordError):
            self._counts[f"rejected/{split}"] += 1
            line = Line(split, raw.source, ledger.BAD, str(prepared))
            yield pvalue.TaggedOutput(_LINES, line)
            return
        for kind in prepared.notes:
            self._counts[f"noted/{kind}"] += 1
            yield pvalue.TaggedOutput(_NOTES, Line(split, raw.source, kind, kind))
        if prepared.bits:
            self._counts[f"{ledger.BITS}/{prepared.bits}"] += 1
        record = prepared.record
        serialized = self._spec.to_example(record).SerializeToString(deterministic=True)
        yield split, record.source, record.digest, serialized


class _Decide(_Counting):
    """From groups of digests with a common prefix to dropped records, notes and events."""

    def __init__(self, drop_duplicates: bool, on_leak: str) -> None:
        self._drop_duplicates = drop_duplicates
        self._on_leak = on_leak

    def process(self, group: tuple[str, Iterable[bytes]]) -> Iterator[Any]:
        same: dict[str, list[tuple[str, str]]] = {}
        for packed in group[1]:
            fields = zlib.decompress(packed).decode().split("\0")
            for digest, split, source in zip(*[iter(fields)] * 3, strict=False):
                same.setdefault(digest, []).append((split, source))
        for records in same.values():
            decision = ledger.decide(
                records, drop_duplicates=self._drop_duplicates, on_leak=self._on_leak
            )
            for line in decision.dropped:
                self._counts[f"dropped/{line.kind}"] += 1
                yield line
            for line in decision.noted:
                self._counts[f"noted/{line.kind}"] += 1
                yield pvalue.TaggedOutput(_NOTES, line)


class _ByDigest(beam.DoFn):
    """What is shuffled of the records, compressed: an in-memory runner holds it for all of them."""

    def start_bundle(self) -> None:
        self._buffers: dict[str, bytearray] = {}

    def process(self, element: Element) -> Iterator[tuple[str, bytes]]:
        split, source, digest = element[:3]
        key = digest[:_GROUP_DIGITS]
        buffer = self._buffers.setdefault(key, bytearray())
        for field in (digest, split, source):
            buffer += field.encode() + b"\0"
        if len(buffer) >= _PACKED_BYTES:
            yield key, zlib.compress(self._buffers.pop(key))

    def finish_bundle(self) -> Iterator[Any]:
        for key, buffer in self._buffers.items():
            yield GlobalWindows.windowed_value((key, zlib.compress(buffer)))
        self._buffers = {}


def _place(
    element: Element, _: int, names: list[str], buckets: dict[str, int], by_row: bool
) -> int:
    """The index of the output split: that of the input, or a bucket of the hash."""
    split, source, digest = element[:3]
    if by_row:
        # Its number in the file, not the file's name, which may change.
        row = source.rpartition(INSIDE)[2]
        digest = hashlib.sha256(f"{digest} {row}".encode()).hexdigest()
    return names.index(bucket_of(digest, buckets) if buckets else split)
