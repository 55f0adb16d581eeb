import csv

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from pyarrow import parquet

from components.common import tables

COLUMNS = ["wind", 'rain, in "mm"']


@given(
    arrays.arrays(
        np.float32, (3, 2), elements=st.floats(allow_nan=False, allow_infinity=False, width=32)
    )
)
def test_csv_has_every_digit_under_its_name(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("csv") / "rows.CSV"
    tables.save(rows, COLUMNS, str(path))

    with path.open(newline="") as file:
        header, *lines = csv.reader(file)
    assert header == COLUMNS
    np.testing.assert_array_equal(np.array(lines, np.float32), rows)


def test_whole_numbers_are_written_as_such(tmp_path):
    tables.save(np.float32([[3, 1e6]]), COLUMNS, str(tmp_path / "rows.csv"))
    assert (tmp_path / "rows.csv").read_text().splitlines()[1] == "3,1000000"


def test_parquet_has_the_numbers_in_their_type(tmp_path):
    rows = np.random.default_rng(0).normal(size=(5, 2)).astype(np.float32)
    tables.save(rows, COLUMNS, str(tmp_path / "deep" / "rows.parquet"))

    table = parquet.read_table(tmp_path / "deep" / "rows.parquet")
    assert table.column_names == COLUMNS
    np.testing.assert_array_equal(np.stack([column.to_numpy() for column in table], axis=1), rows)
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["rows.parquet"]
