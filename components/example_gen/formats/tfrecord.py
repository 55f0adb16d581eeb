"""TFRecord files of tf.Examples, plain or gzipped."""

import dataclasses
import io
import itertools
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

import tensorflow as tf
from google.protobuf.message import DecodeError

from components.data import examples
from components.example_gen.formats.classes import check_label
from components.example_gen.formats.reader import Reader
from components.example_gen.paths import INSIDE, open_file
from components.example_gen.prepare import RawImage

# The default names: this project's, then those that others often use.
_IMAGE_FEATURES = (examples.ENCODED, "image", "image_raw")
_LABEL_FEATURES = (examples.LABEL, "label", "class")
_CLASS_NAME = examples.CLASS_NAME
_GZIP_MAGIC = b"\x1f\x8b"
_LENGTH_BYTES = 8

# Records of a file among which the first image is searched.
_SEARCHED = 64


@dataclasses.dataclass(frozen=True)
class Records:
    """A file of records.

    Attributes:
      path: of the file.
      source: its path relative to the data's folder.
      labelled: whether the data have labels, as the first image of a file tells.
    """

    path: str
    source: str
    labelled: bool = False


class TFRecordReader(Reader[Records]):
    """tf.Examples with one encoded image each, and a whole number as label.

    `features` names them; the first default is `{image: image/encoded, label: image/class/label}`.
    All records need a label if the first image of any file has one, else none may have one.
    """

    options: ClassVar[frozenset[str]] = frozenset({"features"})
    pattern: ClassVar[re.Pattern[str]] = re.compile(r".*tfrec.*", re.IGNORECASE)
    kind: ClassVar[str] = "TFRecord file"

    def count(self, shards: Sequence[Records]) -> int:
        """Reads all files, without parsing."""
        return sum(1 for shard in shards for _ in _serialized(shard.path))

    def shards(self, base: str, splits: Mapping[str, str]) -> dict[str, list[Records]]:
        found = self.files(base, splits)
        paths = [path for files in found.values() for path in files]
        labelled = any(map(self._has_label, paths))
        return {
            split: [Records(file, posixpath.relpath(file, base), labelled) for file in files]
            for split, files in found.items()
        }

    def _has_label(self, path: str) -> bool:
        """Whether the first image of a file has a label."""
        for serialized in itertools.islice(_serialized(path), _SEARCHED):
            try:
                example = tf.train.Example.FromString(serialized)
                self._content(example)
            except (ValueError, DecodeError):
                continue
            known = example.features.feature
            if any(name in known for name in self._label_names):
                return True
            if _CLASS_NAME in known:
                self.remark(
                    f"left out: the class names in {_CLASS_NAME}; labels are whole numbers in "
                    f"{' or '.join(self._label_names)} (data.features.label)"
                )
            return False
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
                label = self._label(example, shard.labelled)
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

    def _label(self, example: tf.train.Example, labelled: bool) -> int | None:
        wanted = self.features.get("label")
        names = [name for name in self._label_names if name in example.features.feature]
        if wanted is None and not labelled:
            if names:
                raise ValueError(
                    f"the feature {names[0]!r} is a label, the first image has none; label all "
                    "or none"
                )
            return None
        if not names and wanted is None:
            raise ValueError(
                f"no label in {' or '.join(_LABEL_FEATURES)}, others have one; label all or none"
            )
        name, values = _first(example, wanted, _LABEL_FEATURES)
        found = values.int64_list.value
        if len(found) != 1:
            text = values.bytes_list.value[:1]
            held = list(found[:3]) or (text and repr(text[0])) or "no whole number"
            raise ValueError(f"the feature {name!r} holds {held}, expected one label from 0")
        check_label(found[0], f"the feature {name!r}")
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


def _compression(path: str) -> str:
    """The compression of a file, from its first bytes."""
    with open_file(path) as file:
        head = file.read(_LENGTH_BYTES)
        size = file.seek(0, io.SEEK_END)
    if head.startswith(_GZIP_MAGIC):
        return "GZIP"
    # Without compression, these bytes are the length of the first record.
    plausible = int.from_bytes(head, "little") < size
    zlib_header = head[:1] == b"\x78" and int.from_bytes(head[:2], "big") % 31 == 0
    return "ZLIB" if zlib_header and not plausible else ""


def _serialized(path: str) -> Iterator[bytes]:
    count = 0
    try:
        for record in tf.data.TFRecordDataset(path, _compression(path)):
            yield record.numpy()
            count += 1
    except (tf.errors.DataLossError, tf.errors.OutOfRangeError) as error:
        what = f"damaged after {count} records; fetch it again"
        if not count:
            what = "damaged from its start; fetch it again, or move it if it is none"
        raise ValueError(f"{path}: not a whole TFRecord file: {what}") from error
