"""The arrays of NPZ and NPY files."""

import contextlib
import dataclasses
import posixpath
import zipfile
import zlib
from collections.abc import Iterator

import numpy as np

from components.example_gen.paths import INSIDE, open_file

_OBJECTS = "Python objects, which are never loaded"
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
# Booleans, whole numbers and floating-point numbers.
_NUMBERS = "biuf"


@dataclasses.dataclass(frozen=True)
class Array:
    """An array of a file.

    Attributes:
      path: of the file.
      key: the array's name in an NPZ file; "" in an NPY file.
      shape, dtype: from the header; [] and object for an array without a readable one.
      problem: why it cannot be loaded, or None.
    """

    path: str
    key: str
    shape: tuple[int, ...]
    dtype: np.dtype
    problem: str | None = None

    @property
    def name(self) -> str:
        """The array's name, without an extension."""
        return self.key or posixpath.splitext(posixpath.basename(self.path))[0]

    @property
    def where(self) -> str:
        """For messages and sources."""
        return f"{self.path}{INSIDE}{self.key}" if self.key else self.path

    @property
    def described(self) -> str:
        """Its place, and its shape or what is wrong with it."""
        if self.problem:
            return f"{self.where} ({self.problem})"
        kind = "" if self.holds_numbers else f"{self.dtype} "
        return f"{self.where} {kind}{list(self.shape)}"

    @property
    def holds_numbers(self) -> bool:
        """Whether it can be loaded and holds numbers."""
        return self.problem is None and self.dtype.kind in _NUMBERS

    def source(self, base: str) -> str:
        """Its place relative to the data's folder."""
        return posixpath.relpath(self.path, base) + (f"{INSIDE}{self.key}" if self.key else "")


def arrays_of(path: str) -> list[Array]:
    """The arrays of a file, read from the headers.

    Raises:
      ValueError: for a file that is neither NPZ nor NPY. A member of an NPZ file that is no array
        has a `problem` instead: others may be what is wanted.
    """
    with open_file(path) as file, _named(path):
        if path.lower().endswith(".npy"):
            return [_array(path, "", file)]
        with zipfile.ZipFile(file) as archive:
            found = []
            for name in archive.namelist():
                with archive.open(name) as member:
                    try:
                        found.append(_array(path, name.removesuffix(".npy"), member))
                    except ValueError:
                        found.append(Array(path, name, (), np.dtype(object), "not an array"))
            return found


def load(array: Array) -> np.ndarray:
    """The array, memory-mapped where that is possible; raises ValueError for a damaged file."""
    with _named(array.path):
        if array.key:
            with open_file(array.path) as file, np.load(file, allow_pickle=False) as arrays:
                return arrays[array.key]
        if "://" not in array.path and 0 not in array.shape:
            return np.load(array.path, mmap_mode="r", allow_pickle=False)
        with open_file(array.path) as file:
            return np.load(file, allow_pickle=False)


def _array(path: str, key: str, file: object) -> Array:
    version = np.lib.format.read_magic(file)
    if version not in _HEADERS:
        # Version 3 is for structures whose fields have names that are not Latin-1.
        problem = f"version {version[0]} of the format"
        return Array(path, key, (), np.dtype(object), problem)
    shape, _, dtype = _HEADERS[version](file)
    return Array(path, key, shape, dtype, _OBJECTS if dtype.hasobject else None)


@contextlib.contextmanager
def _named(path: str) -> Iterator[None]:
    """Adds the file's name to errors of NumPy."""
    try:
        yield
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        if isinstance(error, FileNotFoundError):
            raise
        reason = " ".join(str(error).split())
        raise ValueError(f"{path}: not a whole NumPy file of numbers ({reason})") from error
