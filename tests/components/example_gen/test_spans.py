"""New data in a folder of spans: the stage runs again, and only then."""

from pathlib import Path

import pytest
from tfx.orchestration.local.local_dag_runner import LocalDagRunner
from tfx.orchestration.pipeline import Pipeline

from components.example_gen.config import DataConfig
from pipeline.config import LOCAL_BEAM
from pipeline.pipeline import beam_arguments, data_stages
from pipeline.runs import metadata


@pytest.fixture
def run(tmp_path):
    """Runs a pipeline of the stage alone; whether it was cached, and the artifact's properties."""
    connection = metadata.connection_config(str(tmp_path / "metadata.sqlite"))

    def once(path):
        config = DataConfig(path=path, image_shape=(8, 8, 1))
        LocalDagRunner().run(
            Pipeline(
                pipeline_name="spans",
                pipeline_root=str(tmp_path / "root"),
                components=data_stages(config)[:2],
                enable_cache=True,
                metadata_connection_config=connection,
                beam_pipeline_args=beam_arguments(LOCAL_BEAM),
            )
        )
        found = metadata.last_execution(connection, "spans", "ImageExampleGen")
        return found.cached, found.outputs["examples"].properties

    return once


def add_span(base: Path, name: str, png, seeds) -> None:
    for seed in seeds:
        path = base / name / ("test" if seed % 3 == 0 else "train") / f"{seed}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(seed))


def test_a_new_span_or_version_runs_the_stage_again(tmp_path, png, run):
    base = tmp_path / "data"
    path = f"{base}/span-{{SPAN}}/v{{VERSION}}"
    add_span(base, "span-1/v1", png, range(6))
    cached, properties = run(path)
    assert not cached
    assert (properties["span"], properties["version"], properties["examples"]) == (1, 1, 6)
    cached, _ = run(path)
    assert cached
    add_span(base, "span-2/v1", png, range(10, 19))
    cached, properties = run(path)
    assert not cached
    assert (properties["span"], properties["examples"]) == (2, 9)
