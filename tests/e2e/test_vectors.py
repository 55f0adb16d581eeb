"""A table through the whole chain: numbers in, a served generator of numbers out."""

import csv
import re
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from click.testing import CliRunner

from components.evaluator.metrics.registry import METRICS
from pipeline import cli

RECIPE = Path(__file__).parents[2] / "data" / "weather" / "recipe.yaml"
# A training this short is for what leaves the chain, not for how good it is.
SETTINGS = (
    "trainer.images=20_000",
    "trainer.quality.every_images=10_000",
    f"evaluator.gate.bounds={{{', '.join(f'{name}: null' for name in METRICS.names())}}}",
)
# What the schema of the weather says a day can be.
DAYS = {
    "day": (1, 366),
    "precipitation": (0, 300),
    "temp_max": (-30, 50),
    "temp_min": (-40, 40),
    "wind": (0, 40),
}


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """Where a run says that it has left everything."""
    root = tmp_path_factory.mktemp("weather")
    settings = [part for setting in SETTINGS for part in ("--set", setting)]
    result = CliRunner().invoke(cli.main, ["run", str(RECIPE), "--root", str(root), *settings])

    assert result.exit_code == 0, result.output
    assert "\nblessed\n" in result.output
    assert re.search(r"column_distance\W+\d", result.output)
    return dict(re.findall(r"^(model|report|samples) +(\S+)$", result.output, re.MULTILINE))


def assert_days(rows):
    low, high = np.transpose(list(DAYS.values()))
    assert ((rows >= low) & (rows <= high)).all()
    # In the units of the data, each in its own: the days of a year, not numbers from -1 to 1.
    assert np.ptp(rows[:, 0]) > 100
    assert (rows[:, 0] == np.rint(rows[:, 0])).all()


def test_the_pushed_model_makes_days_in_the_units_of_the_data(places):
    signatures = tf.saved_model.load(places["model"]).signatures
    names = signatures["columns"]()["names"].numpy()
    rows = signatures["sample"](seeds=tf.range(200, dtype=tf.int64))["vectors"]

    assert [name.decode() for name in names] == list(DAYS)
    assert (rows.shape, rows.dtype) == ((200, 5), tf.float32)
    assert_days(rows.numpy())


def test_the_report_has_rows_beside_it(places):
    with open(places["samples"]) as file:
        header, *rows = csv.reader(file)
    assert header == list(DAYS)
    assert_days(np.array(rows, float))
    assert "precipitation" in Path(places["report"]).read_text()
