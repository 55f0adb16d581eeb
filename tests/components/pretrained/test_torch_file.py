"""Files like PyTorch's, written without it."""

import collections
import io
import os
import pickle
import re
import struct
import sys
import types

import numpy as np
import pytest

from components.pretrained import torch_file

MAGIC = 0x1950A86A20F9469CFC6C


class Tensor:
    """Pickled as PyTorch pickles one: a view of a storage, in elements."""

    def __init__(self, key, offset, shape, strides, kind="FloatStorage", call=None):
        self.storage = (key, kind)
        self.call = call
        self.arguments = offset, shape, strides

    def __reduce__(self):
        call = self.call or sys.modules["torch._utils"]._rebuild_tensor_v2
        storage = Storage(*self.storage)
        return call, (storage, *self.arguments, False, collections.OrderedDict())


class Storage:
    def __init__(self, key, kind):
        self.key, self.kind = key, kind


class Pickler(pickle.Pickler):
    sizes: dict

    def persistent_id(self, found):
        if not isinstance(found, Storage):
            return None
        kind = getattr(sys.modules["torch"], found.kind)
        return "storage", kind, found.key, "cpu", self.sizes[found.key], None


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Writes tensors by name and storages by key; returns the file."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    for name in ("FloatStorage", "LongStorage", "HalfStorage"):
        setattr(torch, name, type(name, (), {"__module__": "torch"}))

    def _rebuild_tensor_v2():
        raise AssertionError("only its name is written")

    _rebuild_tensor_v2.__module__ = "torch._utils"
    _rebuild_tensor_v2.__qualname__ = "_rebuild_tensor_v2"
    utils._rebuild_tensor_v2 = _rebuild_tensor_v2
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "torch._utils", utils)

    def do(tensors, storages, magic=MAGIC):
        file = io.BytesIO()
        for start in (magic, 1001, {"little_endian": True}):
            pickle.dump(start, file, protocol=2)
        pickler = Pickler(file, protocol=2)
        pickler.sizes = {key: len(data) for key, data in storages.items()}
        pickler.dump(tensors)
        pickle.dump(list(storages), file, protocol=2)
        for data in storages.values():
            file.write(struct.pack("<q", len(data)) + data.tobytes())
        path = tmp_path / "weights.pth"
        path.write_bytes(file.getvalue())
        return path

    return do


FLOATS = np.arange(12, dtype=np.float32)


def test_views_of_storages_are_arrays(write):
    tensors = collections.OrderedDict(
        rows=Tensor("1", 0, (3, 4), (4, 1)),
        transposed=Tensor("1", 0, (4, 3), (1, 4)),
        later=Tensor("1", 5, (2,), (3,)),
        count=Tensor("2", 0, (), (), "LongStorage"),
    )

    found = torch_file.read(write(tensors, {"1": FLOATS, "2": np.array([2**40])}))

    expected = {
        "rows": FLOATS.reshape(3, 4),
        "transposed": FLOATS.reshape(3, 4).T,
        "later": FLOATS[[5, 8]],
        "count": np.array(2**40),
    }
    assert list(found) == list(expected)
    for name, array in expected.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


WRONG = {
    "calls something": ({"x": Tensor("1", 0, (1,), (1,), call=os.system)}, r"names \w+\.system"),
    "another dtype": ({"x": Tensor("1", 0, (1,), (1,), "HalfStorage")}, r"names torch\.HalfS"),
    "beyond the end": ({"x": Tensor("1", 9, (2, 2), (2, 1))}, "exceeds its storage 1"),
    "before the start": ({"x": Tensor("1", -1, (1,), (1,))}, "exceeds its storage 1"),
    "backwards": ({"x": Tensor("1", 3, (2,), (-1,))}, "exceeds its storage 1"),
    "no tensor": ({"x": 3}, "no attribute 'storage'"),
    "no dictionary": ([3], "no attribute 'values'"),
}


@pytest.mark.parametrize(("tensors", "message"), WRONG.values(), ids=WRONG)
def test_what_is_no_state_dict_is_refused_in_one_line(write, tensors, message):
    path = write(tensors, {"1": FLOATS})

    with pytest.raises(ValueError, match=f"^{re.escape(str(path))}: not a .*{message}") as caught:
        torch_file.read(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kept", [0, 10, 100, 260, -1], ids="{} bytes".format)
def test_a_part_of_a_file_is_refused(write, kept):
    path = write({"x": Tensor("1", 0, (12,), (1,))}, {"1": FLOATS})
    whole = path.read_bytes()
    path.write_bytes(whole[:kept])

    with pytest.raises(ValueError, match=": not a state dict of PyTorch before 1.6"):
        torch_file.read(path)


def test_other_formats_are_refused(write, tmp_path):
    with pytest.raises(ValueError, match="magic number"):
        torch_file.read(write({}, {}, magic=3))
    # That of later versions is a zip archive.
    np.savez(tmp_path / "later.npz", FLOATS)
    with pytest.raises(ValueError, match=": not a state dict of PyTorch before 1.6"):
        torch_file.read(tmp_path / "later.npz")
    with pytest.raises(FileNotFoundError):
        torch_file.read(tmp_path / "nowhere.pth")
