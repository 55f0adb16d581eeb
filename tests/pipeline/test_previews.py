"""The table of what there is in data, as `new`, `schema`, `validate` and a dry run print it."""

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from components.example_gen import dataset
from pipeline import cli, previews

COLOURS = ("L", "L", "RGB")
TABLE = "day,wind,price,city\n1,.5,1,Rome\n2,7,,Rome\n3,n/a,3,Oslo\n4,-2,4,Oslo\n"


def photos(folder):
    for number, mode in enumerate(COLOURS):
        path = folder / ("cats" if mode == "RGB" else "dogs") / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        Image.new(mode, (12, 8)).save(path)
    (folder / "cats" / "broken.png").write_bytes(b"no image")
    (folder / "Thumbs.db").write_bytes(b"")


def arrays(folder):
    np.savez(folder / "a.npz", images=np.zeros((9, 8, 8)), masks=np.zeros((9, 8, 8)))


def csv(folder):
    (folder / "a.csv").write_text(TABLE)


CASES = {
    "images": (
        photos,
        """\
records                 all 4
sizes (height x width)  8x12 (3)
modes                   L (2), RGB (1)
classes: 2              0 cats (2), 1 dogs (2)
bad records             1, the first: cats/broken.png: not an image file .*
left out                Thumbs.db: .*""",
    ),
    "arrays": (
        arrays,
        """\
records                 all 9
sizes (height x width)  8x8 (9)
modes                   float64, 1 channel (9)
classes                 no labels
left out                arrays a.npz#masks .*""",
    ),
}


@pytest.mark.parametrize(("make", "expected"), CASES.values(), ids=CASES)
def test_what_there_is(tmp_path, make, expected):
    make(tmp_path)
    lines = previews.text(dataset.inspect(str(tmp_path))).splitlines()
    wanted = expected.splitlines()
    assert len(lines) == len(wanted), lines
    for line, pattern in zip(lines, wanted, strict=True):
        head, star, _ = pattern.partition(".*")
        assert line.startswith(head) if star else line == head


def test_a_name_of_two_lines_takes_one(tmp_path):
    (tmp_path / "a\nb").mkdir()
    Image.new("L", (8, 8)).save(tmp_path / "a\nb" / "1.png")
    assert "0 a\\nb (1)" in previews.text(dataset.inspect(str(tmp_path)))


def test_columns_of_a_table(tmp_path):
    csv(tmp_path)
    found = dataset.inspect(str(tmp_path), columns=["day", "wind"])
    assert previews.text(found).splitlines() == [
        "records      all 4",
        "classes      no labels",
        "column day   integer, 1 to 4",
        "column wind  number, -2.0 to 7.0; missing (1)",
        "             a.csv: column 'wind': row 2 holds 'n/a', taken for missing, as are 1 of the "
        "first 4",
    ]


def test_columns_of_every_type(tmp_path):
    lines = ["id,born,sex,alive,weight,note,unit"]
    for row in range(40):
        born = f"{row % 28 + 1:02}.{row % 12 + 1:02}.1990" if row % 10 else ""
        weight = "heavy" if row == 7 else 50 + row % 9 / 2
        sex = ("f", "m", "f", "x")[row % 4]
        lines.append(f"{row},{born},{sex},{row % 3 == 0},{weight},note {row},kg")
    (tmp_path / "a.csv").write_text("\n".join(lines))
    assert previews.text(dataset.inspect(str(tmp_path))).splitlines() == [
        "records        all 40",
        "classes        no labels",
        "column born    datetime %d.%m.%Y, 09.01.1990 to 24.12.1990; missing (4)",
        "column sex     categorical, 3: f (20), m (10), x (9)",
        "column alive   boolean, 2: False (25), True (14)",
        "column weight  number, 50.0 to 54.0",
        "bad records    1, the first: a.csv#7: the column 'weight' holds 'heavy', expected a "
        "number (finite, 32 bits)",
        "               a.csv: column 'weight': row 7 holds 'heavy'; rows without a number are bad "
        "records, 1 of the first 40",
        "left out       column 'id' of a.csv: an id: the first 40 rows hold different, increasing "
        "whole numbers; data.columns (--columns) keeps it",
        "left out       column 'note' of a.csv: an id or free text: the first 40 rows hold "
        "different text; row 0 holds 'note 0'; data.columns (--columns) keeps it",
        "left out       column 'unit' of a.csv: a constant: all of the first 40 rows hold 'kg'; "
        "data.columns (--columns) keeps it",
    ]


def test_columns_that_are_left_out_name_the_first_cell(tmp_path):
    (tmp_path / "b.csv").write_text('x,price\n1,"1,000"\n')
    *_, line = previews.text(dataset.inspect(str(tmp_path))).splitlines()
    assert line.startswith("left out  column 'price' of b.csv: row 0 holds '1,000'")


def test_of_many_classes_and_columns_some_are_named(tmp_path):
    names = [f"c{number}" for number in range(30)]
    rows = [",".join([f"{number}.5"] * 30 + [f"k{number}"]) for number in range(25)]
    (tmp_path / "a.csv").write_text("\n".join([",".join([*names, "label"]), *rows]))
    lines = previews.text(dataset.inspect(str(tmp_path))).splitlines()
    assert "classes: 25 " in lines[1]
    assert lines[1].endswith(", 5 more")
    assert [line.split()[:2] for line in lines[2:22]] == [["column", name] for name in names[:20]]
    assert lines[22].split() == ["columns", "10", "more"]


def test_schema_writes_it_beside_itself(tmp_path):
    (tmp_path / "d").mkdir()
    generator = np.random.default_rng(0)
    for number in range(30):
        pixels = generator.integers(0, 255, (8, 8), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "d" / f"{number}.png")
    arguments = ["schema", str(tmp_path / "d"), "--out", str(tmp_path / "s.pbtxt")]
    result = CliRunner().invoke(cli.main, arguments)

    assert result.exit_code == 0, result.output
    written = (tmp_path / "s.preview.txt").read_text()
    assert written.startswith("records                 all 30\n")
    assert written in result.stderr
    assert str(tmp_path / "s.preview.txt") in result.stdout
