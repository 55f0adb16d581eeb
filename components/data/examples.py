"""The tf.Example contract that all stages share: feature names, writing, reading.

One example is one image, stored losslessly, with what is known about it. ExampleGen sets aside
what does not decode; an example that says so nevertheless (`image/decode_ok` 0) is refused.
"""

import dataclasses
import hashlib
import io
import math
import tempfile
from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf
from PIL import Image

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

# What TFX puts before the name of a split, for the name of its folder.
SPLIT_FOLDER = "Split-"
TRAIN_SPLIT = "train"
EVAL_SPLIT = "eval"

# Values of BLANK: every pixel is 0, is 255, has one colour; or none of these.
BLACK, WHITE, PLAIN, NOT_BLANK = "black", "white", "plain", "no"

# Where an example has no label.
NO_LABEL = -1
_HASH_DIGITS = 16
# Of decoded images that are written at a time.
_BATCH_BYTES = 2**24
_FEATURES = {
    ENCODED: tf.io.FixedLenFeature([], tf.string),
    HEIGHT: tf.io.FixedLenFeature([], tf.int64),
    WIDTH: tf.io.FixedLenFeature([], tf.int64),
    CHANNELS: tf.io.FixedLenFeature([], tf.int64),
    LABEL: tf.io.FixedLenFeature([], tf.int64, default_value=NO_LABEL),
    SOURCE: tf.io.FixedLenFeature([], tf.string),
    DECODE_OK: tf.io.FixedLenFeature([], tf.int64),
}


@dataclasses.dataclass(frozen=True)
class ImageRecord:
    """One image before it becomes a tf.Example.

    Attributes:
      encoded: PNG bytes.
      height, width, channels: in pixels and colour bands; 0 where the bytes do not decode.
      source: where it came from, e.g. `coats/17.png` or `train-images-idx3-ubyte.gz#17`.
      label: the class, from 0, or None.
      class_name: of the class, or None where it has only a number.
      decode_ok: whether `encoded` decodes to the last row.
      mean, contrast: mean and standard deviation of all values, of 255; None where unknown.
      blank: BLACK, WHITE, PLAIN or NOT_BLANK; None where unknown.
      digest: 16 hexadecimal digits of the SHA-256 of the pixels; equal images have equal ones.
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
    buffer = io.BytesIO()
    Image.fromarray(image[..., 0] if channels == 1 else image).save(buffer, format="PNG")
    return ImageRecord(
        buffer.getvalue(),
        height,
        width,
        channels,
        source,
        label,
        class_name,
        mean=float(image.mean() / 255),
        contrast=float(image.std() / 255),
        blank=_blank(image),
        digest=hashlib.sha256(image.tobytes()).hexdigest()[:_HASH_DIGITS],
    )


def _blank(image: np.ndarray) -> str:
    first = image[0, 0]
    if not (image == first).all():
        return NOT_BLANK
    return {(0,): BLACK, (255,): WHITE}.get(tuple(np.unique(first)), PLAIN)


def to_example(record: ImageRecord) -> tf.train.Example:
    """The tf.Example of a record; what is None is left out."""

    def floats(value: float) -> tf.train.Feature:
        return tf.train.Feature(float_list=tf.train.FloatList(value=[value]))

    def ints(value: int) -> tf.train.Feature:
        return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))

    def blob(value: bytes) -> tf.train.Feature:
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))

    feature = {
        ENCODED: blob(record.encoded),
        HEIGHT: ints(record.height),
        WIDTH: ints(record.width),
        CHANNELS: ints(record.channels),
        SOURCE: blob(record.source.encode()),
        DECODE_OK: ints(int(record.decode_ok)),
    }
    if record.label is not None:
        feature[LABEL] = ints(record.label)
    for name, number in ((MEAN, record.mean), (CONTRAST, record.contrast)):
        if number is not None:
            feature[name] = floats(number)
    texts = ((CLASS_NAME, record.class_name), (BLANK, record.blank), (HASH, record.digest))
    for name, text in texts:
        if text is not None:
            feature[name] = blob(text.encode())
    return tf.train.Example(features=tf.train.Features(feature=feature))


@dataclasses.dataclass(frozen=True)
class Split:
    """The data of a split.

    Attributes:
      data: uint8 images [n, height, width, channels], which may be a map of a file, or float32
        vectors [n, columns].
      labels: int64 [n], or None where the data has none.
    """

    data: np.ndarray
    labels: np.ndarray | None

    def __len__(self) -> int:
        return len(self.data)


def read_images(files: Sequence[str], image_shape: Sequence[int]) -> Split:
    """Decodes every example of `files`, in order, into a file that is mapped into memory.

    Memory does not grow with the images, and no image is decoded twice. The file has no name: it
    lies in the folder for temporary files (TMPDIR) and is gone when the map is, or the process,
    however that ends.

    Args:
      files: gzipped TFRecord files.
      image_shape: [height, width, channels] that every image must have.

    Raises:
      ValueError: for no examples at all; and, naming the source of the first offender, for bytes
        that do not decode, another shape, and labels on some examples only.
      OSError: naming the folder and the bytes that it takes, where the file cannot be written.
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
            "found": found,
            "fits": fits,
            "decode_ok": example[DECODE_OK],
            "source": example[SOURCE],
        }

    records = tf.data.TFRecordDataset(list(files), compression_type="GZIP")
    decoded = records.map(decode, num_parallel_calls=tf.data.AUTOTUNE)
    decoded = decoded.batch(max(1, _BATCH_BYTES // math.prod(shape))).prefetch(1)
    labels, sources = [], []
    folder = tempfile.gettempdir()
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            for batch in _checked(decoded.as_numpy_iterator(), shape):
                file.write(batch["image"].data)
                labels.append(batch["label"])
                sources.append(batch["source"])
            if not labels:
                raise ValueError(f"no examples in {', '.join(files) or 'an empty list of files'}")
            file.flush()
            # Open for as long as it is mapped.
            images = np.memmap(file, np.uint8, "r").reshape(-1, *shape)
    except OSError as error:
        needed = math.prod(shape) * int(records.reduce(np.int64(0), lambda count, _: count + 1))
        raise OSError(
            f"{folder}: {error.strerror}; the decoded images take {needed:,} bytes "
            "there; make room, or set TMPDIR to a folder that has it"
        ) from error
    return Split(images, labels_of(np.concatenate(labels), np.concatenate(sources), LABEL))


def labels_of(labels: np.ndarray, sources: np.ndarray, feature: str) -> np.ndarray | None:
    """The labels, or None where no example has one.

    Args:
      labels: int64 [n], NO_LABEL where an example has none.
      sources: bytes [n], for the message.
      feature: the name of the labels' feature.

    Raises:
      ValueError: for labels on some examples only.
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


def first_image_shape(files: Sequence[str]) -> tuple[int, ...]:
    """(height, width, channels) of the first example of `files`, zeros where it did not decode.

    Args:
      files: gzipped TFRecord files.

    Raises:
      ValueError: for files that hold no examples, or none of this contract.
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
                f"{source}: the image is {_by(batch['found'][first])} "
                f"(height x width x channels), expected {_by(shape)} (a recipe's data.image_shape)"
            )
        yield batch


def _by(sizes: Sequence[int]) -> str:
    return "x".join(str(int(size)) for size in sizes)


def to_float(images: tf.Tensor) -> tf.Tensor:
    """uint8 images to float32 in [-1, 1]."""
    return tf.cast(images, tf.float32) / 127.5 - 1.0


def to_uint8(images: tf.Tensor) -> tf.Tensor:
    """Float images in [-1, 1] to uint8, rounded to the nearest; values outside are clipped."""
    scaled = tf.round((tf.cast(images, tf.float32) + 1.0) * 127.5)
    return tf.cast(tf.clip_by_value(scaled, 0.0, 255.0), tf.uint8)
