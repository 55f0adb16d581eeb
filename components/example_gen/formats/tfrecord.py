"""TFRecord files of tf.Examples, plain or gzipped."""

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

import tensorflow as tf
from google.protobuf.message import DecodeError

from components.data import examples
from components.example_gen.formats.reader import Reader
from components.example_gen.paths import INSIDE, open_file
from components.example_gen.prepare import RawImage

# The default names: this project's, then those that others often use.
_IMAGE_FEATURES = (examples.ENCODED, "image", "image_raw")
_LABEL_FEATURES = (examples.LABEL, "label", "class")
_GZIP_MAGIC = b"\x1f\x8b"

# A file's path, and its path relative to the data's folder.
Records = tuple[str, str]


class TFRecordReader(Reader[Records]):
    """tf.Examples with one encoded image each, and a whole number as label.

    `features` names them; the first default is `{image: image/encoded, label: image/class/label}`.
    """

    options: ClassVar[frozenset[str]] = frozenset({"features"})
    pattern: ClassVar[re.Pattern[str]] = re.compile(r".*tfrec.*", re.IGNORECASE)
    kind: ClassVar[str] = "TFRecord file"

    def count(self, shards: Sequence[Records]) -> int:
        """Reads all files, without parsing."""
        return sum(1 for path, _ in shards for _ in _serialized(path))

    def shards(self, base: str, splits: Mapping[str, str]) -> dict[str, list[Records]]:
        return {
            split: [(file, posixpath.relpath(file, base)) for file in files]
            for split, files in self.files(base, splits).items()
        }

    def records(self, shard: Records) -> Iterator[RawImage]:
        path, name = shard
        for index, serialized in enumerate(_serialized(path)):
            source = f"{name}{INSIDE}{index}"
            try:
                example = tf.train.Example.FromString(serialized)
                content = self._content(example)
                label = self._label(example)
            except (ValueError, DecodeError) as error:
                yield RawImage(b"", source, error=f"not a tf.Example of an image ({error})")
            else:
                yield RawImage(content, source, label)

    def _content(self, example: tf.train.Example) -> bytes:
        name, values = _first(example, self.features.get("image"), _IMAGE_FEATURES)
        found = values.bytes_list.value
        if len(found) != 1:
            raise ValueError(f"the feature {name!r} holds {len(found)} byte strings, expected 1")
        return found[0]

    def _label(self, example: tf.train.Example) -> int | None:
        wanted = self.features.get("label")
        if wanted is None and not any(name in example.features.feature for name in _LABEL_FEATURES):
            return None
        name, values = _first(example, wanted, _LABEL_FEATURES)
        found = values.int64_list.value
        if len(found) != 1 or found[0] < 0:
            raise ValueError(
                f"the feature {name!r} holds {list(found[:3]) or 'no whole number'}, "
                "expected one label from 0"
            )
        return found[0]


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


def _serialized(path: str) -> Iterator[bytes]:
    with open_file(path) as file:
        compression = "GZIP" if file.read(2) == _GZIP_MAGIC else ""
    count = 0
    try:
        for record in tf.data.TFRecordDataset(path, compression):
            yield record.numpy()
            count += 1
    except (tf.errors.DataLossError, tf.errors.OutOfRangeError) as error:
        raise ValueError(
            f"{path}: not a whole TFRecord file: damaged after {count} records; fetch it again"
        ) from error
