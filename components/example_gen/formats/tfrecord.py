"""TFRecord files of tf.Examples, plain or gzipped."""

import contextlib
import dataclasses
import io
import itertools
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import ClassVar

import tensorflow as tf
from google.protobuf.message import DecodeError

from components.data import examples
from components.example_gen.formats.classes import (
    Class,
    as_class_of_number,
    as_classes,
    names_of_numbers,
)
from components.example_gen.formats.reader import Reader
from components.example_gen.paths import INSIDE, open_file
from components.example_gen.prepare import RawImage

# The default names: this project's, then those that others often use.
_IMAGE_FEATURES = (examples.ENCODED, "image", "image_raw")
_LABEL_FEATURES = (examples.LABEL, "label", "class", examples.CLASS_NAME)
_GZIP_MAGIC = b"\x1f\x8b"
_LENGTH_BYTES = 8
# Around a record: its length, and two checksums.
_AROUND_BYTES = 16

# Records of a file among which the first image is searched.
_SEARCHED = 64


@dataclasses.dataclass(frozen=True)
class Records:
    """A file of records.

    Attributes:
      path: of the file.
      source: its path relative to the data's folder.
      labelled: whether the data have labels, as the first image of a file tells.
      classes: by name, if they have.
    """

    path: str
    source: str
    labelled: bool = False
    classes: Mapping[str, Class] = dataclasses.field(default_factory=dict)


class TFRecordReader(Reader[Records]):
    """tf.Examples with one encoded image each, and a whole number or a name as label.

    `features` names them; the first default is `{image: image/encoded, label: image/class/label}`.
    All records need a label if the first image of any file has one, else none may have one.
    """

    options: ClassVar[frozenset[str]] = frozenset({"features"})
    # Names vary, so that what lies beside the files is told by its extension.
    pattern: ClassVar[re.Pattern[str]] = re.compile(
        r"(?!.*\.(index|idx|md|rst|txt|json|pbtxt|csv|html?|ya?ml|py|ipynb|sh)$).*tfrec.*",
        re.IGNORECASE,
    )
    kind: ClassVar[str] = "TFRecord file"

    def count(self, shards: Sequence[Records]) -> int:
        """Reads all files, without parsing."""
        return sum(1 for shard in shards for _ in _serialized(shard.path))

    def shards(self, base: str, splits: Mapping[str, str]) -> dict[str, list[Records]]:
        found = self.files(base, splits)
        paths = [path for files in found.values() for path in files]
        labelled = any(map(self._has_label, paths))
        classes = self._classes(paths) if labelled else {}
        return {
            split: [
                Records(file, posixpath.relpath(file, base), labelled, classes) for file in files
            ]
            for split, files in found.items()
        }

    def _classes(self, paths: Iterable[str]) -> dict[str, Class]:
        """The classes of all records; reads all files."""
        names: set[str] = set()
        for serialized in itertools.chain.from_iterable(map(_serialized, paths)):
            # What is wrong with a record is said where it is read.
            with contextlib.suppress(ValueError, DecodeError):
                label = self._label(tf.train.Example.FromString(serialized))
                names |= {label} if isinstance(label, str) else names_of_numbers([label])
        return as_classes(names)

    def _has_label(self, path: str) -> bool:
        """Whether the first image of a file has a label."""
        for serialized in itertools.islice(_serialized(path), _SEARCHED):
            try:
                example = tf.train.Example.FromString(serialized)
                self._content(example)
            except (ValueError, DecodeError):
                continue
            known = example.features.feature
            return any(name in known for name in self._label_names)
        return False

    @property
    def _label_names(self) -> Sequence[str]:
        wanted = self.features.get("label")
        return [wanted] if wanted else _LABEL_FEATURES

    def records(self, shard: Records) -> Iterator[RawImage]:
        for index, serialized in enumerate(_serialized(shard.path)):
            source = f"{shard.source}{INSIDE}{index}"
            try:
                example = tf.train.Example.FromString(serialized)
                content = self._content(example)
                of = self._class(example, shard)
            except (ValueError, DecodeError) as error:
                yield RawImage(b"", source, error=f"not a tf.Example of an image ({error})")
            else:
                yield RawImage(content, source, of.label, class_name=of.name)

    def _content(self, example: tf.train.Example) -> bytes:
        name, values = _first(example, self.features.get("image"), _IMAGE_FEATURES)
        found = values.bytes_list.value
        if len(found) != 1:
            raise ValueError(f"the feature {name!r} holds {len(found)} byte strings, expected 1")
        return found[0]

    def _class(self, example: tf.train.Example, shard: Records) -> Class:
        names = [name for name in self._label_names if name in example.features.feature]
        if "label" not in self.features and not shard.labelled:
            if names:
                raise ValueError(
                    f"the feature {names[0]!r} is a label, the first image has none; label all "
                    "or none"
                )
            return Class()
        label = self._label(example)
        if isinstance(label, str):
            return shard.classes[label]
        return as_class_of_number(label, f"the feature {names[0]!r}", shard.classes)

    def _label(self, example: tf.train.Example) -> int | str:
        """The label of a record, a number or a name; ValueError if it has none, or several."""
        wanted = self.features.get("label")
        if wanted is None and not any(name in example.features.feature for name in _LABEL_FEATURES):
            raise ValueError(
                f"no label in {' or '.join(_LABEL_FEATURES)}, others have one; label all or none"
            )
        name, values = _first(example, wanted, _LABEL_FEATURES)
        found = [*values.int64_list.value, *values.bytes_list.value]
        if len(found) != 1:
            held = found[:3] or "no whole number or name"
            raise ValueError(f"the feature {name!r} holds {held}, expected one label")
        if isinstance(found[0], int):
            return found[0]
        try:
            label = found[0].decode().strip()
        except UnicodeDecodeError as error:
            raise ValueError(f"the feature {name!r} holds {found[0]!r}, not UTF-8") from error
        if not label:
            raise ValueError(f"the feature {name!r} holds an empty label")
        return label


class ExamplesReader(TFRecordReader):
    """The examples that ExampleGen writes: their classes are numbered, and stay so."""

    def _classes(self, paths: Iterable[str]) -> dict[str, Class]:
        return {}

    def _class(self, example: tf.train.Example, shard: Records) -> Class:
        if not shard.labelled:
            return super()._class(example, shard)
        label = self._label(example)
        assert isinstance(label, int)  # As ExampleGen writes them.
        names = example.features.feature[examples.CLASS_NAME].bytes_list.value
        return Class(label, names[0].decode() if names and names[0] else None)


def _first(
    example: tf.train.Example, wanted: str | None, usual: Sequence[str]
) -> tuple[str, tf.train.Feature]:
    """The wanted feature, or the first of the usual ones."""
    known = example.features.feature
    for name in [wanted] if wanted else usual:
        if name in known:
            return name, known[name]
    listed = ", ".join(sorted(known)) or "none"
    raise ValueError(
        f"no feature {wanted or ' or '.join(usual)}, only {listed}; data.features names them"
    )


def _compression(path: str) -> tuple[str, int]:
    """The compression of a file, from its first bytes; and its size in bytes."""
    with open_file(path) as file:
        head = file.read(_LENGTH_BYTES)
        size = file.seek(0, io.SEEK_END)
    if head.startswith(_GZIP_MAGIC):
        return "GZIP", size
    # Without compression, these bytes are the length of the first record.
    plausible = int.from_bytes(head, "little") < size
    zlib_header = head[:1] == b"\x78" and int.from_bytes(head[:2], "big") % 31 == 0
    return "ZLIB" if zlib_header and not plausible else "", size


def _serialized(path: str) -> Iterator[bytes]:
    count = read = 0
    compression, size = _compression(path)
    try:
        for record in tf.data.TFRecordDataset(path, compression):
            content = record.numpy()
            yield content
            count += 1
            read += len(content) + _AROUND_BYTES
        # To TensorFlow, a file that is cut in the length of a record ends before it.
        if not compression and read < size:
            raise tf.errors.DataLossError(None, None, "bytes that are no record")
    except (tf.errors.DataLossError, tf.errors.OutOfRangeError) as error:
        what = f"damaged after {count} records; fetch it again"
        if not count:
            what = "damaged from its start; fetch it again, or move it if it is none"
        raise ValueError(f"{path}: not a whole TFRecord file: {what}") from error
