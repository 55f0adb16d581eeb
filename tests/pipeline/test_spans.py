"""Spans of data through the stages before training, one after the other in one root."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits
from tfx.orchestration.local.local_dag_runner import LocalDagRunner
from tfx.orchestration.pipeline import Pipeline

from components.example_gen.formats.idx import write_idx
from pipeline import config
from pipeline.pipeline import beam_arguments, data_stages, validation_stages
from pipeline.runs import metadata

DIGITS = Path(__file__).parents[2] / "data" / "digits"


@pytest.fixture
def add_span(tmp_path):
    """Writes some of the digits as the span of a number."""

    def write(span, change=lambda images: images, first=0):
        images, labels = load_digits(return_X_y=True)
        images = change(np.uint8(images.reshape(-1, 8, 8) * 255 / 16))
        folder = tmp_path / f"span-{span}"
        folder.mkdir()
        for split, start, stop in (
            ("train", first, first + 500),
            ("test", first + 500, first + 700),
        ):
            write_idx(str(folder / f"{split}-images-idx3-ubyte"), images[start:stop])
            write_idx(str(folder / f"{split}-labels-idx1-ubyte"), np.uint8(labels[start:stop]))

    return write


@pytest.fixture
def run(tmp_path):
    """Runs the stages before training; cached or not, the span, which splits are good."""
    recipe = config.load(
        str(DIGITS / "recipe.yaml"),
        [f"data.path={tmp_path}/span-{{SPAN}}", "data.schema=null", "validation={}"],
    )
    connection = metadata.connection_config(str(tmp_path / "metadata.sqlite"))

    def once():
        stages = data_stages(recipe.data)
        schema_gen, good_span, validator = validation_stages(recipe, *stages, str(tmp_path))
        LocalDagRunner().run(
            Pipeline(
                pipeline_name=recipe.name,
                pipeline_root=str(tmp_path / "root"),
                components=[*stages, schema_gen, good_span, validator],
                enable_cache=True,
                metadata_connection_config=connection,
                beam_pipeline_args=beam_arguments(recipe.beam),
            )
        )
        found = metadata.last_execution(connection, recipe.name, "DataValidator")
        properties = found.outputs["anomalies"].properties
        blessed = {split: properties[f"blessed_{split}"] for split in ("train", "eval")}
        return found.cached, properties["span"], blessed

    return once


def test_a_span_is_compared_with_the_last_one_that_was_good(add_span, run):
    good = {"train": 1, "eval": 1}
    add_span(1)
    assert run() == (False, 1, good)
    assert run() == (True, 1, good)
    # Gray where it was black, which the schema that is proposed for each span does not mind.
    add_span(2, change=lambda images: np.maximum(images, 40))
    assert run() == (False, 2, {"train": 0, "eval": 1})
    add_span(3, first=700)
    assert run() == (False, 3, good)
