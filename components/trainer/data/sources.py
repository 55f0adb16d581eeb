"""Opens and checks the kinds of dataset that a user may pass, and reads them in batches."""

import abc
import dataclasses
import os
from typing import Any

import numpy as np
import tensorflow as tf

from components.data import examples, mapped

# The random stream of the data order; `batches` and `gan.rng` use other streams.
_ORDER_STREAM = 0

# Floats beyond this were not scaled to [-1, 1]; resampled images may slightly exceed 1.
_LARGEST_FLOAT = 1.5
# Data of a tf.data.Dataset that are checked before training starts.
_CHECKED = 256


@dataclasses.dataclass(frozen=True, eq=False)
class Source(abc.ABC):
    """Checked real data.

    Attributes:
      data_shape: of one datum.
      dtype: uint8 (images) or float32 (in [-1, 1]).
      count: number of data; None for a tf.data.Dataset of unknown length.
      has_labels: whether each datum has a class.
      num_classes: the highest label + 1; 0 without labels, and for a tf.data.Dataset.
      class_shares: float64 [num_classes], the share of each class; None if num_classes is 0.
      mirror: whether training sees each image and its mirror image with equal probability.
    """

    data_shape: tuple[int, ...]
    dtype: np.dtype
    count: int | None
    has_labels: bool
    num_classes: int = 0
    class_shares: np.ndarray | None = None
    mirror: bool = False

    @abc.abstractmethod
    def take(self, count: int, seed: int) -> tuple[np.ndarray, np.ndarray | None]:
        """At most `count` real data; equal arguments give equal data.

        A random sample without replacement; of a tf.data.Dataset, the first ones.

        Returns:
          Data [n, *data_shape], and their labels int32 [n] or None.
        """

    @abc.abstractmethod
    def batches(self, size: int, first: int, seed: int, own: slice) -> tf.data.Dataset:
        """Endless batches that repeat the data.

        Args:
          size: data per batch; batches continue across epochs.
          first: index of the first batch.
          seed: of the order.
          own: which of a batch's `size` data to keep.

        Returns:
          Elements {"real": [n, *data_shape]} and, with labels, "labels": int32 [n].
        """

    def check_batch_size(self, batch_size: int) -> None:
        """Raises ValueError if there are fewer data than one batch."""
        count = len(self.take(batch_size, seed=0)[0]) if self.count is None else self.count
        if count < batch_size:
            raise ValueError(
                f"batch_size: {batch_size} is more than the {count} data in the dataset"
            )


@dataclasses.dataclass(frozen=True, eq=False)
class _ArraySource(Source):
    """Data in memory or in a memory-mapped file; images stay uint8.

    Each epoch is a different permutation of all data.
    """

    data: np.ndarray = dataclasses.field(kw_only=True, repr=False)
    labels: np.ndarray | None = dataclasses.field(kw_only=True, repr=False)

    def take(self, count: int, seed: int) -> tuple[np.ndarray, np.ndarray | None]:
        rows = np.random.default_rng(seed).permutation(len(self.data))[:count]
        return self.data[rows], None if self.labels is None else self.labels[rows]

    def batches(self, size: int, first: int, seed: int, own: slice) -> tf.data.Dataset:
        count = len(self.data)
        epoch, within = divmod(first * size, count)
        columns = {"real": self.data}
        if self.labels is not None:
            columns["labels"] = self.labels

        def order(index: tf.Tensor) -> tf.Tensor:
            stream = tf.random.experimental.stateless_fold_in([seed, _ORDER_STREAM], index)
            shuffled = tf.random.experimental.stateless_shuffle(tf.range(count), stream)
            return shuffled[tf.where(index == epoch, within, 0) :]

        # Whole epochs are cut into batches: an element per index would cost as much as a small
        # network's step.
        orders = tf.data.Dataset.range(epoch, np.iinfo(np.int64).max).map(order)
        rows = orders.rebatch(size, drop_remainder=True).map(lambda indices: indices[own])
        return mapped.gather(rows, columns)


@dataclasses.dataclass(frozen=True, eq=False)
class _StreamSource(Source):
    """A tf.data.Dataset, repeated in the order it comes in."""

    dataset: tf.data.Dataset = dataclasses.field(kw_only=True, repr=False)
    batched: bool = dataclasses.field(kw_only=True)

    def take(self, count: int, seed: int) -> tuple[np.ndarray, np.ndarray | None]:
        del seed  # The dataset determines its order.
        batches = _rebatch(self.dataset, self.batched, count).map(self._columns)
        first = next(batches.as_numpy_iterator())
        return first["real"], first.get("labels")

    def batches(self, size: int, first: int, seed: int, own: slice) -> tf.data.Dataset:
        del seed
        batches = _rebatch(self.dataset.repeat(), self.batched, size, drop_remainder=True)
        return batches.skip(first).map(
            lambda *element: {name: rows[own] for name, rows in self._columns(*element).items()},
            num_parallel_calls=tf.data.AUTOTUNE,
        )

    def _columns(self, real: tf.Tensor, labels: tf.Tensor | None = None) -> dict[str, tf.Tensor]:
        columns = {"real": tf.ensure_shape(tf.cast(real, self.dtype), (None, *self.data_shape))}
        if labels is not None:
            columns["labels"] = tf.cast(labels, tf.int32)
        return columns


def open_source(
    dataset: Any,  # noqa: ANN401
    data_shape: tuple[int, ...] | None = None,
    *,
    mirror: bool = False,
) -> Source:
    """Opens and checks a dataset.

    Args:
      dataset: one of
        - an array [n, ...], uint8 images or floats in [-1, 1] (kept as float32);
        - a pair (array, labels), labels int [n] or [n, 1] from 0;
        - a tf.data.Dataset of data or (data, label), batched or not. It is repeated in its own
          order, and resumed training skips what it has seen: shuffle it with a fixed seed, so that
          resumed runs, and all workers of a distributed one, see the same order;
        - a path of gzipped TFRecords as described in `components.data.examples`: a file, a folder
          or a glob;
        - a Source, which is returned unchanged.
      data_shape: of one datum; default: inferred. Required for a tf.data.Dataset whose data have
        neither 1 axis (vectors) nor 3 (images).
      mirror: whether training sees each image and its mirror image with equal probability; a Source
        that does so already is left as it is.

    Raises:
      ValueError: for an empty dataset or path, floats that are not finite or not in [-1, 1], any
        other dtype or an unexpected shape, invalid labels, and mirror images of what is no image.
    """
    source = _opened(dataset, data_shape)
    if not mirror:
        return source
    if len(source.data_shape) != 3:
        raise ValueError(
            "mirror: true is for images [height, width, channels], but the data have shape "
            f"{list(source.data_shape)}; leave it out"
        )
    return dataclasses.replace(source, mirror=True)


def _opened(dataset: Any, data_shape: tuple[int, ...] | None) -> Source:  # noqa: ANN401
    if isinstance(dataset, Source):
        return dataset
    if isinstance(dataset, tf.data.Dataset):
        return _from_stream(dataset, data_shape)
    if isinstance(dataset, str | os.PathLike):
        return _from_path(os.fspath(dataset), data_shape)
    if isinstance(dataset, tuple):
        if len(dataset) != 2:
            raise ValueError(f"dataset: a tuple of {len(dataset)}, expected (data, labels)")
        return _from_arrays(*dataset, data_shape)
    return _from_arrays(dataset, None, data_shape)


def _from_arrays(data: Any, labels: Any, data_shape: tuple[int, ...] | None) -> Source:  # noqa: ANN401
    data = _array("dataset", data)
    if not data.ndim or not data.size:
        raise ValueError(f"dataset: an array of shape {list(data.shape)} holds no data")
    data = _checked_data(data, data_shape)
    if labels is None:
        return _ArraySource(data.shape[1:], data.dtype, len(data), False, data=data, labels=None)
    labels = _array("labels", labels)
    if labels.shape == (len(data), 1):
        labels = labels[:, 0]
    _check_labels(labels, len(data))
    counts = np.bincount(labels)
    return _ArraySource(
        data.shape[1:],
        data.dtype,
        len(data),
        True,
        len(counts),
        counts / len(data),
        data=data,
        labels=labels.astype(np.int32),
    )


def _from_path(path: str, data_shape: tuple[int, ...] | None) -> Source:
    pattern = os.path.join(path, "*") if tf.io.gfile.isdir(path) else path
    files = [
        file
        for file in sorted(tf.io.gfile.glob(pattern))
        if not os.path.basename(file).startswith(".") and not tf.io.gfile.isdir(file)
    ]
    if not files:
        raise ValueError(f"dataset: no file at {path}")
    read = examples.read_images(files, data_shape or examples.first_image_shape(files))
    return _from_arrays(read.data, read.labels, data_shape)


def _from_stream(dataset: tf.data.Dataset, data_shape: tuple[int, ...] | None) -> Source:
    spec = dataset.element_spec
    specs = spec if isinstance(spec, tuple) else (spec,)
    if len(specs) > 2 or not all(isinstance(part, tf.TensorSpec) for part in specs):
        raise ValueError(
            f"dataset: elements are {spec}, expected data or (data, label); convert them with map()"
        )
    batched = _is_batched(specs[0], data_shape)
    if len(specs) == 2 and specs[1].shape.rank not in (None, int(batched)):
        raise ValueError(
            f"labels: shape {_axes(specs[1].shape)} for data of shape {_axes(specs[0].shape)}, "
            "expected one per datum"
        )
    first = next(_rebatch(dataset, batched, _CHECKED).as_numpy_iterator(), None)
    if first is None:
        raise ValueError("dataset: holds no data")
    real, *labels = first if isinstance(spec, tuple) else (first,)
    real = _checked_data(real, data_shape)
    if labels:
        _check_labels(labels[0], len(real))
    return _StreamSource(
        real.shape[1:],
        real.dtype,
        len(real) if len(real) < _CHECKED else _count(dataset, batched),
        bool(labels),
        dataset=dataset,
        batched=batched,
    )


def _is_batched(spec: tf.TensorSpec, data_shape: tuple[int, ...] | None) -> bool:
    rank = spec.shape.rank
    ranks = (1, 3) if data_shape is None else (len(data_shape),)
    if rank in ranks:
        return False
    if rank is not None and rank - 1 in ranks:
        return True
    expected = "vectors, images" if data_shape is None else f"data {list(data_shape)}"
    raise ValueError(
        f"dataset: elements of shape {_axes(spec.shape)}, expected {expected} or batches of them"
        + ("; for other data set data_shape" if data_shape is None else "")
    )


def _count(dataset: tf.data.Dataset, batched: bool) -> int | None:
    """The number of data, if the dataset knows it."""
    elements = int(dataset.cardinality())
    if elements < 0:
        return None
    if not batched:
        return elements
    spec = dataset.element_spec
    size = (spec[0] if isinstance(spec, tuple) else spec).shape[0]
    return elements * size if size else None


def _rebatch(
    dataset: tf.data.Dataset, batched: bool, size: int, drop_remainder: bool = False
) -> tf.data.Dataset:
    regroup = dataset.rebatch if batched else dataset.batch
    return regroup(size, drop_remainder=drop_remainder)


def _array(what: str, values: Any) -> np.ndarray:  # noqa: ANN401
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise ValueError(
            f"{what}: {type(values).__name__} cannot be converted to an array: {error}"
        ) from error
    if array.dtype == object:
        raise ValueError(f"{what}: {type(values).__name__} of objects, expected an array")
    return array


def _checked_data(data: np.ndarray, data_shape: tuple[int, ...] | None) -> np.ndarray:
    """The data as uint8 or float32; raises ValueError if they are not valid training data."""
    if data_shape is not None and data.shape[1:] != tuple(data_shape):
        raise ValueError(
            f"dataset: data of shape {list(data.shape[1:])}, expected {list(data_shape)}"
        )
    if data.dtype == np.uint8:
        return data
    # NumPy does not count bfloat16 as floating.
    if not (np.issubdtype(data.dtype, np.floating) or data.dtype == tf.bfloat16):
        raise ValueError(f"dataset: {data.dtype} data, expected uint8 images or floats in [-1, 1]")
    data = data.astype(np.float32, copy=False)
    low, high = float(data.min()), float(data.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        wrong = np.count_nonzero(~np.isfinite(data))
        raise ValueError(f"dataset: {wrong} of {data.size} values are NaN or infinite")
    if max(-low, high) > _LARGEST_FLOAT:
        raise ValueError(
            f"dataset: floats from {low:g} to {high:g}; scale them to [-1, 1], or pass uint8 images"
        )
    return data


def _check_labels(labels: np.ndarray, count: int) -> None:
    if not np.issubdtype(labels.dtype, np.integer) or labels.ndim != 1:
        raise ValueError(
            f"labels: {labels.dtype} {list(labels.shape)}, expected integers [{count}]"
        )
    if len(labels) != count:
        raise ValueError(f"labels: {len(labels)} for {count} data, expected one per datum")
    if labels.min() < 0:
        first = int(np.argmax(labels < 0))
        raise ValueError(f"labels: {labels[first]} at index {first}, expected classes from 0")


def _axes(shape: tf.TensorShape) -> str:
    return "unknown" if shape.rank is None else str(shape.as_list())
