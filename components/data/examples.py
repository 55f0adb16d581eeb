"""The tf.Example contract that all stages share: feature names, writing, reading.

One example is one image, stored losslessly, with its metadata. ExampleGen rejects images that do
not decode; an example that is marked so nevertheless (`image/decode_ok` 0) is an error.
"""

import dataclasses
import hashlib
import math
import struct
import tempfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import tensorflow as tf

ENCODED = "image/encoded"
HEIGHT = "image/height"
WIDTH = "image/width"
CHANNELS = "image/channels"
LABEL = "image/class/label"
CLASS_NAME = "image/class/text"
SOURCE = "image/source"
DECODE_OK = "image/decode_ok"
MEAN = "image/mean"
CONTRAST = "image/contrast"
BLANK = "image/blank"
HASH = "image/hash"

# TFX's prefix of the folder of a split.
SPLIT_FOLDER = "Split-"
TRAIN_SPLIT = "train"
EVAL_SPLIT = "eval"

# Values of BLANK: every pixel is 0, every pixel is 255, all have one colour, or neither.
BLACK, WHITE, PLAIN, NOT_BLANK = "black", "white", "plain", "no"

# The label of an example without one.
NO_LABEL = -1
_HASH_DIGITS = 16
# PNG (RFC 2083): its signature, colour types by number of channels, a filter, and zlib's fastest
# level, which takes a third of the time of the default one and a few per cent more bytes.
_PNG = b"\x89PNG\r\n\x1a\n"
_COLOUR_TYPES = {1: 0, 3: 2}
_SUB_FILTER = 1
_LEVEL = 1
# Size of the decoded images written at a time.
_BATCH_BYTES = 2**24
_FEATURES = {
    ENCODED: tf.io.FixedLenFeature([], tf.string),
    HEIGHT: tf.io.FixedLenFeature([], tf.int64),
    WIDTH: tf.io.FixedLenFeature([], tf.int64),
    CHANNELS: tf.io.FixedLenFeature([], tf.int64),
    LABEL: tf.io.FixedLenFeature([], tf.int64, default_value=NO_LABEL),
    CLASS_NAME: tf.io.FixedLenFeature([], tf.string, default_value=""),
    SOURCE: tf.io.FixedLenFeature([], tf.string),
    DECODE_OK: tf.io.FixedLenFeature([], tf.int64),
}


@dataclasses.dataclass(frozen=True)
class ImageRecord:
    """One image before it becomes a tf.Example.

    Attributes:
      encoded: PNG bytes.
      height, width, channels: in pixels and colour bands; 0 where the bytes do not decode.
      source: origin, e.g. `coats/17.png` or `train-images-idx3-ubyte.gz#17`.
      label: the class, from 0, or None.
      class_name: name of the class, or None if it has only a number.
      decode_ok: whether `encoded` decodes to the last row.
      mean, contrast: mean and standard deviation of all values divided by 255; None if unknown.
      blank: BLACK, WHITE, PLAIN or NOT_BLANK; None if unknown.
      digest: 16 hexadecimal digits of the SHA-256 of the pixels; equal for equal images.
    """

    encoded: bytes
    height: int
    width: int
    channels: int
    source: str
    label: int | None = None
    class_name: str | None = None
    decode_ok: bool = True
    mean: float | None = None
    contrast: float | None = None
    blank: str | None = None
    digest: str | None = None


def from_array(
    image: np.ndarray, source: str, label: int | None = None, class_name: str | None = None
) -> ImageRecord:
    """A record of a uint8 array [height, width] or [height, width, channels], stored as PNG."""
    if image.ndim == 2:
        image = image[..., np.newaxis]
    height, width, channels = image.shape
    # As NumPy's mean and std compute them, to the last bit.
    mean = np.add.reduce(image, axis=None, dtype=np.float64) / image.size
    apart = image - mean
    variance = np.add.reduce(np.multiply(apart, apart, out=apart), axis=None) / image.size
    return ImageRecord(
        png(image),
        height,
        width,
        channels,
        source,
        label,
        class_name,
        mean=float(mean / 255),
        contrast=math.sqrt(variance) / 255,
        blank=_blank(image),
        digest=hashlib.sha256(image.tobytes()).hexdigest()[:_HASH_DIGITS],
    )


def png(image: np.ndarray) -> bytes:
    """A uint8 array [height, width, 1 or 3] as a PNG file of gray or RGB, made to be made fast."""
    height, width, channels = image.shape
    flat = image.reshape(height, width * channels)
    rows = np.empty((height, 1 + width * channels), np.uint8)
    rows[:, 0] = _SUB_FILTER
    rows[:, 1 : 1 + channels] = flat[:, :channels]
    np.subtract(flat[:, channels:], flat[:, :-channels], out=rows[:, 1 + channels :])
    header = struct.pack(">IIBBBBB", width, height, 8, _COLOUR_TYPES[channels], 0, 0, 0)
    content = zlib.compress(rows.data, _LEVEL)
    return b"".join((_PNG, _chunk(b"IHDR", header), _chunk(b"IDAT", content), _chunk(b"IEND", b"")))


def _chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(content, zlib.crc32(kind))
    return b"".join((struct.pack(">I", len(content)), kind, content, struct.pack(">I", checksum)))


def _blank(image: np.ndarray) -> str:
    first = image[0, 0]
    if not (image == first).all():
        return NOT_BLANK
    return {(0,): BLACK, (255,): WHITE}.get(tuple(np.unique(first)), PLAIN)


def to_example(record: ImageRecord) -> tf.train.Example:
    """The tf.Example of a record, without the attributes that are None."""
    return example_of(
        {
            ENCODED: record.encoded,
            HEIGHT: record.height,
            WIDTH: record.width,
            CHANNELS: record.channels,
            SOURCE: record.source,
            DECODE_OK: int(record.decode_ok),
            LABEL: record.label,
            MEAN: record.mean,
            CONTRAST: record.contrast,
            CLASS_NAME: record.class_name,
            BLANK: record.blank,
            HASH: record.digest,
        }
    )


def example_of(values: Mapping[str, bytes | str | int | float | None]) -> tf.train.Example:
    """A tf.Example with one value per feature, of the value's type, without those that are None."""
    example = tf.train.Example()
    feature = example.features.feature
    for name, value in values.items():
        if isinstance(value, str | bytes):
            content = value.encode() if isinstance(value, str) else value
            feature[name].bytes_list.value.append(content)
        elif isinstance(value, int | np.integer):
            feature[name].int64_list.value.append(value)
        elif value is not None:
            feature[name].float_list.value.append(value)
    return example


@dataclasses.dataclass(frozen=True)
class Split:
    """The data of a split.

    Attributes:
      data: uint8 images [n, height, width, channels], possibly memory-mapped, or codes of rows
        [n, columns], float64: see `columns`.
      labels: int64 [n], or None if the data have none.
      class_names: by label, of the classes that have a name.
      categories: by column, of rows, the names that the codes 0, 1, … of a discrete column mean.
    """

    data: np.ndarray
    labels: np.ndarray | None
    class_names: Mapping[int, str] = dataclasses.field(default_factory=dict)
    categories: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.data)


def read_images(files: Sequence[str], image_shape: Sequence[int]) -> Split:
    """Decodes every example of `files`, in order, into a memory-mapped file.

    Memory does not grow with the images, and no image is decoded twice. The file is an unnamed one
    in the temporary folder (TMPDIR), which is deleted with the map or when the process ends.

    Args:
      files: gzipped TFRecord files.
      image_shape: [height, width, channels] that every image must have.

    Raises:
      ValueError: for no examples; and, naming the source of the first offender, for bytes that do
        not decode, another shape, and labels on only some examples.
      OSError: naming the folder and the required bytes, if the file cannot be written.
    """
    shape = tuple(int(size) for size in image_shape)

    def decode(serialized: tf.Tensor) -> dict[str, tf.Tensor]:
        example = tf.io.parse_single_example(serialized, _FEATURES)
        found = tf.stack([example[HEIGHT], example[WIDTH], example[CHANNELS]])
        fits = tf.reduce_all(found == tf.constant(shape, tf.int64)) & (example[DECODE_OK] == 1)
        image = tf.cond(
            fits,
            lambda: tf.io.decode_image(example[ENCODED], shape[2], expand_animations=False),
            lambda: tf.zeros(shape, tf.uint8),
        )
        return {
            "image": tf.ensure_shape(image, shape),
            "label": example[LABEL],
            "class_name": example[CLASS_NAME],
            "found": found,
            "fits": fits,
            "decode_ok": example[DECODE_OK],
            "source": example[SOURCE],
        }

    records = tf.data.TFRecordDataset(list(files), compression_type="GZIP")
    decoded = records.map(decode, num_parallel_calls=tf.data.AUTOTUNE)
    decoded = decoded.batch(max(1, _BATCH_BYTES // math.prod(shape))).prefetch(1)
    names: dict[int, str] = {}
    labels, sources = [], []
    folder = tempfile.gettempdir()
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            for batch in _checked(decoded.as_numpy_iterator(), shape):
                file.write(batch["image"].data)
                labels.append(batch["label"])
                names = class_names(batch["label"], batch["class_name"]) | names
                sources.append(batch["source"])
            if not labels:
                raise ValueError(f"no examples in {', '.join(files) or 'an empty list of files'}")
            file.flush()
            # The file stays open as long as it is mapped.
            images = np.memmap(file, np.uint8, "r").reshape(-1, *shape)
    except OSError as error:
        needed = math.prod(shape) * int(records.reduce(np.int64(0), lambda count, _: count + 1))
        raise OSError(
            f"{folder}: {error.strerror}; the decoded images take {needed:,} bytes "
            "there; free some space, or set TMPDIR to a folder with enough"
        ) from error
    whole = labels_of(np.concatenate(labels), np.concatenate(sources), LABEL)
    return Split(images, whole, dict(sorted(names.items())))


def labels_of(labels: np.ndarray, sources: np.ndarray, feature: str) -> np.ndarray | None:
    """The labels, or None if no example has one.

    Args:
      labels: int64 [n], NO_LABEL for an example without one.
      sources: bytes [n], for the message.
      feature: the name of the labels' feature.

    Raises:
      ValueError: for labels on only some examples.
    """
    unlabelled = labels == NO_LABEL
    if unlabelled.all():
        return None
    if unlabelled.any():
        raise ValueError(
            f"{feature}: {unlabelled.sum()} of {len(labels)} examples have none, "
            f"the first is {sources[unlabelled.argmax()].decode()}; label all or none"
        )
    return labels


def class_names(labels: np.ndarray, names: np.ndarray) -> dict[int, str]:
    """The names of the classes by label, without those that have none.

    Args:
      labels: int64 [n], NO_LABEL for an example without one.
      names: bytes [n], empty for an example without one; the first of a class counts.
    """
    named = (labels != NO_LABEL) & (names != b"")
    found, places = np.unique(labels[named], return_index=True)
    return {
        int(label): name.decode(errors="replace")
        for label, name in zip(found, names[named][places], strict=True)
    }


def first_image_shape(files: Sequence[str]) -> tuple[int, ...]:
    """(height, width, channels) of the first example of `files`; zeros if it does not decode.

    Args:
      files: gzipped TFRecord files.

    Raises:
      ValueError: for files without examples, or with examples of another contract.
    """
    sizes = {name: _FEATURES[name] for name in (HEIGHT, WIDTH, CHANNELS)}
    try:
        for record in tf.data.TFRecordDataset(list(files), compression_type="GZIP").take(1):
            example = tf.io.parse_single_example(record, sizes)
            return tuple(int(example[name]) for name in sizes)
    except (tf.errors.DataLossError, tf.errors.InvalidArgumentError) as error:
        raise ValueError(f"{files[0]}: not a gzipped TFRecord file of image examples") from error
    raise ValueError(f"no examples in {', '.join(files) or 'an empty list of files'}")


def _checked(batches: Iterator[dict], shape: tuple[int, ...]) -> Iterator[dict]:
    for batch in batches:
        if not batch["fits"].all():
            first = int(np.argmin(batch["fits"]))
            source = batch["source"][first].decode()
            if not batch["decode_ok"][first]:
                raise ValueError(f"{source}: the image does not decode ({DECODE_OK} is 0)")
            raise ValueError(
                f"{source}: the image is {by(batch['found'][first])} "
                f"(height x width x channels), expected {by(shape)} (a recipe's data.image_shape)"
            )
        yield batch


def by(sizes: Iterable[int]) -> str:
    """Sizes as they are usually written: 28x28x1."""
    return "x".join(str(int(size)) for size in sizes)


def to_float(images: tf.Tensor) -> tf.Tensor:
    """uint8 images to float32 in [-1, 1]."""
    return tf.cast(images, tf.float32) / 127.5 - 1.0


def to_uint8(images: tf.Tensor) -> tf.Tensor:
    """Float images in [-1, 1] to uint8, rounded to nearest; values outside are clipped."""
    scaled = tf.round((tf.cast(images, tf.float32) + 1.0) * 127.5)
    return tf.cast(tf.clip_by_value(scaled, 0.0, 255.0), tf.uint8)
