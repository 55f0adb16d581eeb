"""Rows of arrays that may be memory-mapped and larger than memory."""

import mmap
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

# TensorFlow's operations expect tensors to be aligned to this many bytes.
_ALIGNMENT = 64


def gather(rows: tf.data.Dataset, arrays: Any) -> tf.data.Dataset:  # noqa: ANN401
    """The rows of `arrays` that each element of `rows` indexes.

    Memory-mapped arrays are read in place, so memory does not grow with them; others are copied.

    Args:
      rows: indices [m] in [0, n).
      arrays: [n, ...], or a structure (a tuple, a dictionary) of such arrays.

    Returns:
      `arrays[rows]`, in the structure of `arrays`.
    """
    with tf.device("CPU"):
        content = tf.nest.map_structure(_tensor, arrays)

    def take(chosen: tf.Tensor) -> Any:  # noqa: ANN401
        return tf.nest.map_structure(lambda tensor: tf.gather(tensor, chosen), content)

    return uncopied_map(rows, take)


def uncopied_map(dataset: tf.data.Dataset, function: Callable[..., Any]) -> tf.data.Dataset:
    """`dataset.map(function)`, without copies of the tensors that the function captures."""
    # Optimizing a dataset copies every tensor that it uses.
    options = tf.data.Options()
    options.experimental_optimization.apply_default_optimizations = False
    return dataset.map(function, num_parallel_calls=tf.data.AUTOTUNE).with_options(options)


def _tensor(array: np.ndarray) -> tf.Tensor:
    array = np.asarray(array)
    # NumPy's stubs type a base as an array; it is whatever owns the memory.
    file: Any = array
    while isinstance(file, np.ndarray):
        file = file.base
    aligned = array.flags.c_contiguous and array.ctypes.data % _ALIGNMENT == 0
    if not (isinstance(file, mmap.mmap) and aligned):
        return tf.constant(array)
    # Without this the system reads ahead: with a file 1.5 times as large as memory, 1/6 as fast.
    file.madvise(mmap.MADV_RANDOM)
    return tf.experimental.dlpack.from_dlpack(np.asarray(_Unprotected(array)).__dlpack__())


class _Unprotected:
    """An array that claims to be writable, because NumPy exports only writable arrays.

    TensorFlow does not write to the inputs of its operations.
    """

    def __init__(self, array: np.ndarray):
        # Kept because it owns the memory.
        self.array = array
        self.__array_interface__ = array.__array_interface__ | {"data": (array.ctypes.data, False)}
