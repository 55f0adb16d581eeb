"""Files in, split and prepared tf.Examples out, on Beam, with an account of every record."""

import json
import logging
import os
from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
from apache_beam import pvalue
from google.protobuf import struct_pb2
from tfx import types
from tfx.components.example_gen.base_example_gen_executor import BaseExampleGenExecutor
from tfx.proto import example_gen_pb2
from tfx.types import artifact_utils
from tfx.utils import proto_utils

from components import examples
from components.example_gen import ledger
from components.example_gen.config import DataConfig
from components.example_gen.ledger import Line
from components.example_gen.prepare import BadImageError, Preparation, RawImage, prepare

_log = logging.getLogger(__name__)

# Outputs of the transforms below, besides the main one.
_LINES, _NOTES, _EVENTS = "lines", "notes", "events"

# A prepared image: input split, source, digest and serialized tf.Example.
Element = tuple[str, str, str, bytes]


class Executor(BaseExampleGenExecutor):
    """Reads and prepares the images, divides them by their hash, and accounts for all records.

    The folder of the examples gets `counts.json`, `rejected.jsonl` (what is not among the examples)
    and `notes.jsonl` (what is, but is remarkable); the counts are custom properties of the
    artifact too.
    """

    def Do(  # noqa: N802
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Fills the artifact `examples`.

        Raises:
          ValueError: naming records, for data that the recipe's section `data` does not accept.
        """
        artifact = artifact_utils.get_single_instance(output_dict["examples"])
        self._folder = artifact.uri
        super().Do(input_dict, output_dict, exec_properties)

        found = ledger.Ledger.of(artifact.uri)
        for name, count in found.properties.items():
            artifact.set_int_custom_property(name, count)
        told = ", ".join(f"{count} {name}" for name, count in found.properties.items())
        _log.info("ImageExampleGen: %d records read: %s", found.count(ledger.INPUTS), told)
        config = read_config(exec_properties["custom_config"])
        found.check(config, artifact_utils.decode_split_names(artifact.split_names))
        for line in found.rejected:
            _log.warning("set aside: %s: %s", line.source, line.reason)

    def GetInputSourceToExamplePTransform(self) -> beam.PTransform:  # noqa: N802
        """Not used: classes, duplicates and leaks are matters of all splits together."""
        raise NotImplementedError

    def GenerateExamplesByBeam(  # noqa: N802
        self, pipeline: beam.Pipeline, exec_properties: dict[str, Any]
    ) -> dict[str, beam.PCollection]:
        """Serialized tf.Examples by output split."""
        config = read_config(exec_properties["custom_config"])
        inputs, output = example_gen_pb2.Input(), example_gen_pb2.Output()
        proto_utils.json_to_proto(exec_properties["input_config"], inputs)
        proto_utils.json_to_proto(exec_properties["output_config"], output)
        splits = {split.name: split.pattern for split in inputs.splits}
        buckets = {split.name: split.hash_buckets for split in output.split_config.splits}
        reader = config.reader()
        shards = reader.shards(exec_properties["input_base"], splits)
        how = config.preparation

        elements, lines, notes, events = [], [], [], []
        for split in splits:
            prepared = (
                pipeline
                | f"Shards[{split}]" >> beam.Create(shards[split], reshuffle=False)
                | f"Spread[{split}]" >> beam.Reshuffle()
                | f"Read[{split}]" >> beam.FlatMap(reader.records)
                | f"Prepare[{split}]"
                >> beam.ParDo(_Prepare(split, how)).with_outputs(
                    _LINES, _NOTES, _EVENTS, main="elements"
                )
            )
            elements.append(prepared.elements)
            lines.append(prepared[_LINES])
            notes.append(prepared[_NOTES])
            events.append(prepared[_EVENTS])
        judged = (
            [
                each | f"Key[{split}]" >> beam.Map(_by_digest)
                for split, each in zip(splits, elements, strict=True)
            ]
            | "AllKeys" >> beam.Flatten()
            | "SamePixels" >> beam.GroupByKey()
            | "Judge"
            >> beam.ParDo(_Judge(config.drop_duplicates, config.on_leak)).with_outputs(
                _NOTES, _EVENTS, main="dropped"
            )
        )
        lines.append(judged.dropped)
        notes.append(judged[_NOTES])
        events.append(judged[_EVENTS])
        if config.drop_duplicates or config.on_leak == "drop":
            dropped = pvalue.AsDict(
                judged.dropped | "Dropped" >> beam.Map(lambda line: ((line.split, line.source), 1))
            )
            elements = [
                each | f"Drop[{split}]" >> beam.Filter(_is_kept, dropped)
                for split, each in zip(splits, elements, strict=True)
            ]

        result = _divided(elements, splits, buckets)
        for split, each in result.items():
            event = f"{ledger.EXAMPLES}/{split}"
            events.append(each | f"Count[{split}]" >> beam.Map(lambda _, event=event: event))
        self._write_lines(lines, ledger.REJECTED_FILE)
        self._write_lines(notes, ledger.NOTES_FILE)
        (
            events
            | "AllEvents" >> beam.Flatten()
            | "CountEvents" >> beam.combiners.Count.PerElement()
            | "Counts" >> beam.combiners.ToList()
            | "ToJson" >> beam.Map(lambda counts: json.dumps(dict(sorted(counts)), indent=2))
            | "WriteCounts" >> self._one_file(ledger.COUNTS_FILE)
        )
        return result

    def _write_lines(self, lines: list[beam.PCollection], name: str) -> None:
        (
            lines
            | f"All[{name}]" >> beam.Flatten()
            | f"ToJson[{name}]" >> beam.Map(lambda line: line.to_json())
            | f"Write[{name}]" >> self._one_file(name)
        )

    def _one_file(self, name: str) -> beam.PTransform:
        path = os.path.join(self._folder, name)
        return beam.io.WriteToText(path, shard_name_template="", num_shards=1)


def read_config(custom_config: str) -> DataConfig:
    """The section `data` that the component packed."""
    return DataConfig.from_reading(read_values(custom_config)["data"])


def read_values(custom_config: str) -> struct_pb2.Struct:
    """What the component packed."""
    custom = example_gen_pb2.CustomConfig()
    proto_utils.json_to_proto(custom_config, custom)
    values = struct_pb2.Struct()
    custom.custom_config.Unpack(values)
    return values


def bucket_of(digest: str, buckets: dict[str, int]) -> str:
    """The split of an image: a function of its pixels alone."""
    place = int(digest, 16) % sum(buckets.values())
    for split, size in buckets.items():
        if place < size:
            return split
        place -= size
    raise AssertionError(f"{place} lies beyond {buckets}")


class _Prepare(beam.DoFn):
    """Raw images to elements, lines of REJECTED_FILE and NOTES_FILE, and events."""

    def __init__(self, split: str, how: Preparation) -> None:
        self._split = split
        self._how = how

    # Elements and tagged outputs; Beam would take the annotation for the type of the main output.
    def process(self, raw: RawImage) -> Iterator[Any]:
        yield _event(ledger.INPUTS, self._split)
        try:
            prepared = prepare(raw, self._how)
        except BadImageError as error:
            yield _event("rejected", self._split)
            line = Line(self._split, raw.source, ledger.BAD, str(error))
            yield pvalue.TaggedOutput(_LINES, line)
            return
        for kind in prepared.notes:
            yield _event("noted", kind)
            yield pvalue.TaggedOutput(_NOTES, Line(self._split, raw.source, kind, kind))
        record = prepared.record
        serialized = examples.to_example(record).SerializeToString(deterministic=True)
        yield self._split, record.source, record.digest, serialized


class _Judge(beam.DoFn):
    """The records of one image to those that are dropped, notes and events."""

    def __init__(self, drop_duplicates: bool, on_leak: str) -> None:
        self._options = {"drop_duplicates": drop_duplicates, "on_leak": on_leak}

    def process(self, group: tuple[str, Iterable[tuple[str, str]]]) -> Iterator[Any]:
        judgement = ledger.judge(group[1], **self._options)
        for line in judgement.dropped:
            yield _event("dropped", line.kind)
            yield line
        for line in judgement.noted:
            yield _event("noted", line.kind)
            yield pvalue.TaggedOutput(_NOTES, line)


def _event(*path: str) -> pvalue.TaggedOutput:
    return pvalue.TaggedOutput(_EVENTS, "/".join(path))


def _by_digest(element: Element) -> tuple[str, tuple[str, str]]:
    split, source, digest, _ = element
    return digest, (split, source)


def _is_kept(element: Element, dropped: dict[tuple[str, str], int]) -> bool:
    return element[:2] not in dropped


def _divided(
    elements: list[beam.PCollection], splits: Iterable[str], buckets: dict[str, int]
) -> dict[str, beam.PCollection]:
    """Serialized tf.Examples by output split: those of the input, or buckets of the hash."""
    if buckets:
        names = list(buckets)
        (every,) = elements
        parts = every | "Divide" >> beam.Partition(
            lambda element, _: names.index(bucket_of(element[2], buckets)), len(names)
        )
    else:
        names, parts = list(splits), elements
    return {
        name: part | f"Example[{name}]" >> beam.Map(_serialized).with_output_types(bytes)
        for name, part in zip(names, parts, strict=True)
    }


def _serialized(element: Element) -> bytes:
    return element[3]
