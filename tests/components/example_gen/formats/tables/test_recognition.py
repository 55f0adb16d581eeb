"""Of which type the columns of a table are, and which are left out and why."""

import datetime
import decimal
import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.data.columns import Column
from components.example_gen.formats.table import TableReader
from components.example_gen.formats.tables import dates
from components.example_gen.formats.tables.inspection import inspect

N = 60
LEFT_OUT, KEEPS = "left out: column 'x' of data.csv: ", r"; data\.columns \(--columns\) keeps it"


def csv(folder, cells, name="x"):
    """A file with a column beside another that is always learnt."""
    path = folder / "data.csv"
    rows = [f'"{cell}",{row * 37 % 61}\n' for row, cell in enumerate(cells)]
    path.write_text("".join([f"{name},other\n", *rows]))
    return str(path)


def words(column):
    parts = (column.type, column.format, "missing" if column.missing else None)
    return " ".join(filter(None, parts))


def cycle(*cells):
    return [cells[row % len(cells)] for row in range(N)]


# Cells of a column, and what it is.
TYPES = {
    "whole": (cycle("3", "-1", "20"), "integer"),
    "whole, as pandas writes them": (cycle("3.0", "", "2.0"), "integer missing"),
    "too large for float64": (cycle("1e300", "3", "4"), "number"),
    "numbers": (cycle("3", "1.5", "-2e3"), "number"),
    "a word among numbers": ([*cycle("3", "4")[1:], "many"], "integer"),
    "words for missing": (cycle("3", "n/a", "4", "?"), "integer missing"),
    "truth": (cycle("TRUE", "false", "False"), "boolean"),
    "truth, missing": (cycle("true", "false", "NULL"), "boolean missing"),
    "yes": (cycle("yes", "no"), "categorical"),
    "names": (cycle("Rome", "Oslo", "São Paulo"), "categorical"),
    "names, missing": (cycle("Rome", "Oslo", " "), "categorical missing"),
    "a name that could be a missing value": (cycle("NA", "EU", "AS"), "categorical"),
    "numbers and more": (cycle("1", "2", "3+"), "categorical"),
    "postcodes": (cycle("01069", "80331", "10115"), "categorical"),
    "codes with underscores": (cycle("1_0", "2_0"), "categorical"),
    "one name or none": (cycle("yes", ""), "categorical missing"),
    "dates": (cycle("2020-01-31", "2019-12-01"), "datetime %Y-%m-%d"),
    "dates, missing": (cycle("2020-01-31", "NaT", ""), "datetime %Y-%m-%d missing"),
    "day first": (cycle("31/01/2020", "01/02/2020"), "datetime %d/%m/%Y"),
    "month first": (cycle("01/31/2020", "01/02/2020"), "datetime %m/%d/%Y"),
    "points": (cycle("31.1.2020", "1.2.2020"), "datetime %d.%m.%Y"),
    "two digits": (cycle("31/12/99", "30/01/02"), "datetime %d/%m/%y"),
    "names of months": (cycle("1 May 2020", "2 Jul 2021"), "datetime %d %b %Y"),
    "long names of months": (cycle("May 1, 2020", "July 2, 2021"), "datetime %B %d, %Y"),
    "times": (cycle("2020-01-31 23:59:01", "2020-02-01 00:00:00"), "datetime %Y-%m-%d %H:%M:%S"),
    "minutes": (cycle("31.01.2020 23:59", "01.02.2020 00:00"), "datetime %d.%m.%Y %H:%M"),
    "ISO 8601": (
        cycle("2020-01-31T23:59:01Z", "2020-02-01T00:00:00Z"),
        "datetime %Y-%m-%dT%H:%M:%SZ",
    ),
    "fractions": (
        cycle("2020-01-31 23:59:01.5", "2020-02-01 00:00:00.123456"),
        "datetime %Y-%m-%d %H:%M:%S.%f",
    ),
    "an offset": (
        cycle("2020-01-31T23:59:01+00:00", "2020-02-01T00:00:00+00:00"),
        "datetime %Y-%m-%dT%H:%M:%S+00:00",
    ),
    "months": (cycle("2020-01", "2020-02"), "datetime %Y-%m"),
    "eight digits": (cycle("20200131", "20191201"), "datetime %Y%m%d"),
    "eight digits that are no dates": (cycle("20200131", "20191399"), "integer"),
    "times of day": (cycle("23:59", "00:10"), "datetime %H:%M"),
    "years": (cycle("2020", "1999", "2001"), "integer"),
    "dates in two formats": (cycle("2020-01-31", "31.01.2020"), "categorical"),
    "a date with another word": ([*cycle("2020-01-31", "2020-01-01")[1:], "soon"], "categorical"),
}


@pytest.mark.parametrize(("cells", "expected"), TYPES.values(), ids=TYPES)
def test_types(tmp_path, cells, expected):
    found = inspect([csv(tmp_path, cells)])
    assert {column.name: words(column) for column in found.columns} == {
        "x": expected,
        "other": "integer",
    }


def test_a_row_of_another_format_later_is_a_bad_record(tmp_path, monkeypatch):
    monkeypatch.setattr("components.example_gen.formats.tables.inspection._SAMPLE_ROWS", 30)
    path = csv(tmp_path, [*cycle("2020-01-31", "2020-01-01"), "31.01.2020"])
    reader = TableReader(columns=inspect([path]).columns)
    (shard,) = reader.shards(str(tmp_path), {"all": "data.csv"})["all"]
    with pytest.raises(ValueError, match=r"#60: .* '31.01.2020', expected a time as in %Y-%m-%d"):
        list(reader.read(shard))


# The name of a column, its cells, why it is left out, and what it is where it is asked for.
OUT = {
    "numbered rows": (
        "x",
        range(N),
        "an id: the first 60 rows hold different, increasing whole numbers",
        "integer",
    ),
    "ids in any order": (
        "userId",
        [row * 37 % 61 for row in range(N)],
        "an id: the first 60 rows hold different whole numbers",
        "integer",
    ),
    "large ids": (
        "x",
        [9 * 10**15 + row * 37 % 61 + 10**14 for row in range(N)],
        "an id: the first 60 rows hold different whole numbers",
        "number",
    ),
    "UUIDs": (
        "x",
        [f"{row:08x}-0000-4000-8000-000000000000" for row in range(N)],
        "an id or free text: the first 60 rows hold different text; row 0 holds '00000000-0",
        "categorical",
    ),
    "free text": (
        "x",
        [f"note {row % 40}" for row in range(N)],
        "40 different values in the first 60 rows; row 0 holds 'note 0'",
        "categorical",
    ),
    "a constant number": (
        "x",
        ["7"] * N,
        "a constant: all of the first 60 rows hold '7'",
        "integer",
    ),
    "a constant name": (
        "x",
        ["kg"] * N,
        "a constant: all of the first 60 rows hold 'kg'",
        "categorical",
    ),
    "a constant date": (
        "x",
        ["2020-01-01"] * N,
        "a constant: .* '2020-01-01'",
        "datetime %Y-%m-%d",
    ),
    "times of twelve hours": (
        "x",
        [f"1/31/2020 {row % 12 + 1}:{row:02} PM" for row in range(N)],
        r"an id or free text: .* \(times with AM and PM, or of zones other than UTC, are not",
        "categorical",
    ),
    "times of another zone": (
        "x",
        [f"2020-01-{row % 28 + 1:02}T12:{row:02}:00+02:00" for row in range(N)],
        "an id or free text: .* zones other than UTC",
        "categorical",
    ),
    "numbers that are mostly words": (
        "x",
        [f"x{row}" if row % 3 else row for row in range(N)],
        "an id or free text: .*; row 1 holds 'x1'",
        "categorical",
    ),
}


@pytest.mark.parametrize(("name", "cells", "reason", "asked"), OUT.values(), ids=OUT)
def test_what_is_left_out_says_why_and_may_be_asked_for(tmp_path, name, cells, reason, asked):
    path = csv(tmp_path, cells, name)
    found = inspect([path])
    assert [column.name for column in found.columns] == ["other"]
    (line,) = found.remarks
    assert re.fullmatch(f"left out: column '{name}' of data.csv: {reason}.*{KEEPS}", line), line

    (column,) = inspect([path], [name]).columns
    assert (column.name, words(column)) == (name, asked)


# Cells that cannot be read without being told how.
UNREADABLE = {
    "day or month first": (
        cycle("01/02/2020", "03/04/2020"),
        r"'01/02/2020' and all others are dates both in %d/%m/%Y and in %m/%d/%Y; data\.columns "
        r'decides: \{name: x, type: datetime, format: "%d/%m/%Y"\}',
    ),
    "days like their months": (
        cycle("01/01/2020", "02/02/2020"),
        "both in %d/%m/%Y and in %m/%d/%Y",
    ),
    "any order": (
        cycle("01-02-03", "04-05-06"),
        r"in %d-%m-%y and in %m-%d-%y and in %y-%m-%d; data\.columns decides",
    ),
    "times of day or month first": (
        cycle("01/02/2020 10:00", "03/04/2020 11:00"),
        r"both in %d/%m/%Y %H:%M and in %m/%d/%Y %H:%M",
    ),
    "nothing": (cycle("", "NA"), "it is empty in the first 60 rows, row 0 holds nothing"),
    "decimal commas": (cycle("0,5", "1,5"), r"row 0 holds '0,5' \(a comma inside a number is not"),
    "money": (cycle("$5", "$7"), r"row 0 holds '\$5' \(only the bare number is read\)"),
}


@pytest.mark.parametrize(("cells", "reason"), UNREADABLE.values(), ids=UNREADABLE)
def test_what_has_two_readings_or_none_is_said_and_refused_where_it_is_asked_for(
    tmp_path, cells, reason
):
    path = csv(tmp_path, cells)
    found = inspect([path])
    assert [column.name for column in found.columns] == ["other"]
    assert re.search(f"^{LEFT_OUT}.*{reason}", found.remarks[0]), found.remarks
    with pytest.raises(ValueError, match=f"data.csv: column 'x': .*{reason}") as caught:
        inspect([path], ["x", "other"])
    assert "\n" not in str(caught.value)


def test_a_given_type_is_taken_as_it_is(tmp_path):
    path = csv(tmp_path, cycle("01/02/2020", "03/04/2020"))
    when = Column(name="x", type="datetime", format="%m/%d/%Y")
    found = inspect([path], [when, "other"])
    assert found.columns == (when, Column(name="other", type="integer"))


def test_names_of_columns_that_are_wanted_but_not_there(tmp_path):
    path = csv(tmp_path, cycle("a", "b"))
    with pytest.raises(ValueError, match=r"no columns are called 'y' \(data\.columns\)"):
        inspect([path], ["x", "y"])


def test_few_rows_say_nothing_of_ids_and_constants(tmp_path):
    (tmp_path / "a.csv").write_text("n,c\n1,7\n2,7\n3,7\n")
    found = inspect([str(tmp_path / "a.csv")])
    assert [column.name for column in found.columns] == ["n", "c"]


def test_all_files_tell_the_type(tmp_path):
    paths = []
    for name, cells in {"a": ("1", "2"), "b": ("1.5", "2"), "c": ("", "3")}.items():
        (tmp_path / name).mkdir()
        paths.append(csv(tmp_path / name, cycle(*cells)))
    (column, _) = inspect(paths).columns
    assert words(column) == "number missing"
    assert words(inspect(paths[:1]).columns[0]) == "integer"


UTC = datetime.timezone.utc
MOMENTS = [datetime.datetime(2020, 1, day, 12, 30, tzinfo=UTC) for day in (1, 2)]
# Values of a Parquet column, the type that is found, and the first value.
TYPED = {
    "int8": (pa.array([1, None] * 30, pa.int8()), "integer missing", 1),
    "float": (pa.array([1.5, 2.0] * 30, pa.float32()), "number", 1.5),
    "float with NaN": (pa.array([1.5, np.nan] * 30), "number missing", 1.5),
    "decimal": (pa.array([decimal.Decimal("1.25"), decimal.Decimal(2)] * 30), "number", 1.25),
    "bool": (pa.array([True, False, None] * 20), "boolean missing", "True"),
    "string": (pa.array(["a", "b"] * 30), "categorical", "a"),
    "large string": (pa.array(["a", None] * 30, pa.large_string()), "categorical missing", "a"),
    "dictionary": (pa.array(["a", "b"] * 30).dictionary_encode(), "categorical", "a"),
    "dictionary of numbers": (pa.array([3, 5] * 30).dictionary_encode(), "integer", 3),
    "dictionary of many": (
        pa.array([f"n{n}" for n in range(N)]).dictionary_encode(),
        "categorical",
        "n0",
    ),
    "bytes of text": (pa.array([b"a", "é".encode(), None] * 20), "categorical missing", "a"),
    "bytes of numbers": (pa.array([b"1.5", b"2"] * 30), "number", 1.5),
    "bytes of dates": (
        pa.array([b"02/13/09", b"01/01/10"] * 30),
        "datetime %m/%d/%y",
        1_234_483_200_000_000,
    ),
    "date32": (
        pa.array([datetime.date(1970, 1, 2), datetime.date(2000, 1, 1)] * 30),
        "datetime %Y-%m-%d",
        86_400_000_000,
    ),
    "date64": (
        pa.array([datetime.date(1970, 1, 2), None] * 30, pa.date64()),
        "datetime %Y-%m-%d missing",
        86_400_000_000,
    ),
    "timestamp": (
        pa.array([1, 2_000_000] * 30, pa.timestamp("us")),
        "datetime %Y-%m-%d %H:%M:%S.%f",
        1,
    ),
    "timestamp in nanoseconds": (
        pa.array([1_001, 2_000_000_000] * 30, pa.timestamp("ns")),
        "datetime %Y-%m-%d %H:%M:%S.%f",
        1,
    ),
    "timestamp with a zone": (
        pa.array(MOMENTS * 30, pa.timestamp("s", "Europe/Rome")),
        "datetime %Y-%m-%d %H:%M:%S",
        1_577_881_800_000_000,
    ),
    "text of dates": (
        pa.array(["1970-01-02", "2000-01-01"] * 30),
        "datetime %Y-%m-%d",
        86_400_000_000,
    ),
    "text of numbers": (pa.array(["1.5", "2"] * 30), "number", 1.5),
    "whole dates": (pa.array([19_700_102, 20_000_101] * 30), "datetime %Y%m%d", 86_400_000_000),
}


@pytest.mark.parametrize(("values", "expected", "first"), TYPED.values(), ids=TYPED)
def test_parquet_columns(tmp_path, values, expected, first):
    path = tmp_path / "data.parquet"
    # Older versions have no nanoseconds.
    pq.write_table(pa.table({"x": values}), path, version="2.6")
    (column,) = inspect([str(path)]).columns
    assert words(column) == expected
    reader = TableReader(columns=[column])
    (shard,) = reader.shards(str(tmp_path), {"all": "data.parquet"})["all"]
    found = [record.values["x"] for record in reader.read(shard)]
    assert found[0] == first
    assert len(found) == N
    assert (None in found) == column.missing


@pytest.mark.parametrize(
    ("values", "given", "message"),
    [
        (
            [1.5],
            {"type": "categorical"},
            "'x' is double, not of the type categorical; .* number or",
        ),
        ([True], {"type": "integer"}, "'x' is bool, not of the type integer"),
        ([1], {"type": "boolean"}, "'x' is int64, not of the type boolean; its type could be"),
        ([1.5], {"type": "datetime"}, "'x' is double, not of the type datetime"),
        ([{"a": 1}], {}, r"'x' is struct<a: int64>, not of the type number \(data.columns\)"),
    ],
)
def test_parquet_columns_that_cannot_hold_the_type(tmp_path, values, given, message):
    pq.write_table(pa.table({"x": values}), tmp_path / "data.parquet")
    reader = TableReader(columns=[Column(name="x", **given)])
    with pytest.raises(ValueError, match=message):
        reader.shards(str(tmp_path), {"all": "data.parquet"})


def test_formats_are_told_apart_by_what_they_mean():
    assert len(dates.FORMATS) == len(set(dates.FORMATS))
    assert dates.formats_of(["1 May 2020"]) == ["%d %b %Y"]
    assert dates.formats_of([]) == []
