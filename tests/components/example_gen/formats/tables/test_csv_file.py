"""CSV files as people have them: what is read of each, and what is said about the rest."""

import gzip
import re

import pytest

from components.data.columns import Column
from components.example_gen.formats.table import TableReader
from components.example_gen.formats.tables.inspection import inspect

N = 60


def lines(header, row, count=N):
    rows = (row(index) for index in range(count))
    return "".join(f"{line}\n" for line in ([header, *rows] if header else rows))


def mixed(index):
    """Different whole numbers in no order; in order, they would be an id."""
    return index * 37 % 61


def write(base, content, name="data.csv"):
    path = base / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


# Content, the numeric columns, the column of labels, what is said.
READ = {
    "thousands": (
        lines("price,area", lambda i: f'"{i + 1},000",{mixed(i)}'),
        ("area",),
        None,
        r"left out: column 'price' .*row 0 holds '1,000' \(a comma inside a number",
    ),
    "one cell of thousands": (
        lines(
            "price,area", lambda i: f'"1,000",{mixed(i)}' if i == 7 else f"{mixed(i)},{mixed(i)}"
        ),
        ("price", "area"),
        None,
        r"column 'price': row 7 holds '1,000' .*bad records, 1 of the first 60",
    ),
    "decimal commas": (
        lines("a;b", lambda i: f"{mixed(i)},5;{mixed(i)}"),
        ("b",),
        None,
        "column 'a' .*row 0 holds '0,5'",
    ),
    "R's NA": (
        lines("a,b", lambda i: f"{mixed(i)},{'NA' if i % 7 == 3 else mixed(i)}"),
        ("a", "b"),
        None,
        "column 'b': row 3 holds 'NA', taken for missing, as are 9 of the first 60",
    ),
    "nan": (
        lines("a,b", lambda i: f"{mixed(i)},{'nan' if i == 3 else mixed(i)}"),
        ("a", "b"),
        None,
        "column 'b': row 3 holds 'nan'",
    ),
    "an empty cell": (
        lines("a,b", lambda i: f"{mixed(i)},{'' if i == 3 else mixed(i)}"),
        ("a", "b"),
        None,
        "",
    ),
    "a column of nothing": (
        lines("a,b", lambda i: f"{mixed(i)},NULL"),
        ("a",),
        None,
        "left out: column 'b' .*it is empty in the first 60 rows, row 0 holds 'NULL'",
    ),
    "dates": (
        lines("date,temp", lambda i: f"2020-01-{i % 28 + 1:02},{mixed(i)}"),
        ("date", "temp"),
        None,
        "",
    ),
    "text in a fifth of the rows": (
        lines("a,b", lambda i: f"{mixed(i)},{'x' if i % 5 == 2 else i}"),
        ("a",),
        None,
        "left out: column 'b' .*row 2 holds 'x', 12 of the first 60 are no numbers",
    ),
    "money and shares": (
        lines("a,b,c", lambda i: f"{mixed(i)}%,${mixed(i)},{mixed(i)}"),
        ("c",),
        None,
        r"column 'a' .*row 0 holds '0%' \(only the bare number is read\)",
    ),
    "labels that are numbers": (
        lines("a,label", lambda i: f"{mixed(i)},{float(i % 2)}"),
        ("a", "label"),
        None,
        "column 'label' is one of numbers, not of labels: row 0 holds '0.0'",
    ),
    "labels with one nan": (
        lines("a,label", lambda i: f"{mixed(i)},{'nan' if i == 3 else i % 2}"),
        ("a",),
        "label",
        "labels 'label': row 3 holds 'nan'; a word is a class .*, a row without one a bad record",
    ),
    "labels with one NA": (
        lines("a,label", lambda i: f"{mixed(i)},{'NA' if i == 3 else 'ab'[i % 2]}"),
        ("a",),
        "label",
        "labels 'label': row 3 holds 'NA'; a word is a class of its own",
    ),
    "a column without a name": (
        lines(",b", lambda i: f"{mixed(i)},{mixed(i)}"),
        ("b",),
        None,
        "left out: a column of data.csv without a name",
    ),
    "UTF-16": (
        lines("a,b", lambda i: f"{mixed(i)},{mixed(i)}").encode("utf-16"),
        ("a", "b"),
        None,
        "",
    ),
    "Excel's sep": (lines("sep=;\na;b", lambda i: f"{mixed(i)};{mixed(i)}"), ("a", "b"), None, ""),
    "pipes": (lines("a|b", lambda i: f"{mixed(i)}|{mixed(i)}"), ("a", "b"), None, ""),
    "years": (
        lines("place,2019,2020", lambda i: f"x{mixed(i)},{mixed(i)},{mixed(i)}"),
        ("2019", "2020"),
        None,
        "place",
    ),
    "names beside one number": (
        lines("a,7", lambda i: f"{mixed(i)},{mixed(i)}"),
        ("a", "7"),
        None,
        "",
    ),
}


@pytest.mark.parametrize(("content", "columns", "label", "remark"), READ.values(), ids=READ)
def test_what_is_read_and_what_is_said(tmp_path, content, columns, label, remark):
    found = inspect([write(tmp_path, content)])
    assert ([each.name for each in found.columns], found.label) == (list(columns), label)
    text = "; ".join(found.remarks)
    assert bool(found.remarks) == bool(remark), text
    assert re.search(remark, text), text


# Content, and the error of `inspect`.
REFUSED = {
    "no header": (
        lines("", lambda i: f"{5 + i}.1,3.5,{i}.4"),
        r"the first row, 5\.1, 3\.5, 0\.4, looks like data, .*data\.header",
    ),
    "no header, whole numbers": (lines("", lambda i: f"{i},{i},{i}"), "0, 0, 0, looks like data"),
    "no header, a class": (lines("", lambda i: f"{i}.5,setosa"), "0.5, setosa, looks like data"),
    "no header, as Adult": (
        lines("", lambda i: f"39,State-gov,{77516 - i},Bachelors,13"),
        "looks like data",
    ),
    "no header, a repeated word": (lines("", lambda i: f"{i},a{i % 2}"), "0, a0, looks like data"),
    "counts in place of names": (
        lines("150,4,setosa,virginica", lambda i: f"{i},1,2,0"),
        "looks like data",
    ),
    "only a header": ("a,b\n", "no rows; the header names a, b"),
    "one field more in every row": (
        lines("a,b", lambda i: f"{i},{i},"),
        "the first row, a, b, has 2 fields, the others have 3",
    ),
    "a comment": (lines("# by me\na,b", lambda i: f"{i},{i}"), "the first row, # by me, is one"),
    "spaces": (lines("a b", lambda i: f"{i} {i}"), "is one field; fields are separated by"),
    "a quote inside": ('a,b\n1,"5" pipe"\n2,3\n', r"not a whole CSV file \(line 2: ',' expected"),
    "a name twice": (lines("a,a,b", lambda i: f"{mixed(i)},{i},{i}"), "2 columns are called 'a'"),
    "only decimal commas": (
        lines("a;b", lambda i: f"{i},5;{i},5"),
        "no column to learn; found a, b; left out: .*'0,5' .*comma",
    ),
    "UTF-16 without its mark": (
        lines("a,b", lambda i: f"{i},{i}").encode("utf-16-le"),
        r"the first row holds NUL bytes; .*data\.encoding: utf-16-le",
    ),
    "Latin-1 in the header": (
        lines("gr\xf6\xdfe,b", lambda i: f"{i},{i}").encode("latin-1"),
        r"the first row holds 'gr\\xf6\\xdfe': the byte 0xf6 is not utf-8; .*data\.encoding",
    ),
}


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize(("content", "message"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_table_of_names_and_numbers(tmp_path, content, message, zipped):
    content = content if isinstance(content, bytes) else content.encode()
    name = "data.csv.gz" if zipped else "data.csv"
    with pytest.raises(ValueError, match=message) as caught:
        inspect([write(tmp_path, gzip.compress(content) if zipped else content, name)])
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def read(base, **options):
    """The values of the columns, and the class or what is wrong, of every row."""
    columns = [Column(name=name) for name in options.pop("columns")]
    reader = TableReader(columns=columns, **options)
    (shard,) = reader.shards(str(base), {"all": "data.csv"})["all"]
    return [
        ([raw.values.get(column.name) for column in columns], raw.error or raw.class_name)
        for raw in reader.records(shard)
    ]


@pytest.mark.parametrize(
    ("content", "options", "expected"),
    [
        ("1,2\n3,4\n", {"columns": ["2"], "header": False}, [(["2"], None), (["4"], None)]),
        ("1,2\n3,4\n", {"columns": ["2"], "header": True}, [(["4"], None)]),
        ("1,2\n3,4\n", {"columns": ["2"]}, [(["4"], None)]),
        (
            "\xe4;class\n1;caf\xe9\n".encode("cp1252"),
            {"columns": ["\xe4"], "encoding": "cp1252"},
            [(["1"], "caf\xe9")],
        ),
        (
            "a\tclass\n1\tcaf\xe9\n".encode("utf-16"),
            {"columns": ["a"]},
            [(["1"], "caf\xe9")],
        ),
        (
            "\ufeffa,class\n1,\u732b\n".encode(),
            {"columns": ["a"], "encoding": "utf-8"},
            [(["1"], "\u732b")],
        ),
    ],
)
def test_keys_decide(tmp_path, content, options, expected):
    write(tmp_path, content)
    assert read(tmp_path, **options) == expected


def test_a_class_that_is_not_in_the_encoding_is_a_bad_record(tmp_path):
    write(tmp_path, "a,label\n1,cafe\n2,caf\xe9\n".encode("latin-1"))
    (_, first), (_, second) = read(tmp_path, columns=["a"])
    assert first == "cafe"
    assert r"the column 'label' holds 'caf\xe9': the byte 0xe9 is not utf-8" in second


@pytest.mark.parametrize(
    ("encoding", "message"),
    [("latin-15", "data.encoding: no encoding 'latin-15'"), ("base64", "no encoding 'base64'")],
)
def test_an_unknown_encoding(encoding, message):
    with pytest.raises(ValueError, match=message):
        TableReader(columns=[Column(name="a")], encoding=encoding)


def test_text_that_is_not_in_the_encoding_at_all(tmp_path):
    write(tmp_path, b"\xff\xfea\0\n\0\0")
    with pytest.raises(ValueError, match=r"data\.csv: the text is not UTF-16"):
        inspect([str(tmp_path / "data.csv")])


def test_labels_in_one_file_alone_are_refused(tmp_path):
    write(tmp_path, "a,label\n1,x\n", "train.csv")
    write(tmp_path, "a\n1\n", "test.csv")
    with pytest.raises(ValueError, match=r"test\.csv: no labels, but .*train\.csv has some"):
        TableReader(columns=[Column(name="a")]).shards(
            str(tmp_path), {"train": "train.csv", "eval": "test.csv"}
        )


def test_many_columns(tmp_path):
    """Were the time in proportion to the square, this test would take a quarter of a minute."""
    columns = [f"g{index}" for index in range(20_000)]
    path = write(tmp_path, lines(",".join(columns), lambda _: ",".join(["1"] * 20_000), 4))
    assert len(inspect([path]).columns) == 20_000
    assert len(read(tmp_path, columns=columns)) == 4
