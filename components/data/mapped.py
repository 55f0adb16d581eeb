"""Rows of arrays that may lie in a mapped file, larger than memory."""

import mmap
from typing import Any

import numpy as np
import tensorflow as tf

# Where TensorFlow's operations expect the first byte of a tensor: at a multiple of this.
_ALIGNMENT = 64


def gather(rows: tf.data.Dataset, arrays: Any) -> tf.data.Dataset:  # noqa: ANN401
    """Of each element of `rows`, the rows of `arrays` that it numbers.

    An array in a mapped file stays there: memory does not grow with it. Other arrays are copied.

    Args:
      rows: whole numbers [m] in [0, n).
      arrays: [n, ...], or a structure (a tuple, a dictionary) of such arrays.

    Returns:
      `arrays[rows]`, in the structure of `arrays`.
    """
    with tf.device("CPU"):
        content = tf.nest.map_structure(_tensor, arrays)

    def take(chosen: tf.Tensor) -> Any:  # noqa: ANN401
        return tf.nest.map_structure(lambda tensor: tf.gather(tensor, chosen), content)

    # To optimize a dataset is to copy every tensor that it uses.
    options = tf.data.Options()
    options.experimental_optimization.apply_default_optimizations = False
    return rows.map(take, num_parallel_calls=tf.data.AUTOTUNE).with_options(options)


def _tensor(array: np.ndarray) -> tf.Tensor:
    array = np.asarray(array)
    # NumPy's types say that a base is an array; it is whatever owns the memory.
    file: Any = array
    while isinstance(file, np.ndarray):
        file = file.base
    aligned = array.flags.c_contiguous and array.ctypes.data % _ALIGNMENT == 0
    if not (isinstance(file, mmap.mmap) and aligned):
        return tf.constant(array)
    # Otherwise the system reads what lies around a row as well: measured with a file of 1.5 times
    # the memory, 1/6 as fast.
    file.madvise(mmap.MADV_RANDOM)
    return tf.experimental.dlpack.from_dlpack(np.asarray(_Unprotected(array)).__dlpack__())


class _Unprotected:
    """An array that says that it may be written, which only such arrays give to others.

    TensorFlow does not write to the inputs of its operations.
    """

    def __init__(self, array: np.ndarray):
        # Kept, as the memory is no longer there without it.
        self.array = array
        self.__array_interface__ = array.__array_interface__ | {"data": (array.ctypes.data, False)}
