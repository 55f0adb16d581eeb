"""Reads a state dict that `torch.save` wrote before PyTorch 1.6, without PyTorch.

Such a file is five pickles and raw data: a magic number, a version, the writer's platform, the
state dict, in which tensors are strided views of storages, and the keys of these; then for each
key its number of elements (int64) and the elements (PyTorch's torch/serialization.py,
`_legacy_save`). A pickle can call any function that it names, so all names but those of a state
dict are refused.
"""

import collections
import dataclasses
import pickle
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

_MAGIC = 0x1950A86A20F9469CFC6C

# What `pickle.load` raises on data that are none, its documentation says, and what reading the
# result does.
_DAMAGES = (
    pickle.UnpicklingError,
    struct.error,
    AttributeError,
    EOFError,
    ImportError,
    IndexError,
    KeyError,
    OverflowError,
    TypeError,
    ValueError,
)


def read(path: str | Path) -> dict[str, np.ndarray]:
    """The tensors of a state dict, float32 or int64, by name.

    Raises:
      OSError: if the file cannot be read.
      ValueError: if it is damaged, of another format, or names anything but tensors.
    """
    with open(path, "rb") as file:
        try:
            return _tensors(file)
        except _DAMAGES as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise ValueError(
                f"{path}: not a state dict of PyTorch before 1.6 that can be read: {reason}"
            ) from error


@dataclasses.dataclass(frozen=True)
class _Storage:
    dtype: np.dtype
    key: str
    size: int


@dataclasses.dataclass(frozen=True)
class _View:
    """A tensor; offset and strides are in elements."""

    storage: _Storage
    offset: int
    shape: Sequence[int]
    strides: Sequence[int]

    def of(self, data: np.ndarray) -> np.ndarray:
        """A copy of what it shows of the storage's data."""
        steps = [(size - 1) * stride for size, stride in zip(self.shape, self.strides, strict=True)]
        # NumPy would read beyond the data.
        if min([self.offset, *self.shape, *self.strides]) < 0 or (
            self.offset + sum(steps) >= len(data)
        ):
            raise ValueError(f"a tensor exceeds its storage {self.storage.key}")
        strides = [stride * data.itemsize for stride in self.strides]
        view = np.lib.stride_tricks.as_strided(data[self.offset :], self.shape, strides)
        return np.array(view, order="C")


def _rebuild(
    storage: _Storage,
    offset: int,
    shape: Sequence[int],
    strides: Sequence[int],
    requires_grad: bool,
    hooks: object,
) -> _View:
    return _View(storage, offset, shape, strides)


_NAMES: dict[tuple[str, str], Callable | np.dtype] = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild,
    ("torch", "FloatStorage"): np.dtype("<f4"),
    ("torch", "LongStorage"): np.dtype("<i8"),
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _NAMES:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which no state dict needs")
        return _NAMES[module, name]

    def persistent_load(self, saved: Sequence) -> _Storage:
        _, dtype, key, _, size, _ = saved
        return _Storage(dtype, key, size)


def _tensors(file: BinaryIO) -> dict[str, np.ndarray]:
    magic, _, _, views, keys = (_Unpickler(file).load() for _ in range(5))
    if magic != _MAGIC:
        raise ValueError("it does not begin with PyTorch's magic number")
    dtypes = {view.storage.key: view.storage.dtype for view in views.values()}
    data = {}
    for key in keys:
        (size,) = struct.unpack("<q", file.read(8))
        data[key] = np.frombuffer(file.read(size * dtypes[key].itemsize), dtypes[key])
    return {name: view.of(data[view.storage.key]) for name, view in views.items()}
