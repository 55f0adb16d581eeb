"""`tfx-gan new`, `schema` and `validate`, from data to files and exit codes."""

import csv
import os
import random

import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from PIL import Image
from sklearn.datasets import load_digits
from tensorflow_data_validation.statistics import stats_impl
from tfx_bsl.coders import example_coder

from components.data import examples, vectors
from components.data.columns import Column
from components.data_validator import proposal, statistics
from components.example_gen.ledger import Ledger
from pipeline import cli, config, onboarding, validation
from pipeline.runners import local


def invoke(*arguments):
    return CliRunner().invoke(cli.main, [str(argument) for argument in arguments])


def write_digits(folder, count=400):
    """As `<class>/<number>.png`."""
    images, labels = load_digits(return_X_y=True)
    for number in range(count):
        path = folder / str(labels[number]) / f"{number:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.uint8(images[number].reshape(8, 8) * 255 / 16)).save(path)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Digits with one bad file, and what `tfx-gan new` makes of them."""
    folder = tmp_path_factory.mktemp("new")
    write_digits(folder / "digits")
    (folder / "digits" / "3" / "bad.png").write_bytes(b"no image")
    return folder, invoke("new", folder / "digits", "--out", folder / "My Digits!")


def test_new_makes_a_recipe_that_can_run(made):
    folder, result = made
    assert result.exit_code == 0, result.output
    out = folder / "My Digits!"
    assert sorted(os.listdir(out)) == [
        "recipe.yaml",
        "schema.pbtxt",
        "schema.preview.txt",
        "schema.statistics.pb",
    ]
    assert sorted(os.listdir(folder)) == ["My Digits!", "digits"]

    recipe = config.load(str(out / "recipe.yaml"))
    assert recipe.name == "my-digits"
    assert recipe.data.path == str(folder / "digits")
    assert recipe.data.image_shape == (8, 8, 1)
    assert recipe.data.on_bad_record == "quarantine"
    assert recipe.data.schema_path == str(out / "schema.pbtxt")
    assert recipe.validation.reference == str(out / "schema.statistics.pb")
    assert recipe.feature_extractor.kind == "classifier"
    assert proposal.spec_of(proposal.read(recipe.data.schema_path)) == recipe.data.spec
    config.check_data(recipe)
    assert set(recipe.data.dataset().patterns) == {"all"}

    assert "rejected" in result.stdout
    assert "refuse" not in result.stderr


def test_what_is_there_is_not_overwritten(made):
    folder, _ = made
    again = invoke("new", folder / "digits", "--out", folder / "My Digits!")
    assert again.exit_code == 1
    assert "exists already" in again.stderr

    schema = folder / "My Digits!" / "schema.pbtxt"
    again = invoke("schema", folder / "digits", "--out", schema)
    assert again.exit_code == 1
    assert "schema.pbtxt: exists already; --force replaces it" in again.stderr


def test_half_garbage_is_a_table_pages_and_an_exit_code(made, tmp_path):
    folder, _ = made
    write_digits(tmp_path / "data")
    files = sorted((tmp_path / "data").rglob("*.png"))
    for path in random.Random(0).sample(files, len(files) // 2):
        path.write_bytes(b"garbage" * 10)
    out = tmp_path / "out"
    schema = folder / "My Digits!" / "schema.pbtxt"
    result = invoke("validate", tmp_path / "data", "--schema", schema, "--out", out)

    assert result.exit_code == 3, result.output
    rows = [line.split("│")[1:3] for line in result.stdout.splitlines() if line.count("│") == 3]
    counts = {name.strip(): value.strip() for name, value in rows}
    assert counts["rejected"] == "200"
    assert int(counts["examples of train"]) + int(counts["examples of eval"]) == 200
    assert "200 of 400 records are bad" in " ".join(result.stdout.split())
    page = (out / "anomalies.html").read_text()
    assert "The first 20 of 200." in page
    assert "not an image file" in page
    assert "Train and reference" in (out / "statistics.html").read_text()


def test_serving_data_are_compared_with_what_was_trained_on(made, tmp_path):
    folder, _ = made
    images, _ = load_digits(return_X_y=True)
    for number in range(200):
        pixels = 255 - np.uint8(images[number].reshape(8, 8) * 255 / 16)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    found = validation.validate(
        str(tmp_path),
        schema=str(folder / "My Digits!" / "schema.pbtxt"),
        serving=True,
        log=lambda line: None,
    )
    assert found.examples == {"all": 200}
    assert {each.feature for each in found.findings} == {"image/mean"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--schema: missing, and the recipe has no data.schema"),
        (["--schema", "nowhere.pbtxt"], "nowhere.pbtxt"),
        (["--schema", "{tmp}/loose.pbtxt"], "has no int_domain with one size"),
        (["--schema", "{tmp}/loose.pbtxt", "--recipe", "nowhere.yaml"], "no such recipe"),
    ],
)
def test_validate_names_what_it_lacks(tmp_path, arguments, message):
    (tmp_path / "loose.pbtxt").write_text('feature { name: "image/height" type: INT }')
    result = invoke("validate", tmp_path, *(each.format(tmp=tmp_path) for each in arguments))
    assert result.exit_code == 1
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.fixture(scope="module")
def statistics_of():
    """Counts serialized tf.Examples, as StatisticsGen does."""

    def count(records):
        batch = example_coder.ExamplesToRecordBatchDecoder().DecodeBatch(records)
        return stats_impl.generate_statistics_in_memory(batch, statistics.options())

    return count


def observed(records, statistics_of, **counts):
    """As if ExampleGen and StatisticsGen had run on the records, of which a fifth are for eval."""
    held_out = len(records) // 5
    splits = {"train": records[held_out:], "eval": records[:held_out]}
    return local.Inspection(
        {split: statistics_of(each) for split, each in splits.items()},
        Ledger({f"examples/{split}": len(each) for split, each in splits.items()} | counts),
        {},
        (),
    )


def images(count, size, label=lambda n: None):
    random = np.random.default_rng(0)
    return [
        examples.to_example(
            examples.from_array(random.integers(0, 256, size, np.uint8), f"{n}.png", label(n))
        ).SerializeToString()
        for n in range(count)
    ]


def test_a_schema_comes_with_statistics_and_says_what_is_wrong(
    tmp_path, monkeypatch, statistics_of
):
    Image.new("L", (30, 20)).save(tmp_path / "1.png")
    found = observed(images(200, (16, 16), lambda n: int(n % 20 == 0)), statistics_of)
    read = []
    monkeypatch.setattr(local, "inspect", lambda data, log: read.append(data) or found)
    out = tmp_path / "s.pbtxt"
    command = ["schema", tmp_path, "--out", out, "--image-shape", "16,16,1", "--fit", "pad"]
    result = invoke(*command)

    assert result.exit_code == 0, result.output
    assert (read[0].image_shape, read[0].fit) == ((16, 16, 1), "pad")
    assert proposal.spec_of(proposal.read(str(out))) == read[0].spec
    kept = statistics.read(str(tmp_path / "s.statistics.pb"))
    assert kept.datasets[0].num_examples == 160
    assert "Classes out of balance" in result.stdout

    written = out.read_bytes()
    out.write_bytes(b"")
    assert invoke(*command, "--force").exit_code == 0
    assert out.read_bytes() == written


def new(folder, out, found, monkeypatch):
    """The recipe for data that are read as `found`."""
    monkeypatch.setattr(local, "inspect", lambda data, log: found)
    onboarding.write_recipe(str(folder), str(out), lambda line: None)
    return yaml.safe_load((out / "recipe.yaml").read_text())


def test_a_batch_is_no_larger_than_the_data(tmp_path, monkeypatch, statistics_of):
    for number in range(12):
        Image.new("L", (8, 8)).save(tmp_path / f"{number}.png")
    found = observed(images(12, (8, 8)), statistics_of)
    recipe = new(tmp_path, tmp_path / "out", found, monkeypatch)
    assert recipe["trainer"]["batch_size"] == 5


def write_splits(folder):
    for number, name in enumerate(["train/cat", "train/dog", "val/cat", "test/cat"]):
        (folder / name).mkdir(parents=True)
        Image.new("L", (8, 8), number).save(folder / name / f"{number}.png")
    (folder / "labels.csv").write_text("file,label\ntrain/cat/0.png,b\ntest/cat/3.png,a\n")


@pytest.mark.parametrize(
    ("arguments", "data", "left_out"),
    [
        (
            ["d"],
            {"path": "{tmp}/d", "splits": {"train": "train/*/*", "eval": "test/*/*"}},
            ["labels.csv and 1 more: in no split"],
        ),
        (
            ["d", "--splits", "train=train/*/*", "--splits", "eval=val/*/*"],
            {"path": "{tmp}/d", "splits": {"train": "train/*/*", "eval": "val/*/*"}},
            ["labels.csv and 1 more: in no split"],
        ),
        (
            ["d", "--splits", "all=*/*/*", "--labels", "labels.csv", "--format", "folder"],
            {
                "path": "{tmp}/d",
                "splits": {"all": "*/*/*"},
                "labels": "labels.csv",
                "format": "folder",
            },
            [],
        ),
        (["d/train", "d/test"], {"path": ["{tmp}/d/train", "{tmp}/d/test"]}, []),
        (["t.csv", "--columns", 'wind,"a,b"'],
         {"path": "{tmp}/t.csv", "columns": [{"name": "wind", "type": "integer"}, "a,b"]}, []),
        (["t.csv", "--set", "data.columns=[c, {name: wind, missing: true}]"],
         {"path": "{tmp}/t.csv",
          "columns": ["c", {"name": "wind", "type": "number", "missing": True}]}, []),
    ],
)  # fmt: skip
def test_new_is_told_how_to_read(tmp_path, monkeypatch, statistics_of, arguments, data, left_out):
    write_splits(tmp_path / "d")
    (tmp_path / "t.csv").write_text('wind,"a,b",c\n1,2.5,3\n')
    found = observed(images(40, (8, 8)), statistics_of)
    monkeypatch.setattr(local, "inspect", lambda data, log: found)
    monkeypatch.setattr(config, "check_data", lambda recipe: None)
    monkeypatch.chdir(tmp_path)
    result = invoke("new", *arguments, "--out", "1234")
    assert result.exit_code == 0, result.output
    recipe = yaml.safe_load((tmp_path / "1234" / "recipe.yaml").read_text())
    assert recipe["name"] == "1234"
    keys = ("path", "splits", "labels", "format", "columns")
    text = yaml.safe_dump(data).replace("{tmp}", str(tmp_path))
    assert {key: recipe["data"][key] for key in keys if key in recipe["data"]} == yaml.safe_load(
        text
    )
    lines = [line for line in result.stderr.splitlines() if line.startswith("left out ")]
    assert [line.removeprefix("left out").strip() for line in lines] == left_out


def test_a_table_has_columns(tmp_path, monkeypatch, statistics_of):
    random = np.random.default_rng(0)
    path = tmp_path / "weather.csv"
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["wind", "date", "température", "label"])
        writer.writerows([n / 7, f"2026-01-{n}", -n, "rain"] for n in range(50))
    records = [
        vectors.to_example(
            vectors.VectorRecord({"wind": wind, "température": 5}, "weather.csv#0", 0)
        ).SerializeToString()
        for wind in random.uniform(size=100)
    ]
    found = observed(records, statistics_of, **{"noted/leak": 3})
    recipe = new(path, tmp_path / "out", found, monkeypatch)
    assert recipe["data"]["path"] == str(path)
    assert recipe["data"]["columns"] == ["wind", {"name": "température", "type": "integer"}]
    assert recipe["data"]["on_leak"] == "drop"
    networks = {"generator": "mlp", "discriminator": "mlp", "width": 128}
    assert recipe["trainer"]["networks"] == networks
    assert "feature_extractor" not in recipe
    assert set(recipe["evaluator"]["gate"]["bounds"]) == {
        "column_distance",
        "correlation_difference",
        "two_sample_accuracy",
    }


@pytest.mark.parametrize(
    ("header", "row", "lines"),
    [
        ('"a, b",c', "{half},{half}", ["  columns: ['a, b', c]"]),
        (
            '"a: b",when,sex',
            "{half},1{day}.02.2020,{sex}",
            [
                "  columns:                     # types: docs/data.md; a name alone is a column of "
                "numbers",
                "    - 'a: b'",
                "    - {name: when, type: datetime, format: '%d.%m.%Y'}",
                "    - {name: sex, type: categorical, missing: true}",
            ],
        ),
    ],
)
def test_columns_in_a_recipe_are_readable(tmp_path, monkeypatch, statistics_of, header, row, lines):
    rows = [
        row.format(half=n * 37 % 61 / 2, day=n % 9 + 1, sex=("f", "m", "")[n % 3])
        for n in range(60)
    ]
    (tmp_path / "a.csv").write_text("\n".join([header, *rows, ""]))
    found = observed(images(40, (8, 8)), statistics_of)
    new(tmp_path / "a.csv", tmp_path / "out", found, monkeypatch)
    text = (tmp_path / "out" / "recipe.yaml").read_text().splitlines()
    first = text.index(lines[0])
    assert text[first : first + len(lines)] == lines
    assert text[first + len(lines)].startswith("  ") and "- " not in text[first + len(lines)]


def test_a_table_of_every_type_from_new_to_validate(tmp_path):
    """What `new` writes is what `validate` knows, and what is wrong is named by its column."""

    def table(path, change=lambda row: row):
        random_rows = random.Random(0)
        with open(path, "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["id", "age", "joined", "member", "sex", "wind"])
            for number in range(400):
                row = {
                    "id": number,
                    "age": random_rows.randrange(18, 90) if random_rows.random() > 0.05 else "NA",
                    "joined": f"{random_rows.randrange(1, 29):02}/{number % 12 + 1:02}/2020",
                    "member": random_rows.choice(["true", "false"]),
                    "sex": random_rows.choice("fm"),
                    "wind": round(random_rows.gammavariate(2, 2), 1),
                }
                writer.writerow(change(row).values())
        return path

    data = table(tmp_path / "people.csv")
    out = tmp_path / "people"
    result = invoke("new", data, "--out", out)
    assert result.exit_code == 0, result.output
    recipe = config.load(str(out / "recipe.yaml"))
    assert recipe.model_dump(mode="json")["data"]["columns"] == [
        {"name": "age", "type": "integer", "missing": True},
        {"name": "joined", "type": "datetime", "format": "%d/%m/%Y"},
        {"name": "member", "type": "boolean"},
        {"name": "sex", "type": "categorical"},
        "wind",
    ]
    schema = out / "schema.pbtxt"
    assert proposal.spec_of(proposal.read(str(schema))) == recipe.data.spec
    assert "column 'id' of people.csv: an id" in (out / "schema.preview.txt").read_text()

    changed = table(
        tmp_path / "changed.csv",
        lambda row: (
            row
            | {
                "sex": "x" if row["id"] % 9 == 0 else row["sex"],
                "age": "",
                "wind": row["wind"] + 30,
            }
        ),
    )
    pages = tmp_path / "pages"
    result = invoke("validate", changed, "--schema", schema, "--out", pages)
    assert result.exit_code == 3, result.output
    page = (pages / "anomalies.html").read_text()
    for name, named in {"age": True, "joined": False, "sex": True, "wind": True}.items():
        assert (f"column/{name}" in page) == named


@pytest.mark.parametrize(
    ("rows", "largest"),
    [
        (2000, (2, 5, 4)),
        # Of these, the rows that the preview looks at hardly ever repeat.
        (6000, (20, 20, 20)),
    ],
)
def test_a_table_whose_rows_may_be_equal_is_not_refused_for_it(tmp_path, rows, largest):
    draw = random.Random(0)
    made = [
        ",".join("abcdefghijklmnopqrst"[draw.randrange(most)] for most in largest[:2])
        + f",{draw.randrange(largest[2])}"
        for _ in range(rows)
    ]
    (tmp_path / "a.csv").write_text("\n".join(["sex,job,kids", *made, ""]))

    result = invoke("new", tmp_path / "a.csv", "--out", tmp_path / "out")

    assert result.exit_code == 0, result.output
    assert "will refuse" not in result.output
    assert ("read again" in result.output) == (rows > 5000)
    recipe = config.load(str(tmp_path / "out" / "recipe.yaml"))
    assert (recipe.data.divide_by, recipe.data.on_leak) == ("row", "keep")
    assert recipe.validation.max_duplicate_fraction == 1
    # There is one column of numbers, which correlates with no other.
    assert set(recipe.evaluator.gate.bounds) == {"column_distance", "two_sample_accuracy"}


@pytest.mark.parametrize(
    ("options", "fit"),
    [({}, "exact"), ({"image_shape": [8, 8, 1]}, "crop"), ({"fit": "stretch"}, "stretch")],
)
def test_images_are_fitted_where_they_must_be(tmp_path, options, fit):
    Image.new("L", (12, 12)).save(tmp_path / "1.png")
    assert onboarding.inspect(str(tmp_path), **options).data.fit == fit


@pytest.mark.parametrize(
    ("name", "content", "refusal", "override", "expected"),
    [
        (
            "a.csv",
            b"1.5,2.5\n3.5,4.5\n",
            "data.header",
            "data.header=false",
            {"columns": (Column(name="1"), Column(name="2"))},
        ),
        (
            "a.csv",
            "\xe4,b\n1.5,2.5\n".encode("cp1252"),
            "data.encoding",
            "data.encoding=cp1252",
            {"columns": (Column(name="\xe4"), Column(name="b"))},
        ),
        ("a.npy", (8, 9, 3), "data.arrays: image", "data.arrays=image", {"image_shape": (8, 8, 3)}),
        ("a.npy", (3, 8, 8), "data.arrays: stack", "data.arrays=stack", {"image_shape": (8, 8, 1)}),
    ],
)
def test_what_new_refuses_names_the_key_that_decides(
    tmp_path, name, content, refusal, override, expected
):
    if isinstance(content, bytes):
        (tmp_path / name).write_bytes(content)
    else:
        np.save(tmp_path / name, np.zeros(content, np.uint8))
    with pytest.raises(ValueError, match=refusal):
        onboarding.inspect(str(tmp_path))
    found = onboarding.inspect(str(tmp_path), overrides=[override])
    assert {key: getattr(found.data, key) for key in expected} == expected
    key, _, value = override.removeprefix("data.").partition("=")
    assert str(found.settings[key]).lower() == value
    assert getattr(found.data, key) == found.settings[key]


def test_columns_are_named_once_and_there_are_such(tmp_path):
    (tmp_path / "a.csv").write_text("x,y\n1,2\n")
    with pytest.raises(ValueError, match=r"--columns: data\.columns is set too"):
        onboarding.inspect(str(tmp_path), columns=["x"], overrides=["data.columns=[x]"])
    with pytest.raises(ValueError, match="columns.*column type 'text'"):
        onboarding.inspect(str(tmp_path), overrides=["data.columns=[{name: x, type: text}]"])
    with pytest.raises(ValueError, match=r"no columns are called 'z' \(data\.columns\)"):
        onboarding.inspect(str(tmp_path), columns=["z"])


def test_other_keys_are_not_for_new(tmp_path):
    with pytest.raises(ValueError, match=r"--set data\.path: new takes data\.arrays, .*edit the"):
        onboarding.inspect(str(tmp_path), overrides=["data.path=x"])
    with pytest.raises(ValueError, match="--set trainer: new takes"):
        onboarding.inspect(str(tmp_path), overrides=["trainer.images=3"])


def test_a_table_is_not_fitted(tmp_path):
    (tmp_path / "a.csv").write_text("x,y\n1,2.5\n")
    x, y = Column(name="x", type="integer"), Column(name="y")
    assert onboarding.inspect(str(tmp_path)).data.columns == (x, y)
    with pytest.raises(ValueError, match="fit: .*crop"):
        onboarding.inspect(str(tmp_path), fit="crop")


@pytest.mark.parametrize(
    ("sizes", "mode", "shape", "fit", "extractor"),
    [
        ([(48, 32)], "L", [32, 48, 1], "exact", "self_supervised"),
        ([(640, 480)], "RGB", [64, 64, 3], "crop", "efficientnet_lite0"),
        ([(90, 40), (30, 50)], "RGB", [32, 32, 3], "crop", "efficientnet_lite0"),
        ([(30, 30)], "L", [24, 24, 1], "crop", "self_supervised"),
        ([(5, 5)], "L", [8, 8, 1], "crop", "self_supervised"),
    ],
)
def test_the_size_is_one_that_networks_can_make(
    tmp_path, monkeypatch, statistics_of, sizes, mode, shape, fit, extractor
):
    for number in range(40):
        path = tmp_path / "data" / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        Image.new(mode, sizes[number % len(sizes)]).save(path)
    found = observed(images(40, shape), statistics_of)
    recipe = new(tmp_path / "data", tmp_path / "out", found, monkeypatch)
    assert recipe["data"]["image_shape"] == shape
    assert recipe["data"].get("fit", "exact") == fit
    assert recipe["feature_extractor"] == {"kind": extractor}


def test_classes_with_few_images_are_not_for_a_classifier(tmp_path, monkeypatch, statistics_of):
    for number in range(40):
        Image.new("L", (8, 8)).save(tmp_path / f"{number}.png")
    kinds = []
    for classes in (2, 40):
        found = observed(images(200, (8, 8), lambda n, k=classes: n % k), statistics_of)
        recipe = new(tmp_path, tmp_path / f"out{classes}", found, monkeypatch)
        kinds.append(recipe["feature_extractor"]["kind"])
    assert kinds == ["classifier", "self_supervised"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (
            ["new", "{tmp}/nowhere", "--out", "{tmp}/out"],
            1,
            "{tmp}/nowhere: no such file or folder",
        ),
        (["new", "{tmp}/*.png", "--out", "{tmp}/out"], 1, "no such file"),
        (["new", "{tmp}", "--out", "{tmp}/out"], 1, "none of 1 records is an image"),
        (["schema", "{tmp}", "--out", "{tmp}/s", "--fit", "fill"], 1, "none of 1 records"),
        (["schema", "{tmp}", "--out", "{tmp}/s", "--image-shape", "64x64"], 2, "64,64,3"),
        (["new", "{tmp}", "--out", "{tmp}/o", "--splits", "train"], 2, "train=2024/*/*"),
        (["new", "{tmp}", "--out", "{tmp}/o", "--splits", "a=1", "--splits", "a=2"], 2, "twice"),
        (["new", "{tmp}", "--out", "{tmp}/o", "--columns", "a,,b"], 2, "wind,temp_max"),
        (["new", "{tmp}", "--out", "{tmp}/o", "--labels", "none.csv"], 1, "none.csv"),
        (["new", "{tmp}", "--out", "{tmp}/o", "--splits", "all=*.gif"], 1, "*.gif: no such file"),
        (["new", "--out", "{tmp}/o"], 2, "DATA"),
        (["new", "{tmp}", "--out", "{tmp}/o", "--preset", "r3gam"], 1, "did you mean 'r3gan'"),
        (["schema", "{tmp}", "--out", "{tmp}/s", "--format", "pngs"], 1, "--format pngs"),
    ],
)
def test_data_that_cannot_be_inspected_are_named_and_nothing_is_left(
    tmp_path, arguments, code, message
):
    (tmp_path / "a.jpg").write_bytes(b"no image")
    result = invoke(*(each.format(tmp=tmp_path) for each in arguments))
    assert result.exit_code == code
    assert message.format(tmp=tmp_path) in result.stderr
    assert os.listdir(tmp_path) == ["a.jpg"]


@pytest.mark.parametrize("lit", [False, True])
def test_images_are_mirrored_where_left_and_right_are_alike(
    tmp_path, monkeypatch, statistics_of, lit
):
    random = np.random.default_rng(0)
    for number in range(120):
        pixels = random.integers(0, 256, (8, 8), np.uint8)
        Image.fromarray(np.sort(pixels, axis=1) if lit else pixels).save(tmp_path / f"{number}.png")
    found = observed(images(120, (8, 8)), statistics_of)
    recipe = new(tmp_path, tmp_path / "out", found, monkeypatch)
    assert recipe["data"].get("mirror", False) == (not lit)
    text = (tmp_path / "out" / "recipe.yaml").read_text()
    assert ("# No mirror: images differ" in text) == lit
