import numpy as np
import pytest
import tensorflow as tf

from components.data import mapped

DATA = np.random.default_rng(0).integers(0, 256, (40, 50, 7), dtype=np.uint8)
ROWS = [39, 0, 3, 3, 17]


def in_file(path, data, **options):
    data.tofile(path)
    return np.memmap(path, data.dtype, "r", **options)


# What holds the data, and the data that it holds.
STORES = {
    "memory": lambda path: (DATA, DATA),
    "file": lambda path: (in_file(path, DATA, shape=DATA.shape), DATA),
    "reshaped": lambda path: (in_file(path, DATA).reshape(DATA.shape), DATA),
    "unaligned": lambda path: (
        in_file(path, DATA, offset=350, shape=(39, 50, 7))[1:],
        DATA[2:],
    ),
    "transposed": lambda path: (in_file(path, DATA, shape=DATA.shape).T, DATA.T),
    "floats": lambda path: (in_file(path, DATA / 255, shape=DATA.shape), DATA / 255),
}


@pytest.mark.parametrize("store", STORES.values(), ids=STORES)
def test_rows_are_those_of_the_array(store, tmp_path):
    data, expected = store(tmp_path / "data")
    rows = [row % len(expected) for row in ROWS]
    batches = mapped.gather(tf.data.Dataset.from_tensors(rows), data)
    assert batches.element_spec.shape == (len(rows), *expected.shape[1:])
    np.testing.assert_array_equal(next(batches.as_numpy_iterator()), expected[rows])
