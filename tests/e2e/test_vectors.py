"""A table through the whole chain: from `new` to a served generator of rows of every type."""

import csv
import re
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from click.testing import CliRunner
from pyarrow import parquet

from components.evaluator.metrics.registry import METRICS
from pipeline import cli

WEATHER = Path(__file__).parents[2] / "data" / "weather" / "weather.csv"
# A training this short is for what leaves the chain, not for how good it is.
SETTINGS = (
    "trainer.images=20_000",
    "trainer.quality.every_images=10_000",
    f"evaluator.gate.bounds={{{', '.join(f'{name}: null' for name in METRICS.names())}}}",
)
COLUMNS = {
    "date": tf.string,
    "precipitation": tf.float32,
    "temp_max": tf.float32,
    "temp_min": tf.float32,
    "wind": tf.float32,
    "weather": tf.string,
    "windy": tf.bool,
    "day": tf.int64,
}
# Whatever a generator makes stays within the range of the data.
RANGES = {"precipitation": (0, 60), "temp_max": (-11, 40), "temp_min": (-17, 29), "day": (1, 366)}


def run(*arguments):
    result = CliRunner().invoke(cli.main, list(map(str, arguments)))
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """Where a run says that it has left everything."""
    folder = tmp_path_factory.mktemp("weather")
    with WEATHER.open() as file:
        days = list(csv.DictReader(file))
    for number, day in enumerate(days):
        day["windy"] = str(float(day["wind"]) > 4).lower()
        if number % 10 == 0:
            day["wind"] = "NA"
    names = [*COLUMNS, "location"]
    with (folder / "days.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, names, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(days)
    features = "data.features={label: location}"
    seen = run("new", folder / "days.csv", "--out", folder / "days", "--set", features)
    assert re.search(r"column wind +number, .*; missing \(\d+\)", seen)
    settings = [part for setting in SETTINGS for part in ("--set", setting)]
    output = run("run", folder / "days" / "recipe.yaml", "--root", folder / "root", *settings)

    assert "\nblessed\n" in output
    for name in ("column_distance", "column_shapes", "pair_trends", "utility"):
        assert re.search(rf"{name}\W+\d", output)
    return dict(re.findall(r"^(model|report|samples) +(\S+)$", output, re.MULTILINE))


def assert_days(rows):
    """Of the columns of some rows, missing values as None or NaN."""
    for name, (low, high) in RANGES.items():
        found = np.array(rows[name], float)
        assert ((found >= low) & (found <= high)).all()
        assert np.ptp(found) > 0.2 * (high - low)
    assert set(rows["weather"]) <= {"drizzle", "fog", "rain", "snow", "sun"}
    assert len(set(rows["weather"])) > 1
    assert all(re.fullmatch(r"201[2-5]-\d\d-\d\d", date) for date in rows["date"])


def test_the_pushed_model_makes_days_in_the_types_of_the_data(places):
    signatures = tf.saved_model.load(places["model"]).signatures
    names = signatures["columns"]()["names"].numpy()
    rows = signatures["sample_rows"](seeds=tf.range(200, dtype=tf.int64))

    assert [name.decode() for name in names] == list(COLUMNS)
    assert {name: column.dtype for name, column in rows.items()} == COLUMNS
    decoded = {name: column.numpy().tolist() for name, column in rows.items()}
    for name in ("date", "weather"):
        decoded[name] = [value.decode() for value in decoded[name]]
    assert_days(decoded)
    assert 0 < np.isnan(decoded["wind"]).mean() < 0.5


@pytest.mark.parametrize("extension", ["csv", "parquet"])
def test_sample_writes_them_as_the_data_has_them(places, tmp_path, extension):
    path = tmp_path / f"rows.{extension}"
    run("sample", places["model"], "--count", 100, "--out", path)

    if extension == "parquet":
        table = parquet.read_table(path)
        assert str(table.schema.field("date").type) == "timestamp[us]"
        rows = table.to_pydict()
        rows["date"] = [day.date().isoformat() for day in rows["date"]]
        assert set(rows["windy"]) <= {True, False}
    else:
        rows = columns_of(path)
        assert set(rows["windy"]) <= {"true", "false"}
    assert list(rows) == list(COLUMNS)
    assert_days(rows)


def columns_of(path):
    with open(path, newline="") as file:
        header, *rows = csv.reader(file)
    return dict(zip(header, zip(*rows, strict=True), strict=True))


def test_the_report_has_rows_beside_it(places):
    rows = columns_of(places["samples"])
    assert list(rows) == list(COLUMNS)
    assert_days(rows)
    assert "precipitation" in Path(places["report"]).read_text()
