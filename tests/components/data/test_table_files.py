import csv
import datetime

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from pyarrow import parquet

from components.data import table_files
from components.data.columns import Column

NAMES = ["wind", 'rain, in "mm"']
COLUMNS = [Column(name=name) for name in NAMES]


@given(
    arrays.arrays(
        np.float32, (3, 2), elements=st.floats(allow_nan=False, allow_infinity=False, width=32)
    )
)
def test_csv_has_every_digit_under_its_name(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("csv") / "rows.CSV"
    table_files.save(rows, COLUMNS, {}, str(path))

    with path.open(newline="") as file:
        header, *lines = csv.reader(file)
    assert header == NAMES
    np.testing.assert_array_equal(np.array(lines, np.float32), rows)


def test_whole_numbers_are_written_as_such(tmp_path):
    table_files.save(np.float32([[3, 1e6]]), COLUMNS, {}, str(tmp_path / "rows.csv"))
    assert (tmp_path / "rows.csv").read_text().splitlines()[1] == "3,1000000"


def test_parquet_has_the_numbers_in_their_type(tmp_path):
    rows = np.random.default_rng(0).normal(size=(5, 2)).astype(np.float32)
    table_files.save(rows, COLUMNS, {}, str(tmp_path / "deep" / "rows.parquet"))

    table = parquet.read_table(tmp_path / "deep" / "rows.parquet")
    assert table.column_names == NAMES
    np.testing.assert_array_equal(np.stack([column.to_numpy() for column in table], axis=1), rows)
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["rows.parquet"]


TYPED = [
    Column(name="n", type="integer", missing=True),
    Column(name="job", type="categorical", missing=True),
    Column(name="yes", type="boolean"),
    Column(name="day", type="datetime", format="%d.%m.%y"),
    Column(name="x", missing=True),
]
CATEGORIES = {"job": ("a, b", "c"), "yes": ("FALSE", "TRUE")}
CODES = np.array([[2**53 - 1, 0, 1, 86_400_000_000, 0.1], [np.nan, np.nan, 0, 0, np.nan]])


def test_csv_has_the_text_of_the_data(tmp_path):
    table_files.save(CODES, TYPED, CATEGORIES, str(tmp_path / "rows.csv"))

    with (tmp_path / "rows.csv").open(newline="") as file:
        _, *lines = csv.reader(file)
    assert lines == [
        ["9007199254740991", "a, b", "TRUE", "02.01.70", "0.1"],
        ["", "", "FALSE", "01.01.70", ""],
    ]


def test_parquet_has_the_types_of_the_data(tmp_path):
    table_files.save(CODES, TYPED, CATEGORIES, str(tmp_path / "rows.parquet"))

    table = parquet.read_table(tmp_path / "rows.parquet")
    assert [str(kind) for kind in table.schema.types] == [
        "int64",
        "string",
        "bool",
        "timestamp[us]",
        "float",
    ]
    assert table.to_pylist() == [
        {
            "n": 2**53 - 1,
            "job": "a, b",
            "yes": True,
            "day": datetime.datetime(1970, 1, 2),
            "x": float(np.float32(0.1)),
        },
        {"n": None, "job": None, "yes": False, "day": datetime.datetime(1970, 1, 1), "x": None},
    ]
