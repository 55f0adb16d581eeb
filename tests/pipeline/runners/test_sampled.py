"""What `new` makes of a sample of large data holds for all of them, whatever the sample missed."""

import csv

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from components.data.examples import EVAL_SPLIT, TRAIN_SPLIT
from components.data_validator import proposal, statistics
from pipeline import cli, config, onboarding, validation
from pipeline.runners import sampled

SIZE = 200


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    for name in ("_IMAGES", "_ROWS"):
        monkeypatch.setattr(sampled, name, SIZE)


def made(data, out, **options):
    """The recipe, the schema's features by name, the lines, and what a run would find."""
    lines = []
    result = onboarding.write_recipe(str(data), str(out), lines.append, **options)
    recipe = config.load(str(out / "recipe.yaml"))
    schema = proposal.read(recipe.data.schema_path)
    return recipe, {each.name: each for each in schema.feature}, "\n".join(lines), result


def validated(data, recipe):
    return validation.validate(str(data), recipe=recipe, log=lambda line: None)


def anomalies(result):
    return [(finding.split, finding.feature, finding.why) for finding in result.findings]


def long_tails(random):
    """With both tails a thousand times as far out as the rest."""
    return float(np.clip(random.standard_cauchy() ** 3, -1e30, 1e30))


@pytest.fixture
def table(tmp_path):
    """A table of which a sample misses much."""
    random = np.random.default_rng(0)
    rows = [
        [
            int(random.integers(18, 90)),
            f"town {random.integers(5)}",
            f"{long_tails(random)}",
            "" if random.random() < 0.05 else f"{random.gamma(2):.4f}",
            "",
            "no" if random.random() < 0.7 else "yes",
        ]
        for _ in range(3_000)
    ]
    # In one row each: a value, a name, a class, an outlier, and a cell that is none.
    rows[1][4], rows[7][1], rows[8][5] = "3.5", "hermitage", "rarely"
    rows[9][0], rows[2_999][0], rows[2_998][0] = 100_000, -40, "x"
    with open(tmp_path / "rows.csv", "w", newline="") as file:
        csv.writer(file).writerows([["age", "town", "tail", "wind", "gap", "label"], *rows])
    return tmp_path / "rows.csv"


def test_a_table_of_which_a_sample_misses_much(table, tmp_path):
    columns = ["age", "town", "tail", "wind", "gap"]
    recipe, features, lines, result = made(table, tmp_path / "out", columns=columns)
    assert f"looking at {SIZE} of 3,000 records" in lines
    assert sum(result.examples.values()) <= SIZE
    # Known, although the sample has none of it.
    (balance,) = anomalies(result)
    assert "Label rarely has 1 examples, label no has" in balance[2]
    assert recipe.data.on_bad_record == "quarantine"
    assert "hermitage" in features["column/town"].string_domain.value
    assert list(features["row/class/text"].string_domain.value) == ["no", "rarely", "yes"]
    assert features["column/age"].int_domain.min < -40
    assert features["column/age"].int_domain.max > 100_000
    assert features["row/class/text"].unique_constraints.min == 2

    recipe = recipe.with_section("validation", min_class_balance=0)
    whole = validated(table, recipe)
    assert anomalies(whole) == []
    assert sum(whole.examples.values()) == 3_000 - 1
    # The least number of examples is that of all.
    least = proposal.read(recipe.data.schema_path).dataset_constraints.min_examples_count
    assert 0.3 < least / whole.examples[EVAL_SPLIT] < 0.7


def test_equal_rows_are_counted_in_all(tmp_path):
    # Each twice: a sample of a tenth holds hardly one of them twice.
    rows = [
        [f"{number}", f"{number % 7}"] for number in np.random.default_rng(0).permutation(2_000)
    ]
    with open(tmp_path / "rows.csv", "w", newline="") as file:
        csv.writer(file).writerows([["a", "b"], *rows, *rows])
    recipe, _, lines, result = made(tmp_path / "rows.csv", tmp_path / "out")
    assert "read again" not in lines
    assert result.counts["duplicates"] < 0.05 * SIZE * 2
    assert recipe.data.divide_by == "row"
    assert recipe.validation.max_duplicate_fraction == 1
    assert anomalies(validated(tmp_path / "rows.csv", recipe)) == []


@pytest.fixture
def images(tmp_path):
    """Two splits of images with rare classes, extremes, a bad file and a leak."""
    random = np.random.default_rng(0)
    base = tmp_path / "images"
    for split, count in (("train", 1_200), ("test", 300)):
        for number in range(count):
            name = "rare" if number == 5 else f"class {number % 3}"
            path = base / split / name / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = random.integers(90, 160, (8, 8), np.uint8)
            if number == 9:
                pixels[:] = 255 if split == "train" else 0
            Image.fromarray(pixels).save(path)
    (base / "train/class 0/3.png").write_bytes(b"no image")
    (base / "train/class 0/6.png").write_bytes((base / "test/class 0/6.png").read_bytes())
    return base


def test_images_of_which_a_sample_misses_much(images, tmp_path):
    recipe, features, lines, result = made(images, tmp_path / "out")
    assert f"looking at {SIZE} of 1,500 records" in lines
    assert result.examples == {TRAIN_SPLIT: 160, EVAL_SPLIT: 40}
    assert recipe.data.on_bad_record == "quarantine"
    assert recipe.data.on_leak == "drop"
    assert len(features["image/class/text"].string_domain.value) == 4
    # One image of a class is none to learn it from, and no augmentation is for 10 000 images.
    assert recipe.feature_extractor.kind == "self_supervised"
    # The numbers are those of all.
    (balance,) = anomalies(result)
    assert "Label rare has 1 examples, label class 0 has 400;" in balance[2]

    recipe = recipe.with_section("validation", min_class_balance=0)
    whole = validated(images, recipe)
    assert anomalies(whole) == []
    assert whole.counts["rejected"] == whole.counts["leaked"] == 1


def test_all_are_looked_at_if_that_is_wanted(images, tmp_path):
    out = tmp_path / "out"
    result = CliRunner().invoke(cli.main, ["new", str(images), "--out", str(out), "--all"])
    assert result.exit_code == 0, result.output
    assert "looking at" not in result.stderr
    text = (out / "schema.pbtxt").read_text()
    # The bad image is none of these, nor is the leak.
    assert "# Proposed from 1498 examples (train 1198, eval 300)" in text
    assert "on_leak: drop                # 1 training examples" in (out / "recipe.yaml").read_text()


def test_a_schema_is_of_a_sample_too(images, tmp_path):
    out = tmp_path / "schema.pbtxt"
    result = CliRunner().invoke(cli.main, ["schema", str(images), "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert "looking at 200 of 1,500 records" in result.stderr
    assert "# Proposed from 200 examples, a sample of about 1500 (train 160, eval 40)" in (
        out.read_text()
    )


def test_up_to_twice_a_sample_all_are_looked_at(tmp_path):
    for number in range(2 * SIZE + 1):
        Image.new("L", (8, 8), number % 256).save(tmp_path / f"{number:04d}.png")
    found = onboarding.inspect(str(tmp_path)).found
    assert sampled.Sample.of(found).words == "200 of 401 records"
    (tmp_path / "0000.png").unlink()
    assert sampled.Sample.of(onboarding.inspect(str(tmp_path)).found) is None


def test_the_reference_knows_the_classes_of_all(images, tmp_path):
    recipe, *_ = made(images, tmp_path / "out")
    found = statistics.features_of(statistics.read(recipe.validation.reference))
    counts = statistics.counts(found["image/class/text"])
    assert counts == {"class 0": 399, "class 1": 400, "class 2": 400, "rare": 1} | counts
    assert sum(counts.values()) == 1_200
